"""Small objects for the archives of the tests, the same at each run."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.1447"


def uid(*numbers: int) -> str:
    return ".".join([ROOT, *map(str, numbers)])


def dataset(patient: int, study: int, series: int, instance: int, **attributes: Any) -> Dataset:
    """A CT without pixel data; ``attributes`` by keyword replace what stands here, ``None`` takes it out."""
    result = Dataset()
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(patient, study, series, instance),
        "StudyDate": f"20{10 + patient % 10}0{1 + study % 9}15",
        "StudyTime": "101530",
        "SeriesDate": f"20{10 + patient % 10}0{1 + study % 9}15",
        "AccessionNumber": f"A{patient:03}{study:03}",
        "Modality": "CT" if series % 2 else "MR",
        "StudyDescription": "Thorax",
        "SeriesDescription": f"Series {series}",
        "ReferringPhysicianName": "Referring^Doctor",
        "PatientName": f"Family{patient}^Given",
        "PatientID": f"P{patient:04}",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyInstanceUID": uid(patient, study),
        "SeriesInstanceUID": uid(patient, study, series),
        "StudyID": str(study),
        "SeriesNumber": series,
        "InstanceNumber": instance,
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(result, keyword, value)
    return result


def encode(data: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = transfer_syntax
    data.file_meta.MediaStorageSOPClassUID = data.get("SOPClassUID", CTImageStorage)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    stream = BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return stream.getvalue()


def file(patient: int, study: int, series: int = 1, instance: int = 1, **attributes: Any) -> bytes:
    return encode(dataset(patient, study, series, instance, **attributes))


def files(patients: int, studies: int = 1, series: int = 1, instances: int = 1) -> list[bytes]:
    """All objects of a regular archive; each number is per resource of the level above."""
    return [
        file(patient, study, one_series, instance)
        for patient in range(1, patients + 1)
        for study in range(1, studies + 1)
        for one_series in range(1, series + 1)
        for instance in range(1, instances + 1)
    ]
