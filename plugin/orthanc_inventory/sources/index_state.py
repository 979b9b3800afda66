"""Whether Orthanc's index is as it was: asked at a start, to know whether anything happened while nobody watched."""

from __future__ import annotations

import json

from ..host import Host

# Changes that Orthanc logs by itself, without any change of what is stored.
_HARMLESS = frozenset({"StablePatient", "StableStudy", "StableSeries", "CompletedSeries"})
_PAGE = 100
# So many harmless changes are looked through.
_PATIENCE = 10_000


class IndexState:
    """Additions and updates are numbered in ``/changes``; a deletion leaves no trace there, but in the counts."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def read(self) -> str:
        """What ``is_unchanged`` takes."""
        return json.dumps([self._host.get_json("/changes?last")["Last"], self._counts()])

    def is_unchanged(self, state: str) -> bool:
        """Whether no resource was added, changed or deleted since ``state`` was read; False where that is not sure."""
        try:
            last, counts = json.loads(state)
        except (ValueError, TypeError):  # it was damaged
            return False
        return counts == self._counts() and self._only_harmless(last)

    def _counts(self) -> list[int]:
        statistics = self._host.get_json("/statistics")
        return [statistics[f"Count{resources}"] for resources in ("Patients", "Studies", "Series", "Instances")]

    def _only_harmless(self, since: int) -> bool:
        for _ in range(0, _PATIENCE, _PAGE):
            answer = self._host.get_json(f"/changes?since={since}&limit={_PAGE}")
            for change in answer["Changes"]:
                # A missing number is a change whose resource is gone, or a log that was cleared.
                if change["Seq"] != since + 1 or change["ChangeType"] not in _HARMLESS:
                    return False
                since = change["Seq"]
            if answer["Done"]:
                if since == self._host.get_json("/changes?last")["Last"]:
                    return True
                # Another one has come in between, or those that came last are gone with their resources.
                if not answer["Changes"]:
                    return False
        return False
