"""The series of key objects, with their instances and study: none is left out that is there all the while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..host import Host, NotFound

# Series in one answer: with more of them it holds up every other route of the plugin for too long.
_PAGE = 1000
_QUERY = {"Level": "Series", "Query": {"Modality": "KO"}}
# Without the status, for which Orthanc takes ten times as long in a large index.
_CONTENT = ("Children", "Parent")

Series = dict[str, Any]


def in_pages(host: Host) -> Iterator[Series]:
    """By the extended find, which has them in the order of their IDs. Each answer begins with the last of the one before."""
    seen: set[str] = set()
    since = 0
    while True:
        answers = host.post_json("/tools/find", {**_QUERY, "ResponseContent": _CONTENT, "Since": since, "Limit": _PAGE})
        if since and (not answers or answers[0]["ID"] not in seen):
            # Some were deleted, and those after them moved up.
            since = max(since - _PAGE, 0)
            continue
        new = [series for series in answers if series["ID"] not in seen]
        seen.update(series["ID"] for series in new)
        yield from new
        # Orthanc cuts its answers to LimitFindResults without a word.
        if len(answers) < 2:
            return
        since += len(answers) - 1


def one_by_one(host: Host) -> Iterator[Series]:
    """Of what Orthanc lists at one moment: without the extended find its pages are found anew each time, in no certain order."""
    found = host.post_json("/tools/find", _QUERY)
    limit = host.configuration.get("LimitFindResults", 0)
    # The answer may be cut, and ``Since`` is taken off what is left of it.
    for identifier in host.get_json("/series") if limit and len(found) >= limit else found:
        try:
            series = host.get_json(f"/series/{identifier}")
        except NotFound:
            continue
        if series["MainDicomTags"].get("Modality") == "KO":
            yield series
