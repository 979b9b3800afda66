"""A small hospital: CT, MR and SR studies of ten years, the same bytes at every start."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import BasicTextSRStorage, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

# Patient ID, name, birth date, sex. One came without an ID.
_PATIENTS = (
    ("DEMO-0001", "Adams^John^Robert", "19620411", "M"),
    ("DEMO-0002", "Yamada^Tarou=山田^太郎=やまだ^たろう", "19750823", "M"),
    ("DEMO-0003", "Müller^Ägidia", "19881230", "F"),
    ("DEMO-0004", "Иванова^Анна", "19930517", "F"),
    ("DEMO-0005", "Hong^Gildong=洪^吉洞=홍^길동", "19810102", "M"),
    ("DEMO-0006", "Núñez^María José", "20090930", "F"),
    ("DEMO-0007", "O'Brien^Seán", "19450606", "M"),
    ("DEMO-0008", "Διονυσιος", "19700314", "O"),
    ("DEMO-0009", "Smith^Jane", "", "F"),
    ("DEMO-0010", "Wang^XiaoDong=王^小东", "19991111", "M"),
    ("DEMO-0011", "Haddad^Samira=حداد^سميرة", "19680719", "F"),
    ("", "Unknown^Trauma", "", ""),
)
_CT = (CTImageStorage, "CT", "CT Thorax", ("Topogram", "Lung 1.0", "Soft tissue 3.0"))
_MR = (MRImageStorage, "MR", "MR Brain", ("Localizer", "T1 axial", "T2 axial", "FLAIR"))
_ROWS, _COLUMNS = 32, 32


def files() -> Iterator[bytes]:
    """The objects as PS3.10 files."""
    for patient in range(len(_PATIENTS)):
        for study in range(2):
            yield from _study(patient, study)


def _study(patient: int, study: int) -> Iterator[bytes]:
    number = 2 * patient + study
    sop_class, modality, description, series_names = _CT if number % 3 else _MR
    identifier, name, birth_date, sex = _PATIENTS[patient]
    common: dict[str, Any] = {
        "PatientName": name,
        "PatientID": identifier,
        "PatientBirthDate": birth_date,
        "PatientSex": sex,
        "StudyInstanceUID": _uid("study", number),
        # The last one has lost its date on the way.
        "StudyDate": "" if number == 2 * len(_PATIENTS) - 1 else f"{2016 + number % 11}{1 + number % 12:02}{1 + number:02}",
        "StudyTime": f"{8 + number % 10:02}3000",
        "AccessionNumber": f"ACC{number:05}",
        "StudyID": str(number + 1),
        "StudyDescription": description,
        "ReferringPhysicianName": "Referring^Rosa",
        "InstitutionName": "Demo Hospital",
    }
    for series, series_name in enumerate(series_names, 1):
        for instance in range(1, 2 if series == 1 else 4 + number % 5):
            yield _encode({
                **common,
                "SOPClassUID": sop_class,
                "SOPInstanceUID": _uid("instance", number, series, instance),
                "SeriesInstanceUID": _uid("series", number, series),
                "Modality": modality,
                "SeriesNumber": series,
                "SeriesDescription": series_name,
                "BodyPartExamined": "CHEST" if modality == "CT" else "HEAD",
                "InstanceNumber": instance,
                **_image(number, series, instance),
            })  # fmt: skip
    if number % 2:
        yield _encode({**common, **_report(number, f"{description}: nothing of note.")})


def _image(number: int, series: int, instance: int) -> dict[str, Any]:
    pixels = ((row * column + 7 * number + 13 * series + 29 * instance) % 1024 for row in range(_ROWS) for column in range(_COLUMNS))
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": _ROWS,
        "Columns": _COLUMNS,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": b"".join(value.to_bytes(2, "little") for value in pixels),
    }


def _report(number: int, text: str) -> dict[str, Any]:
    title, finding = Dataset(), Dataset()
    for code, value, meaning in ((title, "18748-4", "Diagnostic imaging report"), (finding, "59776-5", "Procedure findings")):
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "LN", meaning
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence, item.TextValue = "CONTAINS", "TEXT", [finding], text
    return {
        "SOPClassUID": BasicTextSRStorage,
        "SOPInstanceUID": _uid("report", number),
        "SeriesInstanceUID": _uid("reports", number),
        "Modality": "SR",
        "SeriesNumber": 100,
        "SeriesDescription": "Report",
        "InstanceNumber": 1,
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ConceptNameCodeSequence": [title],
        "ContentSequence": [item],
    }


def _encode(attributes: dict[str, Any]) -> bytes:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    stream = BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return stream.getvalue()


def _uid(*parts: object) -> str:
    """Made from a UUID (PS3.5 B.2), which itself is made from the parts."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(map(str, ('orthanc-inventory demo', *parts)))).int}"
