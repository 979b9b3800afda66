"""Scopes on a varied archive: by REST they are what a plain filter finds, and what Orthanc's own C-FIND finds where it can."""

from __future__ import annotations

import itertools
import json
import subprocess
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from . import archive
from .server import INSTALLATIONS, Server
from .waiting import wait_until

pytestmark = [pytest.mark.filterwarnings("ignore:Invalid value for VR DA"), pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")]

NAMES = [
    ("ISO_IR 100", "Müller^Zoë"),
    ("ISO_IR 100", "Muller^Zoe"),
    ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("GB18030", "王^小东"),
    (["", "ISO 2022 IR 87"], "Suzuki^Ichirou=鈴木^一郎"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO_IR 192", ""),
    ("ISO_IR 192", "DOE^JOHN"),
    ("ISO_IR 192", "Doe^Jane^^Dr."),
    ("ISO_IR 192", "O'Brien^Pat"),
    ("ISO_IR 192", "Smith [jr]^Al*"),
]
DATES = ["20191231", "20200101", "20200229", "20201231", "20210101", "", "2020.06.15", "20200615"]
TIMES = ["", "00", "0930", "101530", "101530.250000", "235959"]


def objects() -> Iterator[Dataset]:
    """48 studies; each third one has two series, each fourth one two instances a series."""
    for number in range(48):
        character_set, name = NAMES[number % len(NAMES)]
        attributes: dict[str, Any] = {
            "SpecificCharacterSet": character_set,
            "PatientName": name,
            "PatientID": ["", "P", "p", "P 1", "ID-é"][number % 5] + ("" if number % 5 == 0 else str(number // 20)),
            "PatientBirthDate": ["", "19700101", "19991231"][number % 3],
            "OtherPatientIDs": [None, "OLD1", "OLD1\\OLD2"][number % 3],
            "AccessionNumber": f"A{number % 7}" if number % 7 else "",
            "StudyDate": DATES[number % len(DATES)],
            "StudyTime": TIMES[number % len(TIMES)],
            "StudyDescription": ["Thorax", "thorax", "CT Thorax/Abdomen", ""][number % 4],
        }
        for series, instance in itertools.product(range(1, 3 if number % 3 == 0 else 2), range(1, 3 if number % 4 == 0 else 2)):
            modality = ["CT", "MR", "SR", ""][(number + series) % 4]
            # é is not in the character sets of Japan and China.
            if number % 5 == 4:
                attributes["SpecificCharacterSet"], attributes["PatientName"] = "ISO_IR 192", name
            yield archive.dataset(
                number, 1, series, instance, **attributes, Modality=modality,
                SeriesNumber=number % 3, BodyPartExamined=["", "CHEST"][number % 2],
                SOPClassUID="1.2.840.10008.5.1.4.1.1.4" if modality == "MR" else "1.2.840.10008.5.1.4.1.1.2",
            )


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=lambda installation: installation.name.replace(" ", "-"))
def varied(
    request: pytest.FixtureRequest, server_with: Callable[..., Server], index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    configuration = {"DicomAlwaysAllowFind": True}
    server = server_with(index, request.param, tmp_path_factory.mktemp("varied"), configuration=configuration).start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that their VR does not allow
        server.store(*map(archive.encode, objects()))
    # One more study of the same Study Instance UID, and one in another transfer syntax.
    server.store(archive.file(99, 1, StudyInstanceUID=archive.uid(1, 1), PatientName="Doe^Twin"))
    yield server
    server.kill()


def archived() -> list[list[Dataset]]:
    """The objects of each study."""
    twin = archive.dataset(99, 1, 1, 1, StudyInstanceUID=archive.uid(1, 1), PatientName="Doe^Twin")
    return [list(group) for _, group in itertools.groupby(objects(), lambda data: data.StudyInstanceUID)] + [[twin]]


Predicate = Callable[[Dataset], bool]


def value(data: Dataset, keyword: str) -> str:
    return str(data.get(keyword) or "")


def date(data: Dataset) -> str:
    return value(data, "StudyDate").replace(".", "")


def text(keyword: str, *values: str) -> Predicate:
    return lambda data: value(data, keyword) in values


def words(name: str) -> set[str]:
    return set(name.lower().replace("^", " ").replace("=", " ").split())


# Of studies: what any of the objects of the study tells.
STUDY_SCOPES: list[tuple[dict[str, Any], Predicate]] = [
    ({}, lambda data: True),
    ({"PatientID": "P0"}, text("PatientID", "P0")),
    ({"PatientID": "p*"}, lambda data: value(data, "PatientID").startswith("p")),
    ({"PatientID": "P0\\p1"}, text("PatientID", "P0", "p1")),
    ({"PatientID": "ID-é0"}, text("PatientID", "ID-é0")),
    ({"PatientID": "ID-e0"}, lambda data: False),
    ({"PatientID": '""'}, text("PatientID", "")),
    ({"PatientID": "*"}, lambda data: True),
    ({"PatientID": "P 1?"}, text("PatientID", "P 10", "P 11", "P 12")),
    ({"PatientName": "müller*"}, lambda data: value(data, "PatientName").startswith("Müller")),
    ({"PatientName": "MULLER^ZOE"}, text("PatientName", "Muller^Zoe")),
    ({"PatientName": "山田*"}, lambda data: "=山田" in value(data, "PatientName")),
    ({"PatientName": "鈴木^一郎"}, lambda data: "鈴木" in value(data, "PatientName")),
    ({"PatientName": "王^小东"}, text("PatientName", "王^小东")),
    ({"PatientName": "ﾔﾏﾀﾞ^*"}, lambda data: value(data, "PatientName").startswith("ﾔﾏﾀﾞ")),
    ({"PatientName": "홍^길동"}, lambda data: "홍^길동" in value(data, "PatientName")),
    ({"PatientName": "doe^*"}, lambda data: value(data, "PatientName").lower().startswith("doe^")),
    ({"PatientName": "Smith [jr]^*"}, lambda data: value(data, "PatientName").startswith("Smith")),
    ({"PatientName": '""'}, text("PatientName", "")),
    ({"PatientName": "John Doe", "ExtendedMatchingMechanisms": "FUZZY"},
     lambda data: {"john", "doe"} <= words(value(data, "PatientName"))),
    ({"PatientName": "Mueller", "ExtendedMatchingMechanisms": "FUZZY"},
     lambda data: value(data, "PatientName").startswith(("Müller", "Muller"))),
    ({"PatientName": "obrian", "ExtendedMatchingMechanisms": "FUZZY"}, text("PatientName", "O'Brien^Pat")),
    ({"PatientBirthDate": "19700101"}, text("PatientBirthDate", "19700101")),
    ({"PatientBirthDate": "-19701231"}, text("PatientBirthDate", "19700101")),
    ({"StudyDate": "20200101-20201231"}, lambda data: "20200101" <= date(data) <= "20201231"),
    ({"StudyDate": "20200615"}, lambda data: date(data) == "20200615"),
    ({"StudyDate": "20200601\\20200615\\20210101"}, lambda data: date(data) in ("20200615", "20210101")),
    ({"StudyDate": "-20191231"}, lambda data: "" < date(data) <= "20191231"),
    ({"StudyDate": '""'}, lambda data: date(data) == ""),
    ({"StudyTime": "00-0930"}, lambda data: value(data, "StudyTime") in ("00", "0930")),
    ({"StudyTime": "10"}, lambda data: value(data, "StudyTime").startswith("10")),
    ({"StudyDate": "20191231-20200229", "StudyTime": "10-00", "ExtendedMatchingMechanisms": "DATETIME"},
     lambda data: "2019123110" <= date(data) + value(data, "StudyTime") <= "20200229" + "005959" and len(date(data)) == 8),
    ({"StudyDate": "20191231", "TimezoneOffsetFromUTC": "-0100"},  # the server's own zone is +0000
     lambda data: (date(data) == "20191231" and value(data, "StudyTime") != "00")
     or (date(data) == "20200101" and value(data, "StudyTime") == "00")),
    ({"StudyUpdateDateTime": "2000-"}, lambda data: True),
    ({"StudyUpdateDateTime": "-2000"}, lambda data: False),
    ({"AccessionNumber": "A1\\A2"}, text("AccessionNumber", "A1", "A2")),
    ({"StudyDescription": "Thorax"}, text("StudyDescription", "Thorax")),
    ({"StudyDescription": "*Thorax*"}, lambda data: "Thorax" in value(data, "StudyDescription")),
    ({"StudyInstanceUID": f"{archive.uid(1, 1)}\\{archive.uid(7, 1)}"},
     text("StudyInstanceUID", archive.uid(1, 1), archive.uid(7, 1))),
    ({"OtherPatientIDsSequence": {"PatientID": "OLD2"}}, lambda data: "OLD2" in (data.get("OtherPatientIDs") or "")),
    ({"OtherPatientIDsSequence": '""'}, lambda data: not data.get("OtherPatientIDs")),
    ({"ReferringPhysicianName": "referring*", "PatientID": "P1"}, text("PatientID", "P1")),
    ({"RetrieveAETitle": "ORTHANC", "PatientID": "P1"}, text("PatientID", "P1")),
    ({"InstanceAvailability": "ONLINE", "PatientID": "P1"}, text("PatientID", "P1")),
    ({"OriginalAttributesSequence": {"ModifyingSystem": "*"}}, lambda data: False),
]

# Of series and instances: the study is in scope when one of its objects is.
DEEP_SCOPES: list[tuple[dict[str, Any], Predicate, Predicate]] = [
    ({"Modality": "MR"}, text("Modality", "MR"), lambda data: True),
    ({"Modality": "OT"}, text("Modality", ""), lambda data: True),
    ({"SeriesNumber": "01", "PatientID": "P*"},
     lambda data: data.SeriesNumber == 1 and value(data, "PatientID").startswith("P"), lambda data: True),
    ({"BodyPartExamined": '""', "Modality": "C?"},
     lambda data: not value(data, "BodyPartExamined") and data.Modality == "CT", lambda data: True),
    ({"InstanceAvailability": "ONLINE", "Modality": "MR"}, text("Modality", "MR"), lambda data: True),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, lambda data: True, text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4")),
    ({"InstanceNumber": "2", "Modality": "CT\\SR"}, text("Modality", "CT", "SR"), text("InstanceNumber", "2")),
    ({"SOPInstanceUID": f"{archive.uid(4, 1, 1, 2)}\\{archive.uid(5, 1, 1, 1)}"},
     lambda data: True, text("SOPInstanceUID", archive.uid(4, 1, 1, 2), archive.uid(5, 1, 1, 1))),
    ({"FileAccessSequence": {"StoredInstanceTransferSyntaxUID": ImplicitVRLittleEndian}},
     lambda data: True, lambda data: False),
]


def identity(study: Dataset) -> tuple[str, str]:
    return (study.StudyInstanceUID, value(study, "PatientName"))


def in_scope(server: Server, scope: dict[str, Any], **body: Any) -> list[Dataset]:
    """The study records of an inventory, which is deleted again, and which the preview must have foreseen."""
    summary = server.make(Scope=scope, **body)
    assert server.post("/inventories/preview", {"Scope": scope}) == {"Studies": summary["Studies"]}
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Scope"] == scope
    studies = server.studies(summary)
    server.delete(f"/inventories/{summary['SOPInstanceUID']}")
    return studies


def written(part: Any) -> str:
    return json.dumps(part) if isinstance(part, dict) else ""


@pytest.mark.parametrize(("scope", "predicate"), STUDY_SCOPES, ids=written)
def test_a_scope_is_a_plain_filter_of_studies(varied: Server, scope: dict[str, Any], predicate: Predicate) -> None:
    found = sorted(map(identity, in_scope(varied, scope, Level="STUDY")))
    assert found == sorted(identity(study[0]) for study in archived() if predicate(study[0]))


@pytest.mark.parametrize(("scope", "of_series", "of_instance"), DEEP_SCOPES, ids=written)
def test_a_scope_of_series_and_instances_selects_both(
    varied: Server, scope: dict[str, Any], of_series: Predicate, of_instance: Predicate
) -> None:
    chosen = [study for study in archived() if any(of_series(data) and of_instance(data) for data in study)]
    expected = {
        level: sorted(
            {data.SOPInstanceUID for study in chosen for data in study if of_series(data) and of_instance(data)}
            if level == "INSTANCE" else
            {data.SeriesInstanceUID for study in chosen for data in study if of_series(data)}
        )
        for level in ("SERIES", "INSTANCE")
    }
    studies = in_scope(varied, scope, Level="INSTANCE")
    series = [entry for study in studies for entry in study.InventoriedSeriesSequence]
    assert sorted(map(identity, studies)) == sorted(identity(study[0]) for study in chosen)
    assert sorted(entry.SeriesInstanceUID for entry in series) == expected["SERIES"]
    found = sorted(instance.SOPInstanceUID for entry in series for instance in entry.InventoriedInstancesSequence)
    assert found == expected["INSTANCE"]
    # A coarser inventory is about the same studies.
    assert len(in_scope(varied, scope, Level="STUDY")) == len(studies)


def test_the_sequence_of_the_standard_is_a_scope_too(varied: Server) -> None:
    scope = {"StudyDate": "20200101-20201231", "Modality": "CT\\MR"}
    summary = varied.make(Scope=scope, Level="STUDY")
    root = varied.file(summary["SOPInstanceUID"])
    sequence = root.to_json_dict()["00080400"]
    again = varied.make(Scope={"ScopeOfInventorySequence": sequence}, Level="STUDY")
    assert again["Scope"] == scope and again["Studies"] == summary["Studies"] > 0
    assert varied.file(again["SOPInstanceUID"]).ScopeOfInventorySequence == root.ScopeOfInventorySequence
    for made in (summary, again):
        varied.delete(f"/inventories/{made['SOPInstanceUID']}")


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"PatientI": "x"}, ["Scope.PatientI", "no keyword"]),
        ({"00191010": "x"}, ["Scope.00191010", "private tag without its creator"]),
        ({"StudyDate": "20200101-20190101"}, ["Scope.StudyDate", "not after its last"]),
        ({"PatientID": 'a\\""'}, ["Scope.PatientID", "two kinds of matching"]),
        ({"Modality": "CT", "QueryRetrieveLevel": "STUDY"}, ["Scope.Modality", "wrong level"]),
        ({"InstanceAvailability": "ONLINE", "QueryRetrieveLevel": "IMAGE"}, ["Scope.InstanceAvailability", "index"]),
        ({"Rows": "512"}, ["Scope.Rows", "index", "ExtraMainDicomTags"]),
        ({"ProcedureCodeSequence": {"CodeValue": "x"}}, ["Scope.ProcedureCodeSequence"]),
    ],
)
def test_what_cannot_be_matched_is_refused_by_name(varied: Server, scope: dict[str, Any], words: list[str]) -> None:
    before = varied.get("/inventories/transactions")
    for route in ("/inventories", "/inventories/preview"):
        message = varied.error("POST", route, 400, data=json.dumps({"Scope": scope}))
        assert all(word in message for word in words), message
    assert varied.get("/inventories/transactions") == before


