"""Elements in another encoding say the same as before: pydicom reads both alike."""

from __future__ import annotations

import json

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from orthanc_inventory.dicom.decoder import EncodedDataSet
from orthanc_inventory.dicom.json_model import json_pieces
from orthanc_inventory.dicom.native_model import xml_pieces
from orthanc_inventory.dicom.recoding import explicit_elements, json_object


def data_set() -> Dataset:
    """Values of most VRs, alone and several, empty ones, bytes, nested sequences, text in Latin-1."""
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "T-1", "Größe"
    item = Dataset()
    item.PatientID, item.ReferencedSOPInstanceUID, item.PurposeOfReferenceCodeSequence = "X", "1.2.3", [inner]
    result = Dataset()
    result.SpecificCharacterSet = "ISO_IR 100"
    result.ModalitiesInStudy = ["CT", "MR"]
    result.InventoryPurpose = "one \\ two\r\nthree"
    result.RetrieveURL = "https://pacs.example.org/a\\b"
    result.RetrieveAETitle = ["A B", "C"]
    result.FileLengthInContainer = 2**63 + 1
    result.TotalNumberOfStudyRecords = 7
    result.PatientName, result.PatientBirthDate, result.PatientSex = "Müller^Jürgen", "", ""
    result.OtherPatientNames = ["One^Name", "Other^Name"]
    result.StudyDescription = " leading"
    result.SeriesNumber, result.NumberOfFrames, result.LossyImageCompressionRatio = -3, None, ["1.5", "20"]
    result.Rows, result.FrameIncrementPointer, result.MAC = 512, 0x00181063, b"\x00\x01\x02\x03"
    result.ReferencedStudySequence, result.ReferencedSeriesSequence = [item, Dataset()], []
    result.RealWorldValueSlope, result.ItemInventoryDateTime = 0.25, "20260102030405.5+0100"
    return result


def encoded(content: Dataset, explicit: bool) -> EncodedDataSet:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, not explicit
    write_dataset(stream, content)
    return EncodedDataSet(stream.getvalue(), "test")


@pytest.mark.parametrize("explicit", [True, False])
def test_json_is_what_was_encoded(explicit: bool) -> None:
    source = encoded(data_set(), explicit)
    found = json_object(source, (0, len(source.buffer), explicit), "")
    expected = data_set()
    # DICOM JSON is UTF-8 and says nothing of it (PS3.18 F.2).
    del expected.SpecificCharacterSet
    assert list(found) == sorted(found) and Dataset.from_json(json.dumps(found)) == expected
    assert found["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]} and found["00100030"] == {"vr": "DA"}
    assert found["00200011"] == {"vr": "IS", "Value": [-3]} and found["04000404"] == {"vr": "OB", "InlineBinary": "AAECAw=="}
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jürgen"}]}
    assert found["00280009"] == {"vr": "AT", "Value": ["00181063"]} and found["00081115"] == {"vr": "SQ"}


@pytest.mark.parametrize("explicit", [True, False])
def test_json_in_pieces_is_the_same_with_its_character_set(explicit: bool) -> None:
    source = encoded(data_set(), explicit)
    place = (0, len(source.buffer), explicit)
    found = json.loads("".join(json_pieces(source, place)))
    assert list(found) == sorted(found) and found.pop("00080005") == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert found == json_object(source, place, "")


def test_several_numbers_are_numbers() -> None:
    content = Dataset()
    content.PixelAspectRatio, content.SelectorUSValue, content.SelectorFDValue = [3, 4], [1, 65535], [0.5, float("inf")]
    source = encoded(content, True)
    found = json_object(source, (0, len(source.buffer), True), "")
    assert [attribute["Value"] for attribute in found.values()] == [[3, 4], [0.5, "inf"], [1, 65535]]


def test_names_and_private_attributes_in_xml() -> None:
    content = Dataset()
    content.SpecificCharacterSet, content.PatientName = "ISO_IR 192", "A&B^^^Dr.^PhD^more=山田"
    content.private_block(0x0011, 'Maker "A" & <B>', create=True).add_new(0x23, "LO", "one")
    source = encoded(content, True)
    found = "".join(xml_pieces(source, (0, len(source.buffer), True)))
    assert (
        '<PersonName number="1"><Alphabetic><FamilyName>A&amp;B</FamilyName><NamePrefix>Dr.</NamePrefix>'
        "<NameSuffix>PhD^more</NameSuffix></Alphabetic><Ideographic><FamilyName>山田</FamilyName></Ideographic></PersonName>"
    ) in found
    creator = "Maker &quot;A&quot; &amp; &lt;B&gt;"
    assert f'<DicomAttribute tag="00110010" vr="LO"><Value number="1">{creator}</Value>' in found
    assert f'<DicomAttribute tag="00110023" vr="LO" privateCreator="{creator}"><Value number="1">one</Value>' in found


def test_json_leaves_out_what_is_not_wanted_at_its_top() -> None:
    source = encoded(data_set(), True)
    found = json_object(source, (0, len(source.buffer), True), "", without={0x00100020, 0x00080061})
    assert "00080061" not in found and found["00081110"]["Value"][0]["00100020"]["Value"] == ["X"]


def test_an_empty_value_among_others_is_null() -> None:
    content = Dataset()
    content.OtherPatientIDs = ["A", "", "C"]
    source = encoded(content, True)
    assert json_object(source, (0, len(source.buffer), True), "") == {"00101000": {"vr": "LO", "Value": ["A", None, "C"]}}


@pytest.mark.parametrize("explicit", [True, False])
def test_explicit_elements_are_those_that_pydicom_writes(explicit: bool) -> None:
    source = encoded(data_set(), explicit)
    elements = explicit_elements(source, (0, len(source.buffer), explicit))
    assert b"".join(elements.values()) == encoded(data_set(), True).buffer
    assert list(explicit_elements(source, (0, len(source.buffer), explicit), {0x00080061, 0x00100020})) == [0x00080061]
