"""Inventories, containers and lists that are nearly right: read as a whole, or refused in one line, in bounded time."""

from __future__ import annotations

import gzip
import json
import tarfile
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from orthanc_inventory.dicom.file_format import read_file
from orthanc_inventory.dicom.json_model import json_pieces
from orthanc_inventory.dicom.native_model import xml_pieces
from orthanc_inventory.dicom.scope import InvalidScope, Scope
from orthanc_inventory.dicom.transcoding import digest, encoded_data_set
from orthanc_inventory.reader import Inventory, InvalidInventory, MissingInstance, open_inventory
from orthanc_inventory.reader.examined import Examined, examine
from orthanc_inventory.reports.columns import chosen
from orthanc_inventory.reports.comparison import InventorySide, compare
from orthanc_inventory.reports.comparison.files import open_side
from orthanc_inventory.reports.comparison.forms import csv_lines, document
from orthanc_inventory.reports.comparison.lists import InvalidList
from orthanc_inventory.reports.export import text_rows
from orthanc_inventory.reports.formats import TEXT_FORMATS
from orthanc_inventory.reports.statistics import Statistics
from tests.integration import foreign

from .mutator import Mutator

Cases = Callable[[str, int, int], range]
# Processor time of any one case (seconds).
_PATIENCE = 20.0
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, foreign.DEFLATED)


def inventory_files() -> list[bytes]:
    scope = foreign.item(GeneralMatchingSequence=[foreign.item(PatientName="Foreign*", ModalitiesInStudy="CT")])
    scope.RangeMatchingSequence = [foreign.item(StudyDate="20100101"), foreign.item(StudyDate="20301231")]
    removed = foreign.study(3, RemovedFromOperationalUse="Y")
    whole = foreign.inventory(
        "1.9.1", [foreign.study(1, 2, 3), foreign.study(2), removed], [foreign.reference("1.9.2", foreign.reference("1.9.3"))],
        ScopeOfInventorySequence=[scope], TransactionUID="1.9.4", TotalNumberOfStudyRecords=3,
    )
    plain = foreign.inventory("1.9.5", [foreign.study(number) for number in range(1, 4)], InventoryPurpose="Köln^\\=")
    return [foreign.encode(data, syntax) for data in (whole, plain) for syntax in SYNTAXES]


FILES = inventory_files()
WORDS = [
    *(b"".join(tag.to_bytes(2, "little") for tag in divmod(number, 65536)) for number in (
        0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00080005, 0x00080422, 0x00080423, 0x00080424, 0x00080425, 0x0008041A, 0x00080018,
    )),
    b"\xff\xff\xff\xff", b"UN\0\0", b"SQ\0\0\xff\xff\xff\xff", b"OB\0\0", b"ISO_IR 192", b"ISO 2022 IR 87", b"\x1b$B", b"\\",
    b"\0", b"../..", b"=SUM(A1)", b"2026", b"STUDY ",
]


def walked(content: bytes) -> Examined | None:
    """Whatever the server does with an inventory that it takes in; what was accepted has no surprises later."""
    try:
        examined = examine(lambda: BytesIO(content))
    except InvalidInventory as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return None

    def opened(uid: str) -> BinaryIO:
        if uid != examined.uid:
            raise MissingInstance(uid)
        return BytesIO(content)

    inventory = Inventory(examined.uid, opened, missing=lambda uid: None)
    statistics = Statistics()
    try:
        for study in inventory.merged_studies():
            statistics.add(study)
            for series in study.series():
                json.dumps([series.json(), *(instance.json() for instance in series.instances())])
    except InvalidInventory:  # a number of records that is not that of its tree, found at the end
        return examined
    json.dumps([statistics.document(), examined.scope, inventory.search("foreign", 0, 3)[0]])
    for form in TEXT_FORMATS:
        columns = chosen(inventory.level, [])
        b"".join(text_rows(inventory, inventory.level, columns, TEXT_FORMATS[form](columns))).decode()
    file = read_file(BytesIO(content), "a file")
    json.loads("".join(json_pieces(file.data_set, file.place)))
    ElementTree.fromstring("".join(xml_pieces(file.data_set, file.place)))
    for syntax in SYNTAXES:
        b"".join(encoded_data_set(file, syntax))
    digest(file)
    try:
        Scope.parse({"ScopeOfInventorySequence": examined.scope})
    except InvalidScope:
        pass
    return examined