def test_a_preview_makes_nothing_and_does_not_count_inventories(varied: Server) -> None:
    summary = varied.make(Level="STUDY")
    before = varied.get("/inventories/transactions"), varied.get("/statistics")
    assert varied.post("/inventories/preview") == varied.post("/inventories/preview", {"Scope": {}}) == {"Studies": 49}
    assert (varied.get("/inventories/transactions"), varied.get("/statistics")) == before
    assert "Scope" in varied.error("POST", "/inventories/preview", 400, data='{"Level": "STUDY"}')
    varied.delete(f"/inventories/{summary['SOPInstanceUID']}")


def test_what_only_files_say_can_be_matched_with_them(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "P1", "99TEST", "Procedure"
    server.store(
        archive.file(1, 1, ProcedureCodeSequence=[code], Rows=512), archive.file(2, 1, Rows=256),
        archive.file(3, 1, AccessionNumber=None, Rows=256),
    )

    def patients(scope: dict[str, Any]) -> list[str]:
        assert "Scope." in server.error("POST", "/inventories/preview", 400, data=json.dumps({"Scope": scope}))
        body = {"Scope": scope, "Detail": "Files"}
        studies = server.studies(server.make(**body))
        assert server.post("/inventories/preview", body) == {"Studies": len(studies)}
        return sorted(study.PatientID for study in studies)

    assert patients({"ProcedureCodeSequence": {"CodeValue": "P?", "CodingSchemeDesignator": "99TEST"}}) == ["P0001"]
    assert patients({"Rows": "256"}) == ["P0002", "P0003"] and patients({"Rows": "256", "PatientID": "*2"}) == ["P0002"]
    assert patients({"Rows": "256", "AccessionNumber": '""'}) == ["P0003"]
    message = server.error(
        "POST", "/inventories", 400, data=json.dumps({"Scope": {"StorageMediaFileSetID": "x"}, "Detail": "Files"})
    )
    assert "Scope.StorageMediaFileSetID" in message


def test_others_are_served_while_a_preview_counts_and_orthanc_can_stop(make_server: Callable[..., Server]) -> None:
    server = make_server()
    text = "at(IndexSource, 'read', always, lambda *arguments: (open(folder + '/reads', 'a').write('.'), time.sleep(1)))"
    server.start_with(text)
    server.store(*archive.files(20))
    with ThreadPoolExecutor() as pool:
        counting = pool.submit(server.request, "POST", "/inventories/preview")
        wait_until((server.folder / "reads").exists)
        assert server.get("/inventories/transactions") == [] and not counting.done()
        server.stop()
        assert isinstance(counting.exception(), requests.ConnectionError)
    assert len((server.folder / "reads").read_text()) < 20


def test_an_object_that_cannot_be_read_leaves_its_study_neither_in_nor_out(make_server: Callable[..., Server]) -> None:
    server = make_server()
    text = """
def fail(*arguments):
    raise HostError(14, "the database is broken")
at(Objects, 'record', [2], fail)
"""
    server.start_with(text)
    server.store(*archive.files(3))
    summary = server.make(Scope={"InstanceNumber": "1"})
    (skipped,) = server.transaction(summary["TransactionUID"])["Skipped"]
    assert skipped["ID"] in server.get("/studies") and "in scope or not" in skipped["Reason"]
    assert (summary["Studies"], summary["InventoryCompletionStatus"]) == (2, "PARTIAL")


def test_labels_select_studies_where_orthanc_has_them(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(*archive.files(4))
    studies = {server.get(f"/studies/{study}/patient")["MainDicomTags"]["PatientID"]: study for study in server.get("/studies")}
    if not server.get("/system").get("HasLabels"):
        message = server.error("POST", "/inventories/preview", 400, data='{"Scope": {"Labels": "x"}}')
        assert "Scope.Labels" in message and "1.12.0" in message
        return
    for patient, labels in {"P0001": ["a"], "P0002": ["a", "b"], "P0003": ["b", "c"]}.items():
        for label in labels:
            assert server.request("PUT", f"/studies/{studies[patient]}/labels/{label}").status_code == 200

    def patients(scope: dict[str, Any]) -> list[str]:
        return sorted(study.PatientID for study in in_scope(server, scope))

    assert patients({"Labels": ["a"]}) == ["P0001", "P0002"]
    assert patients({"Labels": ["a", "b"]}) == ["P0002"]
    assert patients({"Labels": ["b"], "PatientID": "*3"}) == ["P0003"] and patients({"Labels": ["d"]}) == []
    root = server.file(server.make(Scope={"Labels": "a\\b"}, Description="Mine")["SOPInstanceUID"])
    assert root.InventoryInstanceDescription == "Mine; Only studies with the labels a, b"
    assert root.ScopeOfInventorySequence == []


def test_labels_are_not_cut_off_by_limits(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"LimitFindResults": 1}).start()
    server.store(*archive.files(3))
    if server.get("/system").get("HasLabels"):
        for study in server.get("/studies"):
            server.request("PUT", f"/studies/{study}/labels/a")
        assert len(in_scope(server, {"Labels": ["a"]})) == 3
    assert len(in_scope(server, {"StudyDate": "20000101-20300101"})) == 3


def test_a_study_that_came_just_now_is_counted_by_what_its_first_series_tells(server: Server) -> None:
    server.store(*archive.files(1, 1, 3, 2))
    assert len(in_scope(server, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, Level="STUDY")) == 1


# Orthanc's own C-FIND as the oracle, for the keys that it knows and matches as the standard says. It differs, and is left out
# here, in these: person names match by their whole value only, not by component group; all comparisons are without accents
# (Muller finds Müller) for the attributes that it indexes; dates and times are compared as text, so that a date with dots or
# a time of less precision is off; "" is no empty value; a list separated by backslashes has no wild cards.
QUERIES = [
    {"PatientID": "P0"},
    {"PatientID": "P*"},
    {"PatientID": "P 1?"},
    {"PatientID": "P0\\p1"},
    {"PatientName": "DOE^*"},
    {"PatientName": "*^J*"},
    {"PatientName": "Smith [jr]^*"},
    {"AccessionNumber": "A1\\A2"},
    {"AccessionNumber": "A?"},
    {"StudyDate": "20210101"},
    {"StudyDate": "20201231-20210101"},
    {"StudyDate": "20201231-"},
    {"StudyDescription": "CT*"},
    {"StudyInstanceUID": f"{archive.uid(1, 1)}\\{archive.uid(7, 1)}"},
    {"ModalitiesInStudy": "MR"},
    {"ModalitiesInStudy": "MR\\SR"},
    {"PatientID": "P*", "ModalitiesInStudy": "CT"},
]


def c_find(server: Server, folder: Path, keys: dict[str, str]) -> list[str]:
    """Study Instance UIDs that Orthanc answers to DCMTK's findscu."""
    command = ["findscu", "-S", "-X", "-od", str(folder), "-aec", "ORTHANC", "127.0.0.1", str(server.dicom_port)]
    asked = {"QueryRetrieveLevel": "STUDY", "SpecificCharacterSet": "ISO_IR 192", "StudyInstanceUID": "", **keys}
    for keyword, text in asked.items():
        command += ["-k", f"{keyword}={text}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(pydicom.dcmread(file, force=True).StudyInstanceUID for file in folder.glob("rsp*.dcm"))


@pytest.mark.parametrize("keys", QUERIES, ids=json.dumps)
def test_a_scope_finds_what_c_find_finds(varied: Server, keys: dict[str, str], tmp_path: Path) -> None:
    found = c_find(varied, tmp_path, keys)
    assert sorted(study.StudyInstanceUID for study in in_scope(varied, keys, Level="STUDY")) == found
    assert found
