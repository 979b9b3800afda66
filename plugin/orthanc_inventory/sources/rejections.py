"""What rejection notes in the archive withdraw, by Orthanc's IDs, and the marks that it puts on records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..dicom.records import Attributes, InstanceRecord
from ..dicom.rejection import rejected_objects, removal
from ..host import Host, NotFound, identifier_of
from . import EarlierNotes
from .key_objects import Series

# A series, and its instances.
KeyObjects = tuple[str, Sequence[str]]


class Marks(NamedTuple):
    """What to add to a study record, and to those of its series and instances by Orthanc's ID (0008,0405)."""

    study: Attributes
    series: Mapping[str, Attributes]
    instances: Mapping[str, Attributes]

    def add_to(self, instances: Iterable[InstanceRecord]) -> None:
        if self.instances:
            for instance in instances:
                if instance.identifier in self.instances:
                    instance.attributes = {**instance.attributes, **self.instances[instance.identifier]}


NO_MARKS = Marks({}, {}, {})


class Rejections:
    """Holds one entry for each object that is withdrawn: few in any archive.

    Args:
        all_key_objects: the way to ask Orthanc for their series.
    """

    def __init__(self, host: Host, all_key_objects: Callable[[Host], Iterable[Series]]) -> None:
        self._host = host
        self._all_key_objects = all_key_objects
        # That hold notes.
        self.series: list[str] = []
        self._reasons: dict[str, str] = {}
        self._notes: set[str] = set()
        self._studies: dict[str, list[str]] = {}

    def read(self, earlier: EarlierNotes | None = None, key_objects: Iterable[KeyObjects] | None = None) -> None:
        """Reads all rejection notes that the archive holds now.

        Args:
            earlier: where notes can be; None: everywhere.
            key_objects: the series of key objects there, each with its instances, by IDs; None: Orthanc is asked.

        Raises:
            HostError: a note is there and cannot be read; without it no record is sure.
        """
        self.series, self._reasons, self._notes, self._studies = [], {}, set(), {}
        for series, instances in self._key_objects(earlier) if key_objects is None else key_objects:
            for instance in instances:
                self._read_note(instance)
            if not self._notes.isdisjoint(instances):
                self.series.append(series)

    def _key_objects(self, earlier: EarlierNotes | None) -> list[KeyObjects]:
        return [
            (series["ID"], series["Instances"]) for series in self._all_key_objects(self._host)
            if earlier is None or series["ID"] in earlier.series or series["ParentStudy"] in earlier.studies
        ]

    def _read_note(self, identifier: str) -> None:
        try:
            note = self._host.get_json(f"/instances/{identifier}/simplified-tags")
        except NotFound:
            return
        patient = note.get("PatientID") or ""
        for rejected in rejected_objects(note):
            self._notes.add(identifier)
            study = identifier_of(patient, rejected.study_uid)
            self._studies.setdefault(study, []).append(f"{rejected.uid} {rejected.reason}")
            self._reasons[identifier_of(patient, *rejected[:3])] = rejected.reason

    @property
    def withdrawn(self) -> dict[str, str]:
        """Orthanc's IDs of the studies of which something is withdrawn, with a digest of what and why."""
        return {study: hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() for study, lines in self._studies.items()}

    def marks(self, series: list[dict[str, Any]]) -> Marks:
        """Of a study, by its series as Orthanc expands them: at the highest level that tells all. Notes do not count."""
        if not self._reasons:
            return NO_MARKS
        reasons = {entry["ID"]: self._reason(entry["Instances"]) for entry in series}
        others = [reasons[entry["ID"]] for entry in series if not self._notes.issuperset(entry["Instances"])]
        if others and None not in others:
            return Marks(removal(min(filter(None, others))), {}, {})
        instances = (instance for entry in series if reasons[entry["ID"]] is None for instance in entry["Instances"])
        return Marks(
            {},
            {identifier: removal(reason) for identifier, reason in reasons.items() if reason},
            {identifier: removal(self._reasons[identifier]) for identifier in instances if identifier in self._reasons},
        )

    def _reason(self, instances: list[str]) -> str | None:
        """The reason why all of these are withdrawn; None: not all of them are."""
        reasons = {self._reasons.get(identifier) for identifier in instances}
        return None if None in reasons else min(filter(None, reasons), default=None)
