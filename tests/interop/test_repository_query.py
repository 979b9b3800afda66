"""Repository Query over DICOM: which keys are answered and matched at which level, and what is refused."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from tests.integration import archive, script
from tests.integration.other_software import dcmtk
from tests.integration.server import DEBIAN_13, SCRIPT, Server

from .peer import SYNTAXES, association, find, keys, start
from .raw_messages import Answer, RawScu, raw_scu
from .repository import (
    COMBINED, EMPTY, FUZZY, MULTIPLE, RELATIONAL, REPOSITORY, TIMEZONE, UNIQUE, ask, records, shared, value,
)

__all__ = ["shared"]

MakeServer = Callable[..., Server]
WANTED = {
    "STUDY": "StudyInstanceUID StudyDate StudyTime AccessionNumber PatientName PatientID StudyID StudyDescription "
             "ReferringPhysicianName PatientBirthDate PatientSex",
    "SERIES": "SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate StudyInstanceUID PatientID",
    "IMAGE": "SOPInstanceUID InstanceNumber SOPClassUID SeriesInstanceUID Modality StudyInstanceUID PatientName",
}


def refused(port: int, status: int, identifier: Dataset | bytes, extended: tuple[int, ...] = RELATIONAL) -> str:
    """The Error Comment of a query that fails; the association goes on."""
    with raw_scu(port, REPOSITORY, extended=extended) as scu:
        [answer] = scu.find(identifier)
        assert answer.status == status and answer.identifier is None, answer
        assert scu.find(keys(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3"))[-1].status == 0
        comment = str(answer.command.ErrorComment)
        assert 0 < len(comment) <= 64 and "\n" not in comment
        return comment


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("level", UNIQUE)
def test_each_level_tells_what_orthanc_tells(shared: tuple[Server, int], level: str, syntax: str) -> None:
    server, port = shared
    wanted = WANTED[level].split()
    with raw_scu(port, REPOSITORY, syntax, RELATIONAL) as scu:
        *answers, final = scu.find(keys(QueryRetrieveLevel=level, RecordKey=None, **dict.fromkeys(wanted, "")))
        assert final.status == 0 and final.identifier is None and scu.is_silent()
        data_sets = [scu.data_set(answer) for answer in answers]
        scu.release()
    found = sorted(tuple(value(answer, keyword) for keyword in wanted) for answer in data_sets)
    assert found == sorted(tuple(record.get(keyword, "") for keyword in wanted) for record in records(server, level))
    constant = {"SpecificCharacterSet", "QueryRetrieveLevel", "RetrieveAETitle"}
    for answer in data_sets:
        # All that was asked for, and what the standard wants besides.
        assert {element.keyword for element in answer} == {*wanted, "RecordKey", *constant}
        assert (answer.QueryRetrieveLevel, answer.RetrieveAETitle) == (level, "ORTHANC")
    assert len({answer.RecordKey for answer in data_sets}) == len(data_sets)


def matches(record: Mapping[str, str], query: Mapping[str, Callable[[str], bool]]) -> bool:
    return all(test(record.get(keyword, "")) for keyword, test in query.items())


QUERIES: dict[str, tuple[str, tuple[int, ...], dict[str, Any], Callable[[dict[str, str]], bool]]] = {
    "a patient": ("STUDY", (), {"PatientID": "P0002"}, lambda record: record["PatientID"] == "P0002"),
    "wild cards": ("STUDY", (), {"PatientName": "F?mily*"}, lambda record: record["PatientName"].startswith("Family")),
    "names in any case": ("STUDY", (), {"PatientName": "MEYER^eva"}, lambda record: record["PatientName"] == "Meyer^Eva"),
    "other text in its case": ("STUDY", (), {"StudyDescription": "thorax"}, lambda record: False),
    "a date": ("STUDY", (), {"StudyDate": "20150401"}, lambda record: record["StudyDate"] == "20150401"),
    "a range": ("STUDY", (), {"StudyDate": "20120101-20141231"}, lambda record: "2012" <= record["StudyDate"] < "2015"),
    "an open range": ("STUDY", (), {"StudyDate": "-20121231"}, lambda record: record["StudyDate"] < "2013"),
    "a range of times": ("STUDY", (), {"StudyTime": "2200-2359"}, lambda record: record["StudyTime"] == "233000"),
    "a list of UIDs": (
        "STUDY", (), {"StudyInstanceUID": [archive.uid(1, 1), archive.uid(2, 2), "1.2.3"]},
        lambda record: record["StudyInstanceUID"] in (archive.uid(1, 1), archive.uid(2, 2))),
    "everything": ("STUDY", (), {"PatientID": "*", "StudyDate": "*", "StudyInstanceUID": "*"}, lambda record: True),
    "text that is not ASCII": (
        "STUDY", (), {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller*"},
        lambda record: record["PatientName"].startswith("Müller")),
    "modalities of a study": ("STUDY", (), {"ModalitiesInStudy": "MR"}, lambda record: record["PatientID"] < "P0004"),
    "a count": ("STUDY", (), {"NumberOfStudyRelatedInstances": "6"}, lambda record: record["PatientID"] < "P0004"),
    "a sequence": (
        "STUDY", (), {"OtherPatientIDsSequence": [keys(PatientID="X2")]},
        lambda record: "X2" in record.get("OtherPatientIDs", "")),
    "a quotation that was not negotiated": ("STUDY", (1,), {"AccessionNumber": '""'}, lambda record: False),
    "an empty value": (
        "STUDY", EMPTY, {"AccessionNumber": '""'}, lambda record: not record.get("AccessionNumber")),
    "several values": (
        "STUDY", MULTIPLE, {"PatientID": ["P0001", "P0004"]}, lambda record: record["PatientID"] in ("P0001", "P0004")),
    "date and time apart": (
        "STUDY", (), {"StudyDate": "20150401-20150402", "StudyTime": "2300-2359"},
        lambda record: record["StudyDate"] == "20150401"),
    "date and time together": (
        "STUDY", COMBINED, {"StudyDate": "20150401-20150402", "StudyTime": "2300-0200"},
        lambda record: record["StudyDate"] in ("20150401", "20150402")),
    "a name without its accents": (
        "STUDY", FUZZY, {"PatientName": "jurgen muller"}, lambda record: record["PatientName"].startswith("Müller")),
    "the day in another time zone": (
        "STUDY", TIMEZONE, {"TimezoneOffsetFromUTC": "+0200", "StudyDate": "20150402"},
        lambda record: record["StudyDate"] in ("20150401", "20150402")),
    "a time zone that was not negotiated": (
        "STUDY", (1,), {"TimezoneOffsetFromUTC": "+0200", "StudyDate": "20150402"},
        lambda record: record["StudyDate"] == "20150402"),
    "series of a study": (
        "SERIES", (), {"StudyInstanceUID": archive.uid(2, 1)}, lambda record: record["StudyInstanceUID"] == archive.uid(2, 1)),
    "series of a study of two patients": (
        "SERIES", (), {"StudyInstanceUID": archive.uid(1, 1)}, lambda record: record["StudyInstanceUID"] == archive.uid(1, 1)),
    "series of one modality": (
        "SERIES", (), {"StudyInstanceUID": archive.uid(2, 1), "Modality": "MR"},
        lambda record: record["StudyInstanceUID"] == archive.uid(2, 1) and record["Modality"] == "MR"),
    "series anywhere": ("SERIES", RELATIONAL, {"Modality": "MR"}, lambda record: record["Modality"] == "MR"),
    "series of a patient": (
        "SERIES", RELATIONAL, {"PatientID": "P0001", "SeriesNumber": "2"},
        lambda record: record["PatientID"] == "P0001" and record["SeriesNumber"] == "2"),
    "instances of a series": (
        "IMAGE", (), {"StudyInstanceUID": archive.uid(2, 1), "SeriesInstanceUID": archive.uid(2, 1, 1)},
        lambda record: record["SeriesInstanceUID"] == archive.uid(2, 1, 1)),
    "an instance anywhere": (
        "IMAGE", RELATIONAL, {"SOPInstanceUID": archive.uid(2, 1, 1, 3)},
        lambda record: record["SOPInstanceUID"] == archive.uid(2, 1, 1, 3)),
    "numbers": ("IMAGE", RELATIONAL, {"InstanceNumber": "2"}, lambda record: record.get("InstanceNumber") == "2"),
    "a SOP class": ("IMAGE", RELATIONAL, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, lambda record: False),
    "instances by all levels": (
        "IMAGE", RELATIONAL, {"PatientName": "family2*", "Modality": "CT", "InstanceNumber": "1"},
        lambda record: record["PatientID"] == "P0002" and record["Modality"] == "CT" and record["InstanceNumber"] == "1"),
}


@pytest.mark.parametrize("what", QUERIES)
def test_matching(shared: tuple[Server, int], what: str) -> None:
    server, port = shared
    level, extended, query, expected = QUERIES[what]
    unique = UNIQUE[level]
    answers, status = ask(port, level, extended, **{unique: "", "PatientID": "", **query})
    wanted = [(record[unique], record["PatientID"]) for record in records(server, level) if expected(record)]
    assert status == 0
    assert sorted((value(answer, unique), value(answer, "PatientID")) for answer in answers) == sorted(wanted)


def test_a_similar_name_is_found_up_to_typing_errors(shared: tuple[Server, int]) -> None:
    answers, _ = ask(shared[1], "STUDY", FUZZY, PatientName="Meier Eva", PatientID="")
    assert [answer.PatientID for answer in answers] == ["P0005"]
    assert ask(shared[1], "STUDY", RELATIONAL, PatientName="Meier Eva") == ([], 0)


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ((), None),
        ((1,), b"\1"),
        ((0,), b"\0"),
        ((1, 1, 1), b"\1\1\1"),
        ((1, 0, 1, 0), b"\1\0\1\0"),
        ((1, 1, 1, 1, 1), b"\1\1\1\1\0"),
        ((1, 1, 1, 1, 1, 1, 1), b"\1\1\1\1\0\1\1"),
        ((1, 1, 1, 1, 1, 1, 1, 1, 1), b"\1\1\1\1\0\1\1"),
        ((0, 0, 0, 0, 0, 1), b"\0\0\0\0\0\1"),
        ((2, 255, 1), b"\0\0\1"),
    ],
)
def test_negotiation(shared: tuple[Server, int], offered: tuple[int, ...], answer: bytes | None) -> None:
    with raw_scu(shared[1], REPOSITORY, extended=offered) as scu:
        assert scu.extended == answer
        final = scu.find(keys(QueryRetrieveLevel="SERIES", Modality="MR"))[-1]
        assert final.status == (0 if answer and answer[0] else 0xA900)


REFUSED: dict[str, tuple[dict[str, Any], tuple[int, ...], str]] = {
    "no level": ({"StudyInstanceUID": ""}, RELATIONAL, "QueryRetrieveLevel"),
    "an unknown level": ({"QueryRetrieveLevel": "PATIENT"}, RELATIONAL, "QueryRetrieveLevel"),
    "a level of the inventory": ({"QueryRetrieveLevel": "INSTANCE"}, RELATIONAL, "QueryRetrieveLevel"),
    "an empty level": ({"QueryRetrieveLevel": ""}, RELATIONAL, "QueryRetrieveLevel"),
    "no study": ({"QueryRetrieveLevel": "SERIES", "Modality": "CT"}, (), "StudyInstanceUID"),
    "any study": ({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ""}, (), "StudyInstanceUID"),
    "several studies": ({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ["1.2", "1.3"]}, (), "StudyInstanceUID"),
    "no series": ({"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2"}, (), "SeriesInstanceUID"),
    "a series without a study": ({"QueryRetrieveLevel": "IMAGE", "SeriesInstanceUID": "1.2"}, (), "StudyInstanceUID"),
    "a wrong date": ({"QueryRetrieveLevel": "STUDY", "StudyDate": "20261399"}, RELATIONAL, "StudyDate"),
    "a wrong time": ({"QueryRetrieveLevel": "STUDY", "StudyTime": "25"}, RELATIONAL, "StudyTime"),
    "a range backwards": ({"QueryRetrieveLevel": "STUDY", "StudyDate": "20260101-20250101"}, RELATIONAL, "StudyDate"),
    "a wrong UID": ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.*"}, RELATIONAL, "StudyInstanceUID"),
    "several values": ({"QueryRetrieveLevel": "STUDY", "PatientID": ["SMITH", "B"]}, RELATIONAL, "PatientID"),
    "an empty date": ({"QueryRetrieveLevel": "STUDY", "StudyDate": '""'}, RELATIONAL, "StudyDate"),
    "two items": (
        {"QueryRetrieveLevel": "STUDY", "OtherPatientIDsSequence": [keys(PatientID="A"), keys(PatientID="B")]}, RELATIONAL,
        "OtherPatientIDsSequence"),
    "a record key": ({"QueryRetrieveLevel": "STUDY", "RecordKey": b"1234"}, RELATIONAL, "RecordKey"),
    "two limits": ({"QueryRetrieveLevel": "STUDY", "MaximumNumberOfRecords": [1, 2]}, RELATIONAL, "MaximumNumberOfRecords"),
    "a wrong offset": (
        {"QueryRetrieveLevel": "STUDY", "TimezoneOffsetFromUTC": "CET", "StudyDate": "20260101"}, TIMEZONE, "Timezone"),
    "an unknown character set": (
        {"QueryRetrieveLevel": "STUDY", "SpecificCharacterSet": "KLINGON", "PatientID": "SMITH"}, RELATIONAL, "Character"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_query(shared: tuple[Server, int], what: str) -> None:
    query, extended, word = REFUSED[what]
    previous, config.settings.writing_validation_mode = config.settings.writing_validation_mode, config.IGNORE
    try:
        comment = refused(shared[1], 0xA900, keys(**query), extended)
    finally:
        config.settings.writing_validation_mode = previous
    assert word in comment and "SMITH" not in comment


def element(tag: bytes, vr: bytes, content: bytes) -> bytes:
    long = vr in (b"SQ", b"OB", b"UN")
    return tag + vr + (b"\0\0" + len(content).to_bytes(4, "little") if long else len(content).to_bytes(2, "little")) + content


LEVEL = element(b"\x08\0\x52\0", b"CS", b"STUDY ")


@pytest.mark.parametrize(
    "identifier",
    [
        b"",
        b"\x08\0",
        LEVEL[:-2],
        LEVEL + b"\x10\0\x20\0XX\x02\0P ",
        LEVEL + element(b"\x10\0\x20\0", b"SQ", b""),
        LEVEL + element(b"\x10\0\x20\0", b"US", b"\1\0"),
        LEVEL + element(b"\x20\0\6\x12", b"IS", b"x "),
        element(b"\x10\0\x20\0", b"LO", b"P*") + LEVEL,
        element(b"\x08\0\x52\0", b"SQ", b""),
        element(b"\x08\0\x1c\4", b"LO", b"AB") + LEVEL,
        LEVEL + element(b"\x10\0\2\x10", b"SQ", b"\xfe\xff\0\xe0\x08\0\0\0abc"),
    ],
)
def test_data_sets_that_are_broken(shared: tuple[Server, int], identifier: bytes) -> None:
    with raw_scu(shared[1], REPOSITORY) as scu:
        [answer] = scu.find(identifier)
        assert answer.status == 0xA900 and answer.command.ErrorComment, answer


def test_text_may_come_in_another_vr(shared: tuple[Server, int]) -> None:
    with raw_scu(shared[1], REPOSITORY) as scu:
        for vr in (b"SH", b"UN", b"CS"):
            *answers, final = scu.find(LEVEL + element(b"\x10\0\x20\0", vr, b"P0004 "))
            assert (len(answers), final.status) == (1, 0)


def test_group_lengths_and_unknown_keys(shared: tuple[Server, int]) -> None:
    group_length = element(b"\x08\0\0\0", b"UL", (len(LEVEL)).to_bytes(4, "little"))
    with raw_scu(shared[1], REPOSITORY) as scu:
        *answers, final = scu.find(group_length + LEVEL + element(b"\x10\0\x20\0", b"LO", b"P0004 "))
        assert [answer.status for answer in (*answers, final)] == [0xFF00, 0]
        for unknown in (
            keys(Modality="XX"), keys(PhysiciansOfRecord="X"), keys(ItemInventoryDateTime=""),
            keys(QueryRetrieveView="CLASSIC"), keys(OtherPatientIDsSequence=[keys(StudyID="1")]),
        ):
            unknown.QueryRetrieveLevel, unknown.PatientID = "STUDY", "P0004"
            *answers, final = scu.find(unknown)
            assert [answer.status for answer in (*answers, final)] == [0xFF01, 0]
        private = keys(QueryRetrieveLevel="STUDY", PatientID="P0004")
        private.private_block(0x11, "SOMEBODY", create=True).add_new(1, "LO", "X")
        *answers, final = scu.find(private)
        assert [answer.status for answer in answers] == [0xFF01]


def test_an_identifier_that_is_too_large(shared: tuple[Server, int]) -> None:
    refused(shared[1], 0xA700, keys(QueryRetrieveLevel="STUDY", SelectorLTValue="x" * 1_100_000))


def test_mutated_identifiers(shared: tuple[Server, int]) -> None:
    """Whatever comes: an answer as it must be, and the next one is served."""
    query = keys(
        QueryRetrieveLevel="IMAGE", PatientName="F*", StudyDate="20100101-", SOPInstanceUID="", RecordKey=None,
        OtherPatientIDsSequence=[keys(PatientID="")], MaximumNumberOfRecords=3, FileAccessSequence=[],
    )
    dice = random.Random(1)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        implicit, deflated = syntax == ImplicitVRLittleEndian, syntax == DeflatedExplicitVRLittleEndian
        whole = encode(query, implicit, True, deflated)
        assert whole is not None
        with raw_scu(shared[1], REPOSITORY, syntax, RELATIONAL) as scu:
            for _ in range(80):
                mutated = bytearray(whole)
                for _ in range(dice.randint(1, 4)):
                    mutated[dice.randrange(len(mutated))] = dice.randrange(256)
                final = scu.find(bytes(mutated[: dice.choice((len(mutated), dice.randrange(1, len(mutated)))) & ~1]))[-1]
                assert final.status in (0, 0xB001, 0xA900, 0xA710, 0xA700)
            assert scu.find(query)[-1].status == 0xB001
    assert "failed" not in "".join(line for line in shared[0].log_lines() if "C-FIND" in line)


def test_pynetdicom_and_findscu_get_the_same(shared: tuple[Server, int], tmp_path: Path) -> None:
    """Baseline keys, from here and from Orthanc's own SCP."""
    server, port = shared
    queries: list[tuple[str, dict[str, str]]] = [
        ("STUDY", {"PatientID": "P000?", "StudyDate": "2011-2014", "StudyInstanceUID": ""}),
        ("STUDY", {"PatientName": "Family*", "AccessionNumber": "A001002", "StudyInstanceUID": "", "StudyID": ""}),
        ("STUDY", {"StudyDate": "20120101-20131231", "StudyTime": "", "StudyInstanceUID": "", "PatientID": ""}),
        ("STUDY", {"StudyInstanceUID": f"{archive.uid(1, 1)}\\{archive.uid(3, 2)}", "PatientID": ""}),
        ("SERIES", {"StudyInstanceUID": archive.uid(2, 1), "Modality": "CT", "SeriesInstanceUID": "", "SeriesNumber": ""}),
        ("IMAGE", {"StudyInstanceUID": archive.uid(2, 1), "SeriesInstanceUID": archive.uid(2, 1, 2), "InstanceNumber": "",
                   "SOPInstanceUID": ""}),
    ]
    queries[0][1]["StudyDate"] = "20110101-20141231"
    for number, (level, query) in enumerate(queries):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = [argument for keyword, text in query.items() for argument in ("-k", f"{keyword}={text}")]
        subprocess.run(
            ["findscu", "-S", "-X", "-aec", "ORTHANC", "-k", f"QueryRetrieveLevel={level}", *arguments, "127.0.0.1",
             str(server.dicom_port)],
            cwd=folder, check=True, capture_output=True, timeout=60,
        )
        theirs = [pydicom.dcmread(file, force=True) for file in sorted(folder.iterdir())]
        ours, status = find(port, sop_class=REPOSITORY, QueryRetrieveLevel=level, **query)
        assert status == 0 and ours
        sets = [
            sorted(tuple(value(answer, keyword) for keyword in query) for answer in answers) for answers in (theirs, ours)
        ]
        assert sets[0] == sets[1]


