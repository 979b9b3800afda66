"""One Inventory as a file: what is added to file it in an archive comes out again, byte by byte."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest

from orthanc_inventory.dicom.inventory import FILING, Inventory, Reference, plain
from orthanc_inventory.dicom.uids import INVENTORY_STORAGE

FILED_UNDER = {
    "PatientID": "ORTHANC-INVENTORY", "PatientName": "Inventory", "StudyInstanceUID": "1.2.3", "StudyDate": "20260101",
    "StudyTime": "101530", "StudyDescription": "An odd one", "SeriesInstanceUID": "1.2.3.4", "SeriesNumber": "1",
    "Modality": "OT", "InstanceNumber": "7", "StudyID": "", "SeriesDescription": "",
}


def inventory(studies: bytes = b"") -> Inventory:
    references = [Reference("1.5", "00" * 32, {}, (Reference("1.6", "11" * 32),)).item()]
    attributes = {
        "ContentDate": "20260101", "InventoryPurpose": "odd", "ScopeOfInventorySequence": [],
        "IncorporatedInventoryInstanceSequence": references,
    }
    return Inventory("1.2.3.4.5", attributes, studies, 0, 3)


def test_filing_attributes_are_added_and_taken_out() -> None:
    assert set(FILED_UNDER) == set(FILING)
    original = inventory().encode()
    filed = inventory().encode(FILED_UNDER)
    assert b"".join(plain(filed)) == original
    assert b"".join(plain(original)) == original
    data_set = pydicom.dcmread(BytesIO(filed))
    assert {keyword: str(data_set[keyword].value or "") for keyword in FILING} == FILED_UNDER
    assert not any(keyword in pydicom.dcmread(BytesIO(original)) for keyword in FILING)


def test_the_file_is_one_that_pydicom_writes_the_same() -> None:
    file = inventory().encode()
    data_set = pydicom.dcmread(BytesIO(file))
    assert data_set.file_meta.MediaStorageSOPClassUID == data_set.SOPClassUID == INVENTORY_STORAGE
    assert data_set.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID == "1.2.3.4.5"
    [reference] = data_set.IncorporatedInventoryInstanceSequence
    assert reference.IncorporatedInventoryInstanceSequence[0].ReferencedSOPInstanceUID == "1.6"
    assert (reference.MACAlgorithm, len(reference.MAC)) == ("SHA256", 32)
    written = BytesIO()
    data_set.save_as(written, enforce_file_format=True)
    assert written.getvalue() == file


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_file_that_is_cut_off_is_told(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(plain(inventory(b"x" * 20).encode()[:-cut]))
