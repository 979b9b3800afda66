"""A data set in another transfer syntax says the same: pydicom reads both alike."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from orthanc_inventory.dicom.decoder import InvalidInventory
from orthanc_inventory.dicom.file_format import read_file
from orthanc_inventory.dicom.inventory import file_header
from orthanc_inventory.dicom.transcoding import encoded_data_set
from orthanc_inventory.dicom.uids import INVENTORY_STORAGE
from tests.integration import foreign

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, foreign.DEFLATED]


def elements(file: bytes) -> Dataset:
    return Dataset({element.tag: element for element in pydicom.dcmread(BytesIO(file))})


@pytest.mark.parametrize("given", SYNTAXES)
@pytest.mark.parametrize("wanted", SYNTAXES)
def test_all_pairs_of_transfer_syntaxes(given: str, wanted: str) -> None:
    data = foreign.inventory("1.9.1", [foreign.study(number, 2, 3) for number in range(1, 4)], [foreign.reference("1.9.2")])
    file = foreign.encode(data, given)
    pieces = list(encoded_data_set(read_file(BytesIO(file), "it"), wanted))
    result = file_header(INVENTORY_STORAGE, "1.9.1", wanted) + b"".join(pieces)
    assert elements(result) == elements(file)
    assert len(result) % 2 == 0
    assert pydicom.dcmread(BytesIO(result)).file_meta.TransferSyntaxUID == wanted


def test_a_value_that_its_vr_cannot_hold_becomes_unknown() -> None:
    data = foreign.inventory("1.9.1", InventoryPurpose="x" * 70_000)
    file = read_file(BytesIO(foreign.encode(data, ImplicitVRLittleEndian)), "it")
    # PS3.5 6.2.2
    assert b"\x08\0\x01\x04UN\0\0" + (70_000).to_bytes(4, "little") in b"".join(encoded_data_set(file, ExplicitVRLittleEndian))


def test_pieces_are_small_whatever_the_size() -> None:
    studies = [foreign.study(number, 3, 30) for number in range(1, 40)]
    file = read_file(BytesIO(foreign.encode(foreign.inventory("1.9.1", studies))), "it")
    assert max(map(len, encoded_data_set(file, ImplicitVRLittleEndian))) < 128 * 1024


def test_group_lengths_are_left_out() -> None:
    file = foreign.encode(foreign.inventory("1.9.1"))
    at = file.index(b"\x08\0\x05\0CS")
    with_length = file[:at] + b"\x08\0\0\0UL\x04\0\x10\0\0\0" + file[at:]
    pieces = b"".join(encoded_data_set(read_file(BytesIO(with_length), "it"), ImplicitVRLittleEndian))
    assert not pieces.startswith(b"\x08\0\0\0") and pieces.startswith(b"\x08\0\x05\0")


def test_deep_nesting_costs_no_stack() -> None:
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2"
    for _ in range(200):
        outer = Dataset()
        outer.IncorporatedInventoryInstanceSequence = Sequence([item])
        item = outer
    data = foreign.inventory("1.9.1")
    data.IncorporatedInventoryInstanceSequence = Sequence([item])
    file = read_file(BytesIO(foreign.encode(data)), "it")
    assert b"".join(encoded_data_set(file, ImplicitVRLittleEndian)).count(b"\x08\0\x55\x11") == 1


def test_what_is_broken_is_told() -> None:
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
    broken = file.replace(b"UI\x06\0" + b"1.9.1\0", b"UI\xff\x7f" + b"1.9.1\0")
    assert broken != file
    with pytest.raises(InvalidInventory):
        list(encoded_data_set(read_file(BytesIO(broken), "it"), ImplicitVRLittleEndian))