def test_pynetdicom_meets_the_limit(shared: tuple[Server, int]) -> None:
    """It takes the warning for no end and waits for more; its association ends so, not Orthanc."""
    server, port = shared
    with association(port, REPOSITORY, ae_title="PYNETDICOM") as made:
        made.dimse_timeout = 2
        statuses = [status.Status for status, _ in made.send_c_find(
            keys(QueryRetrieveLevel="STUDY", StudyInstanceUID="", MaximumNumberOfRecords=2), REPOSITORY) if "Status" in status]
    assert statuses[:3] == [0xFF00, 0xFF00, 0xB001]
    assert len(find(port, sop_class=REPOSITORY, QueryRetrieveLevel="STUDY", StudyInstanceUID="")[0]) == 9


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_dcmtk_reads_the_answers(shared: tuple[Server, int], syntax: str, tmp_path: Path) -> None:
    server, port = shared
    wanted = {keyword: "" for keyword in WANTED["IMAGE"].split()}
    with raw_scu(port, REPOSITORY, syntax, RELATIONAL) as scu:
        *answers, _ = scu.find(keys(
            QueryRetrieveLevel="IMAGE", **wanted, RecordKey=None, FileAccessSequence=[], MetadataSequence=[],
            UpdatedMetadataSequence=[], RemovedFromOperationalUse="", StoredInstanceBaseURI=""))
    folder = server.folder
    names = []
    for number, answer in enumerate(answers[:5]):
        assert answer.identifier is not None
        names.append(f"answer{number}")
        (folder / names[-1]).write_bytes(answer.identifier)
    option = "-te" if syntax == ExplicitVRLittleEndian else "-ti"
    dump = dcmtk(DEBIAN_13, folder, "dcmdump", "-f", option, *names)
    assert dump.count("RecordKey") == 5 and dump.count("MetadataSequence") == 10 and "Unknown Tag" not in dump


