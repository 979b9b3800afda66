"""The encoder against pydicom: full records, with File Access Sequence, URI and MAC."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from orthanc_inventory.dicom.elements import encode_attributes
from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord, StudyRecord

from ..unit.records import study_data_set

STUDIES, SERIES, INSTANCES = 8, 5, 25
# A run makes one and keeps it.
_ENCODER = StudyEncoder("INSTANCE")


def studies() -> list[StudyRecord]:
    """Records as Orthanc gives them: 8 studies of 5 series of 25 instances."""
    return [
        StudyRecord(
            f"study{study}",
            {
                "StudyInstanceUID": f"1.2.826.0.1.3680043.10.1447.{study}", "ItemInventoryDateTime": "20260101101530.123456+0000",
                "StudyUpdateDateTime": "20260101101530+0000", "StudyDate": "20250131", "StudyTime": "101530", "StudyID": "1",
                "StudyDescription": "Thorax", "AccessionNumber": f"A{study:06}", "ReferringPhysicianName": "Referring^Doctor",
                "PatientName": f"Family{study}^Given", "PatientID": f"P{study:06}", "PatientBirthDate": "19700101",
                "PatientSex": "O", "ModalitiesInStudy": "CT", "NumberOfStudyRelatedSeries": str(SERIES),
                "NumberOfStudyRelatedInstances": str(SERIES * INSTANCES), "RetrieveAETitle": "ORTHANC",
            },
            [_series(study, series) for series in range(SERIES)],
        )
        for study in range(STUDIES)
    ]


def _series(study: int, series: int) -> SeriesRecord:
    uid = f"1.2.826.0.1.3680043.10.1447.{study}.{series}"
    attributes = {
        "SeriesInstanceUID": uid, "Modality": "CT", "SeriesNumber": str(series), "SeriesDescription": f"Series {series}",
        "SeriesDate": "20250131", "SeriesTime": "101530", "BodyPartExamined": "CHEST",
    }
    return SeriesRecord(f"{study}-{series}", attributes, [_instance(f"{uid}.{number}", number) for number in range(INSTANCES)])


def _instance(uid: str, number: int) -> InstanceRecord:
    access = {
        "FileLengthInContainer": 524288 + number,
        "StoredInstanceTransferSyntaxUID": "1.2.840.10008.1.2.1",
        "FileAccessURI": f"./instances/6e2c0ec2-5d99c8ca-c1c21cee-79a09605-{number:08x}/file",
        "ContainerFileType": "DICOM",
        "MACAlgorithm": "MD5",
        "MAC": f"{number:032x}",
    }
    attributes = {
        "SOPInstanceUID": uid, "InstanceNumber": str(number), "NumberOfFrames": "1",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "FileAccessSequence": [access],
    }
    return InstanceRecord(uid, attributes)


def _ours(studies: list[StudyRecord]) -> bytes:
    encode = _ENCODER.encode
    return encode_attributes({"InventoriedStudiesSequence": b"".join(encode(study)[0] for study in studies)})


def _pydicom(studies: list[StudyRecord]) -> bytes:
    data_set = Dataset()
    data_set.InventoriedStudiesSequence = [study_data_set(study, "INSTANCE") for study in studies]
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data_set, parent_encoding="utf-8")
    return stream.getvalue()


def measure() -> tuple[float, float]:
    """Microseconds an instance record, of ours and of pydicom: medians of several rounds that alternate."""
    records = studies()
    assert _ours(records) == _pydicom(records)
    count = STUDIES * SERIES * INSTANCES

    def once(encode: Callable[[list[StudyRecord]], bytes], times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            encode(records)
        return (time.perf_counter() - start) / times / count * 1e6

    rounds = [(once(_ours, 20), once(_pydicom, 1)) for _ in range(7)]
    return median(ours for ours, _ in rounds), median(peer for _, peer in rounds)
