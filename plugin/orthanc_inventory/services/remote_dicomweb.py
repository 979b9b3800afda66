"""Another archive asked over DICOMweb: QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydicom.datadict import tag_for_keyword

from ..dicom.json_records import record_from_json
from ..dicom.records import Attributes
from ..sources.remote import IMAGE, SERIES, STUDY, Enough, PeerFailed, PeerUnreachable

# Gives the answer to a GET below the base of the server, a list, for a path and the parameters of its query. Raises: WebError.
Get = Callable[[str, Mapping[str, str]], Any]

_IDENTIFIERS = {STUDY: "StudyInstanceUID", SERIES: "SeriesInstanceUID", IMAGE: "SOPInstanceUID"}
# Records in one answer; a server may give fewer. While it answers to a plugin of Orthanc, all routes in Python wait.
_PAGE = 100


class WebError(Exception):
    """The server does not answer, or with an error; the message says why."""


class RemoteDicomWeb:
    """A ``Peer``. Answers are fetched page by page (8.3.4.4), until one is empty: what a server says of the rest is in a
    header, which not every way to it lets through.
    """

    name = "QIDO-RS"
    is_whole = False
    is_paged = True

    def __init__(self, get: Get, url: str) -> None:
        self._get = get
        # A server that gives as many at once cuts none of the shorter answers.
        self._longest = 0
        self.access: Attributes = {"RetrieveURL": url} if url else {}

    def open(self) -> None:
        try:
            self._page("/studies", {"limit": "1"})
        except WebError as error:
            raise PeerUnreachable(str(error)) from None

    def close(self) -> None:
        """Each request stands alone."""

    def ask(
        self, level: str, keys: Mapping[str, str], wanted: Sequence[str], take: Callable[[Attributes], None]
    ) -> bool:
        path, parameters = _request(level, keys, wanted)
        seen: set[int] = set()  # by hash: there may be millions
        offset = 0
        while True:
            try:
                page = self._page(path, {**parameters, "offset": str(offset)})
            except WebError as error:
                self.open()
                raise PeerFailed(str(error)) from None
            if not page:
                return True
            known = len(seen)
            is_last = len(page) < self._longest
            self._longest = max(self._longest, len(page))
            for data_set in page:
                record = record_from_json(data_set)
                name = hash((record.get(_IDENTIFIERS[level], ""), record.get("PatientID", "")))
                if name in seen:
                    continue
                seen.add(name)
                try:
                    take(record)
                except Enough:
                    return False
            if len(seen) == known:  # the server does not look at the offset: this is what it has to say
                return offset == len(page)
            if len(seen) - known < len(page):  # the order of its answers is not the same each time: some may be between
                return False
            if is_last:
                return True
            offset += len(page)

    def _page(self, path: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = self._get(path, parameters)
        if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
            raise WebError("it does not answer with a list of data sets in JSON")
        return answer


def listed(body: bytes) -> Any:
    """The body of an answer as JSON; one without content is an empty list (204, PS3.18 8.3.4.4.1).

    Raises:
        WebError
    """
    try:
        return json.loads(body) if body.strip() else []
    except (ValueError, RecursionError):
        raise WebError("it does not answer in JSON") from None


def _request(level: str, keys: Mapping[str, str], wanted: Sequence[str]) -> tuple[str, dict[str, str]]:
    """UIDs of the levels above are in the path, all other keys in the query."""
    above = {STUDY: (), SERIES: ("StudyInstanceUID",), IMAGE: ("StudyInstanceUID", "SeriesInstanceUID")}[level]
    names = {"StudyInstanceUID": "studies", "SeriesInstanceUID": "series"}
    path = "".join(f"/{names[keyword]}/{keys[keyword]}" for keyword in above)
    path += {STUDY: "/studies", SERIES: "/series", IMAGE: "/instances"}[level]
    tags = [f"{tag_for_keyword(keyword):08X}" for keyword in wanted]
    matching = {keyword: value for keyword, value in keys.items() if keyword not in above}
    return path, {**matching, "includefield": ",".join(tags), "limit": str(_PAGE)}