SLOWLY = """
from orthanc_inventory.sources.matches import Matches
at(Matches, "of", always, lambda *arguments: time.sleep(0.05))
"""


def test_cancel(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    server, port = start(make_server, PythonScript=str(script.write(folder, SLOWLY)))
    server.store(*archive.files(200))
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        message = scu.send(keys(QueryRetrieveLevel="STUDY", PatientName="Family*", StudyInstanceUID=""))
        answers: list[Answer] = []
        for answer in scu.answers():
            answers.append(answer)
            if len(answers) == 3:
                scu.cancel(message)
        assert answers[-1].status == 0xFE00 and len(answers) < 150 and scu.is_silent()
        # While nothing is found at all.
        message = scu.send(keys(QueryRetrieveLevel="STUDY", StudyDescription="nothing", StudyInstanceUID=""))
        scu.cancel(message)
        assert [answer.status for answer in scu.answers()] == [0xFE00]
        assert len(scu.find(keys(QueryRetrieveLevel="STUDY", StudyInstanceUID=archive.uid(1, 1)))) == 2


def test_orthanc_stops_in_the_middle(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    server, port = start(make_server, PythonScript=str(script.write(folder, SLOWLY)))
    server.store(*archive.files(200, 1, 1, 2))
    for _ in range(2):
        with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
            scu.send(keys(QueryRetrieveLevel="IMAGE", SOPInstanceUID=""))
            next(scu.answers())
            server.stop()
        server.start()
    server.stop()
    server.configuration["PythonScript"] = str(SCRIPT)
    server.start()
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        assert len(scu.find(keys(QueryRetrieveLevel="IMAGE", SOPInstanceUID=""))) == 401


def test_who_may_not_find_is_refused(make_server: MakeServer) -> None:
    _, port = start(make_server, DicomAlwaysAllowFind=False)
    with pytest.raises(AssertionError, match="refused: 1"):
        RawScu(port, REPOSITORY, ExplicitVRLittleEndian, b"", 65536, "INVENTORY", 60)