def test_inventory_files(cases: Cases) -> None:
    mutator = Mutator("inventory files", FILES, WORDS)
    accepted = 0
    for number in cases("inventory files, walked as the server does", 1500, 40_000):
        begin = time.process_time()
        accepted += walked(mutator.case(number)) is not None
        assert time.process_time() - begin < _PATIENCE, number
    assert accepted > 10


def containers() -> list[bytes]:
    result = []
    for files in (FILES[:1], FILES[:2]):
        stream = BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, file in enumerate(files):
                archive.writestr(f"folder/{number}", file)
        result.append(stream.getvalue())
        stream = BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for number, file in enumerate(files):
                member = tarfile.TarInfo(f"folder/{number}")
                member.size = len(file)
                tar.addfile(member, BytesIO(file))
        result += [stream.getvalue(), gzip.compress(stream.getvalue()), gzip.compress(files[0])]
    return result


LISTS = [
    "\r\n".join([
        "StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,PatientID,Modality",
        *(f'1.9.1,1.9.1.1,1.9.1.1.{number},"F""1",CT' for number in range(1, 5)),
    ]).encode(),
    "\ufeffStudyInstanceUID;PatientName\n1.9.1;'=Müller\n1.9.2;\n".encode(),
    "StudyInstanceUID\tRemovedFromOperationalUse\n1.9.3\tY\n".encode("utf-16"),
]


def test_what_is_compared(cases: Cases, tmp_path: Path) -> None:
    """As a file of the command line, and as the body of a request."""
    inventory = tmp_path / "inventory.dcm"
    inventory.write_bytes(FILES[4])
    words = [*WORDS, b",", b";", b"\t", b'"', b"\r\n", b"StudyInstanceUID", b"9" * 5000, b"x" * 200_000, b"'"]
    mutator = Mutator("compared", [*containers(), *LISTS, *LISTS, *FILES], words)
    compared = 0
    for number in cases("containers, lists and files that are compared", 600, 10_000):
        path = tmp_path / "other"
        path.write_bytes(mutator.case(number))
        begin = time.process_time()
        try:
            other = open_side(path, "the body", follow=False)
            level = min(other.level, "INSTANCE", key=("STUDY", "SERIES", "INSTANCE").index)
            result = compare(InventorySide(open_inventory(inventory)), other, level, (), lambda: False)
        except (InvalidInventory, MissingInstance, InvalidList) as error:
            assert "\n" not in str(error) and len(str(error)) < 1000, number
        else:
            compared += 1
            json.dumps(document(result, "", result.differences.page("", 0, 100)))
            "".join(csv_lines(result.differences.all(""))).encode()
        assert time.process_time() - begin < _PATIENCE, number
    assert compared > 10
    assert [path.name for path in tmp_path.iterdir()] in (["inventory.dcm", "other"], ["other", "inventory.dcm"])


def test_a_member_without_a_name(tmp_path: Path) -> None:
    """Found by chance."""
    path = tmp_path / "file"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("?")
        member.filename = ""
        archive.writestr(member, FILES[0])
    assert open_inventory(path).uid == "1.9.1"


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "INSTANCE"])
def test_exports_of_the_command_line(level: str, cases: Cases, tmp_path: Path) -> None:
    from orthanc_inventory.cli import main

    mutator = Mutator(f"export {level}", [*FILES, *containers()], WORDS)
    for number in cases("files that are exported by the command", 60, 3_000):
        path = tmp_path / "file"
        path.write_bytes(mutator.case(number))
        assert main(["export", str(path), "--level", level, "--output", str(tmp_path / "out.csv")]) in (0, 1, 2), number
