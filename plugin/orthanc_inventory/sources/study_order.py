"""The studies of the archive in the order of their IDs, as a snapshot that is known to be current.

Orthanc's IDs are SHA-1 hashes of DICOM identifiers: a study has the same place in this order for ever, in each database. The
snapshot is kept, 20 bytes for each study, and ``/changes`` tells what to add to it.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import overload

from ..dicom.record_keys import NAME
from ..host import Host
from .resources import SLACK

_PUNCTUATION = b' \r\n\t[]",-'
# Changes in one answer, and the answers that are read before all studies are read anew.
_PAGE, _PATIENCE = 1000, 10


class Names(Sequence[bytes]):
    """Names of 20 bytes in one piece of memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content) // NAME

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "list[bytes]": ...
    def __getitem__(self, index: int | slice) -> "bytes | list[bytes]":
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start = NAME * range(len(self))[index]
        return self._content[start : start + NAME]

    def with_others(self, others: Iterable[bytes]) -> "Names":
        """Those that are new stand where they belong."""
        pieces, start = [], 0
        for name in sorted(set(others)):
            place = bisect_left(self, name)
            if place == len(self) or self[place] != name:
                pieces += [self._content[start : place * NAME], name]
                start = place * NAME
        return Names(b"".join([*pieces, self._content[start:]]))


def names_of(identifiers: Iterable[str]) -> list[bytes]:
    """Orthanc's IDs as bytes, which are ordered as the IDs are."""
    return _split(bytes.fromhex("".join(identifiers).replace("-", "")))


def identifier_of_name(name: bytes) -> str:
    digits = name.hex()
    return "-".join(digits[start : start + 8] for start in range(0, 2 * NAME, 8))


def _split(content: bytes) -> list[bytes]:
    return [content[start : start + NAME] for start in range(0, len(content), NAME)]


class StudyOrder:
    """``alone`` is whether nobody else writes to the index; if not, it is read anew each time."""

    def __init__(self, host: Host, alone: bool) -> None:
        self._host = host
        self._alone = alone
        self._lock = threading.Lock()
        self._names = Names(b"")
        self._last: int | None = None
        self._gone = 0

    def current(self) -> Names:
        """All studies that there are now; some that were deleted may stand there still."""
        with self._lock:
            # First the number: what comes in between is found in the changes again.
            last = self._last_change()
            if self._last is None or self._gone > SLACK or not self._alone or not self._catch_up(self._last, last):
                # Text would take five times the memory, and thrice the time.
                digits = self._host.get("/studies").translate(None, _PUNCTUATION)
                self._names = Names(b"".join(sorted(_split(bytes.fromhex(digits.decode("ascii"))))))
                self._last, self._gone = last, 0
            return self._names

    def tell_gone(self, studies: int) -> None:
        """So many studies of the snapshot are no longer there."""
        with self._lock:
            self._gone += studies

    def _last_change(self) -> int | None:
        """The number of the last change; None where the log is empty, as it can be cleared."""
        changes = self._host.get_json("/changes?last")["Changes"]
        return changes[-1]["Seq"] if changes else None

    def _catch_up(self, since: int, last: int | None) -> bool:
        """Adds the studies that are new; False where the changes do not tell them all.

        A change has a number above all before it. Numbers vanish with what was deleted, all of them when the log is cleared.
        """
        if last is None or last < since:
            return False
        if last == since:
            return True
        new: list[str] = []
        for _ in range(_PATIENCE):
            answer = self._host.get_json(f"/changes?since={since}&limit={_PAGE}")
            for change in answer["Changes"]:
                if change["Seq"] != since + 1:
                    return False
                since = change["Seq"]
                if change["ChangeType"] == "NewStudy":
                    new.append(change["ID"])
            if answer["Done"]:
                if new:
                    self._names = self._names.with_others(names_of(new))
                self._last = since
                return True
        return False
