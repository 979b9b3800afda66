"""Inventories to be read: trees of files made by the encoder, and the same data sets in other encodings, made by pydicom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID

from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.dicom.inventory import Inventory as Written
from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord, StudyRecord
from orthanc_inventory.reader import Inventory, MissingInstance

CT = "1.2.840.10008.5.1.4.1.1.2"


def study(
    uid: str,
    series: Mapping[str, Sequence[str]] | None = None,
    moment: str = "20260101000000+0000",
    patient: str = "P",
    **more: str,
) -> StudyRecord:
    """A study record; ``series`` are UIDs of series with those of their instances."""
    attributes = {
        "StudyInstanceUID": uid, "PatientID": patient, "PatientName": "Müller^山田", "ItemInventoryDateTime": moment, **more,
    }
    return StudyRecord("study", attributes, [
        SeriesRecord("series", {"SeriesInstanceUID": series_uid, "Modality": "CT"}, [
            InstanceRecord("instance", {"SOPClassUID": CT, "SOPInstanceUID": instance}) for instance in instances
        ])
        for series_uid, instances in (series or {}).items()
    ])


def file(
    uid: str,
    studies: Sequence[StudyRecord] = (),
    references: Sequence[Reference] = (),
    below: int = 0,
    level: str = "INSTANCE",
    **more: Any,
) -> bytes:
    """One instance; ``below`` is the number of study records that it incorporates."""
    encoder = StudyEncoder(level)
    attributes = {
        "ContentDate": "20260101", "ContentTime": "101530", "TimezoneOffsetFromUTC": "+0000", "InventoryPurpose": "Grüße",
        "InventoryLevel": level, "InventoryCompletionStatus": "COMPLETE", "ScopeOfInventorySequence": [],
        "IncorporatedInventoryInstanceSequence": [reference.item() for reference in references], **more,
    }
    items = b"".join(encoder.encode(entry)[0] for entry in studies)
    return Written(uid, attributes, items, len(studies), len(studies) + below).encode()


def opened(files: Mapping[str, bytes], root: str, **more: Any) -> Inventory:
    """The inventory whose instances are ``files`` by UID."""

    def open_instance(uid: str) -> BinaryIO:
        if uid not in files:
            raise MissingInstance(uid)
        return BytesIO(files[uid])

    return Inventory(root, open_instance, **more)


def save(folder: Path, files: Mapping[str, bytes]) -> Path:
    for uid, content in files.items():
        (folder / f"{uid}.dcm").write_bytes(content)
    return folder


def uids(inventory: Inventory) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """The UIDs of all records."""
    return [
        (entry.uid, [(series.uid, [instance.uid for instance in series.instances()]) for series in entry.series()])
        for entry in inventory.studies()
    ]


def written(data_set: Dataset, transfer_syntax: UID, undefined: bool | Callable[[], bool] = False) -> bytes:
    """A data set with File Meta Information as pydicom writes it.

    ``undefined``: whether the lengths of sequences and items are, of all of them or asked for each.
    """
    is_undefined = undefined if callable(undefined) else lambda: undefined
    data_set.file_meta.TransferSyntaxUID = transfer_syntax
    for level in _data_sets(data_set):
        level.is_undefined_length_sequence_item = is_undefined()
        for element in level:
            if element.VR == "SQ":
                element.is_undefined_length = is_undefined()
    stream = BytesIO()
    pydicom.dcmwrite(stream, data_set, enforce_file_format=True)
    return stream.getvalue()


def _data_sets(data_set: Dataset) -> Iterator[Dataset]:
    yield data_set
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from _data_sets(item)
