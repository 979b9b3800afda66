"""Inventories as another system might write them, by pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

INVENTORY_STORAGE = "1.2.840.10008.5.1.4.1.1.201.1"
DEFLATED = "1.2.840.10008.1.2.1.99"


def item(**attributes: Any) -> Dataset:
    result = Dataset()
    for keyword, value in attributes.items():
        setattr(result, keyword, value)
    return result


def study(number: int, series: int = 1, instances: int = 2, **attributes: Any) -> Dataset:
    uid = f"1.9.{number}"
    return item(
        StudyInstanceUID=uid,
        ModalitiesInStudy="CT",
        ItemInventoryDateTime="20260102030405+0000",
        NumberOfStudyRelatedSeries=series,
        NumberOfStudyRelatedInstances=series * instances,
        StudyUpdateDateTime="",
        StudyID="",
        StudyDate=f"20{10 + number % 10}0102",
        StudyTime="",
        StudyDescription="",
        AccessionNumber="",
        PatientName=f"Foreign{number}^Müller",
        PatientID=f"F{number}",
        PatientBirthDate="",
        PatientSex="",
        InventoriedSeriesSequence=[_series(uid, place, instances) for place in range(1, series + 1)],
        **attributes,
    )


def _series(study_uid: str, place: int, instances: int) -> Dataset:
    uid = f"{study_uid}.{place}"
    objects = [
        item(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID=f"{uid}.{number}",
            InstanceNumber=number,
            FileAccessSequence=[
                item(
                    FileAccessURI="./../../etc/passwd",
                    ContainerFileType="DICOM",
                    StoredInstanceTransferSyntaxUID=ExplicitVRLittleEndian,
                    FileLengthInContainer=1000,
                )
            ],
        )
        for number in range(1, instances + 1)
    ]
    return item(SeriesInstanceUID=uid, Modality="CT", SeriesNumber=place, InventoriedInstancesSequence=objects)


def reference(uid: str, *below: Dataset) -> Dataset:
    result = item(ReferencedSOPClassUID=INVENTORY_STORAGE, ReferencedSOPInstanceUID=uid)
    if below:
        result.IncorporatedInventoryInstanceSequence = list(below)
    return result


def inventory(uid: str, studies: Sequence[Dataset] = (), references: Sequence[Dataset] = (), **attributes: Any) -> Dataset:
    """``None`` as the value of an attribute takes it out."""
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": INVENTORY_STORAGE,
        "SOPInstanceUID": uid,
        "ContentDate": "20260102",
        "ContentTime": "030405",
        "Manufacturer": "Elsewhere",
        "ScopeOfInventorySequence": [],
        "InventoryPurpose": "Umzug nach Köln",
        "InventoryLevel": "INSTANCE",
        "InventoryCompletionStatus": "COMPLETE",
        "NumberOfStudyRecordsInInstance": len(studies),
        "TotalNumberOfStudyRecords": len(studies),
        "IncorporatedInventoryInstanceSequence": list(references),
        "InventoriedStudiesSequence": list(studies),
        **attributes,
    }
    return item(**{keyword: value for keyword, value in values.items() if value is not None})


def encode(data: Dataset, transfer_syntax: str = ExplicitVRLittleEndian, sop_class: str = INVENTORY_STORAGE) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = transfer_syntax
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.get("SOPInstanceUID", "1.2.3")
    stream = BytesIO()
    implicit = transfer_syntax == ImplicitVRLittleEndian
    pydicom.dcmwrite(stream, data, enforce_file_format=True, little_endian=True, implicit_vr=implicit)
    return stream.getvalue()
