"""From a study to its item in the inventory: read, compared with the base, encoded, and its place remembered."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..dicom.decoder import InvalidInventory
from ..dicom.encoder import StudyEncoder
from ..dicom.records import Attributes, SeriesRecord, Skipped, StudyRecord
from ..dicom.scope import Scope
from ..sources import Source, StudyDeleted, StudyUnreadable
from ..sources.group import Group
from ..stores import InstanceGone
from .increment import Increment
from .places import Place, encode_place, numbers_of
from .removals import Removals
from .transaction import Counts

_NOTHING = (0, 0, 0)


class Recorded(NamedTuple):
    """An item of the Inventoried Studies Sequence (0008,0423), and its place.

    ``written`` are the study, series and instance records in it, ``removed`` those of them whose resources were deleted since
    the base, ``replaced`` those of the base that it takes the place of. ``corrected`` and ``unread`` count values and headers.
    """

    item: bytes
    place: bytes
    written: Counts
    removed: Counts
    replaced: Counts
    corrected: int
    unread: int
    skipped: list[Skipped]


class Recorder:
    """Makes the items of one run; ``increment`` is None in a full inventory.

    Without ``include_removed``, what was withdrawn from operational use is left out (PS3.3 C.38.1.2, 0008,0405).
    """

    def __init__(
        self,
        source: Source,
        encoder: StudyEncoder,
        increment: Increment | None,
        level: str,
        scope: Scope,
        include_removed: bool,
    ) -> None:
        self._source = source
        self._encoder = encoder
        self._increment = increment
        self._level = level
        self._scope = scope
        self._include_removed = include_removed
        self._group: Group | None = None

    def record(self, studies: Sequence[str], place: int) -> Recorded | None:
        """The study at that ``place``; those after it are to be recorded next. None: not in scope, or nothing to say.

        Raises:
            StudyDeleted: it is gone, and the base does not know it.
            StudyUnreadable, InvalidRecord
        """
        study = studies[place]
        before = self._increment.place(study) if self._increment else None
        if self._group is None or study not in self._group.studies:
            self._group = self._source.group(studies[place:], self._level, self._scope)
        try:
            recorded = self._read(study, self._scope, before, self._group)
            if recorded is None and before is not None and before.children:
                # It has left the scope; to say nothing would leave the earlier record standing as if it were true.
                recorded = self._read(study, Scope(), before)
        except StudyDeleted:
            if before is None:
                raise
            return self._gone(study, before) if before.children else None
        except (InstanceGone, InvalidInventory):
            raise StudyUnreadable("its record in the base, which has more than is there now, cannot be read") from None
        return recorded

    def _read(self, study: str, scope: Scope, before: Place | None, group: Group | None = None) -> Recorded | None:
        read = self._source.read(study, self._level, scope, lambda record: self._encode(record, before), group)
        recorded, skipped = read or (None, [])
        return recorded and recorded._replace(skipped=skipped + recorded.skipped)

    def _encode(self, record: StudyRecord, before: Place | None) -> Recorded | None:
        removals = Removals()
        if not self._include_removed:
            if _is_removed(record.attributes):
                return None
            record = replace(record, series=_without_removed(record))
        if before is not None and self._increment is not None:
            if before.removed or not set(numbers_of(record.children)).issuperset(before.children):
                record = removals.added_to(record, self._increment.record(record.identifier))
        encoded = self._encoder.encode(record)
        removed = (0, removals.series, removals.instances)
        place = encode_place(
            record.identifier,
            record.last_update,
            encoded.series - removals.series,
            encoded.instances - removals.instances,
            sum(removed),
            record.children,
        )
        return Recorded(
            encoded.item, place, (1, encoded.series, encoded.instances), removed, _of(before),
            encoded.corrected, encoded.unread, encoded.skipped,
        )

    def _gone(self, study: str, before: Place) -> Recorded:
        assert self._increment is not None
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d%H%M%S.%f+0000")
        try:
            encoded = self._encoder.encode(Removals().study(study, self._increment.record(study), now))
        except (InstanceGone, InvalidInventory):
            raise StudyUnreadable("it is gone, and its record in the base cannot be read") from None
        written = (1, encoded.series, encoded.instances)
        place = encode_place(study, "", 0, 0, sum(written), ())
        return Recorded(
            encoded.item, place, written, written, _of(before), encoded.corrected, encoded.unread, encoded.skipped
        )


def _of(before: Place | None) -> Counts:
    """The records of what was there."""
    return (1, before.series, before.instances) if before is not None and before.children else _NOTHING


def _is_removed(attributes: Attributes) -> bool:
    return attributes.get("RemovedFromOperationalUse") == "Y"


def _without_removed(record: StudyRecord) -> Iterator[SeriesRecord]:
    for series in record.series:
        if not _is_removed(series.attributes):
            series.instances = [instance for instance in series.instances if not _is_removed(instance.attributes)]
            yield series
