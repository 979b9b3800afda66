"""Inventories are compared by routes: with one another, with files, with lists."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from . import archive, foreign
from .conftest import INSTALLATIONS, _name
from .server import Server
from .test_command_line import command, refused
from .test_import import take

# Patient, study, series, instance
LOST = [(2, 1, 1, 1), (3, 1, 1, 2), (4, 1, 2, 1), (4, 1, 2, 2)]


class Compared:
    """A server with an inventory of four patients, and one of what was left when two studies and a series were changed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        files = [
            archive.file(patient, 1, series, instance)
            for patient in range(1, 5)
            for series in (1, 2)
            for instance in (1, 2)
        ]
        identifiers = dict(zip([(p, 1, s, i) for p in range(1, 5) for s in (1, 2) for i in (1, 2)], server.store(*files)))
        self.first = server.make()["SOPInstanceUID"]
        self.studies = server.make(Level="STUDY")["SOPInstanceUID"]
        # A study, an instance and a series go, a study comes.
        for key, identifier in identifiers.items():
            if key in LOST or key[0] == 2:
                server.delete(f"/instances/{identifier}")
        server.store(archive.file(9, 1, PatientName="=cmd|'/c calc'!A1", PatientID="<b>9</b>"))
        self.second = server.make()["SOPInstanceUID"]

    def path(self, parameters: str = "") -> str:
        return f"/inventories/{self.first}/compare/{self.second}{parameters}"

    def text(self, parameters: str) -> str:
        answer = self.server.request("GET", self.path(parameters))
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.encoding = "utf-8"
        return answer.text


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    server = Server(request.param, tmp_path_factory.mktemp("compared"), configuration={"Verbose": False}).start()
    yield Compared(server)
    server.kill()


def difference(kind: str, *numbers: int, patient: str = "", **attributes: list[str]) -> dict[str, Any]:
    uids = [archive.uid(*numbers[:length]) if len(numbers) >= length else None for length in (2, 3, 4)]
    return {
        "Kind": kind, "Level": ("STUDY", "SERIES", "INSTANCE")[len(numbers) - 2], "PatientID": patient or f"P{numbers[0]:04}",
        "StudyInstanceUID": uids[0], "SeriesInstanceUID": uids[1], "SOPInstanceUID": uids[2], "Attributes": attributes,
    }


def post(compared: Compared, body: bytes) -> dict[str, Any]:
    answer = compared.server.request("POST", f"/inventories/{compared.first}/compare", data=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


EXPECTED = [
    difference("Missing", 2, 1),
    difference("Missing", 3, 1, 1, 2),
    difference("Missing", 4, 1, 2),
    difference("Extra", 9, 1, patient="<b>9</b>"),
]


def test_two_inventories_are_compared(compared: Compared) -> None:
    answer = compared.server.get(compared.path())
    assert (answer["First"], answer["Second"], answer["Level"]) == (compared.first, compared.second, "INSTANCE")
    assert not answer["Same"] and answer["Coverage"] == 9 / 16
    assert answer["CompletionStatus"] == {"First": "COMPLETE", "Second": "COMPLETE"}
    assert answer["Studies"] == {"First": 4, "Second": 4, "Missing": 1, "Extra": 1, "Different": 0}
    assert answer["Series"] == {"First": 8, "Second": 6, "Missing": 3, "Extra": 1, "Different": 0}
    assert answer["Instances"] == {"First": 16, "Second": 10, "Missing": 7, "Extra": 1, "Different": 0}
    assert answer["Differences"] == EXPECTED and answer["TotalDifferences"] == 4
    assert {"PatientID", "StudyDate", "SOPClassUID", "FileLengthInContainer", "MAC"} <= set(answer["Attributes"])
    back = compared.server.get(f"/inventories/{compared.second}/compare/{compared.first}")
    opposite = {"Missing": "Extra", "Extra": "Missing"}
    assert back["Differences"] == [{**entry, "Kind": opposite[entry["Kind"]]} for entry in EXPECTED]
    same = compared.server.get(f"/inventories/{compared.first}/compare/{compared.first}")
    assert same["Same"] and same["Coverage"] == 1 and same["Differences"] == []


def test_differences_are_paged_and_filtered(compared: Compared) -> None:
    pages = [compared.server.get(compared.path(f"?since={since}&limit=3"))["Differences"] for since in (0, 3, 6)]
    assert pages == [EXPECTED[:3], EXPECTED[3:], []]
    answer = compared.server.get(compared.path("?kind=Missing&limit=2"))
    assert answer["Differences"] == EXPECTED[:2] and answer["TotalDifferences"] == 3
    assert compared.server.get(compared.path("?kind=Different"))["Differences"] == []


def test_the_level_and_the_attributes_are_chosen(compared: Compared) -> None:
    server = compared.server
    answer = server.get(compared.path("?level=study&attributes=PatientID,NumberOfStudyRelatedInstances"))
    assert answer["Level"] == "STUDY" and answer["Series"] is None and answer["Coverage"] == 0.75
    assert answer["Attributes"] == ["NumberOfStudyRelatedInstances", "PatientID"]
    numbers = [[entry["StudyInstanceUID"], entry["Attributes"]] for entry in answer["Differences"] if entry["Attributes"]]
    assert numbers == [
        [archive.uid(3, 1), {"NumberOfStudyRelatedInstances": ["4", "3"]}],
        [archive.uid(4, 1), {"NumberOfStudyRelatedInstances": ["4", "2"]}],
    ]
    path = f"/inventories/{compared.studies}/compare/{compared.first}"
    assert "common is level STUDY" in server.error("GET", path, 400)
    assert server.get(f"{path}?level=STUDY")["Same"]


def test_lists_and_reports(compared: Compared) -> None:
    rows = list(csv.DictReader(io.StringIO(compared.text("?format=csv"), newline="")))
    assert [(row["Kind"], row["Level"], row["StudyInstanceUID"]) for row in rows] == [
        (entry["Kind"], entry["Level"], entry["StudyInstanceUID"]) for entry in EXPECTED
    ]
    assert compared.text("?format=csv&kind=Extra&attributes=PatientName").splitlines()[1].split(",")[2] == "<b>9</b>"
    assert compared.text("?format=uids").splitlines() == [archive.uid(2, 1), archive.uid(3, 1), archive.uid(4, 1)]
    assert compared.text("?format=uids&kind=Extra").splitlines() == [archive.uid(9, 1)]
    report = compared.text("?format=text")
    assert "56.25% of the instances of the first are in the second." in report and archive.uid(3, 1, 1, 2) in report


def test_bad_input_is_refused(compared: Compared) -> None:
    path = post(compared, b"StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,StudyDate")["Path"]
    for parameters, problem in {
        "?level=PATIENT": "level must be one of STUDY, SERIES, INSTANCE",
        "?attributes=StudyDate,Nonsense": "attributes: Nonsense cannot be compared; allowed keywords: ",
        "?kind=Lost": "kind must be one of Missing, Extra, Different",
        "?format=xml": "format must be one of json, csv, text, uids",
        "?limit=0": "limit must be an integer from 1 to 1000",
        "?since=x": "since must be an integer",
    }.items():
        assert compared.server.error("GET", compared.path(parameters), 400).startswith(problem)
        assert compared.server.error("GET", path + parameters, 400).startswith(problem)
    assert "no inventory" in compared.server.error("GET", f"/inventories/{compared.first}/compare/2.25.99", 404)
    assert "no inventory" in compared.server.error("GET", f"/inventories/2.25.99/compare/{compared.first}", 404)
    assert "no inventory" in compared.server.error("POST", "/inventories/2.25.99/compare", 404, data=b"x")


def test_an_inventory_is_compared_with_a_file(compared: Compared) -> None:
    server = compared.server
    root = server.request("GET", f"/inventories/{compared.second}/file").content
    whole = server.request("GET", f"/inventories/{compared.second}/archive").content
    assert zipfile.is_zipfile(io.BytesIO(whole))
    for body in (root, whole):
        answer = post(compared, body)
        path = answer.pop("Path")
        assert answer == server.get(compared.path()) == server.get(path)
        assert server.get(f"{path}?kind=Missing&since=1&limit=1")["Differences"] == EXPECTED[1:2]
        assert server.get(f"{path}?level=STUDY")["Coverage"] == 0.75
    elsewhere = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
    answer = post(compared, elsewhere)
    assert answer["Second"] == "1.9.1" and answer["Coverage"] == 0 and answer["Instances"]["Extra"] == 2


def test_an_inventory_is_compared_with_a_list(compared: Compared) -> None:
    server = compared.server
    lines = [
        f"{archive.uid(p, 1)},{archive.uid(p, 1, s)},{archive.uid(p, 1, s, i)},P{p:04}"
        for p in range(4, 0, -1) for s in (1, 2) for i in (2, 1)
    ]
    header = "StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,PatientID"
    answer = post(compared, "\n".join([header, *lines]).encode())
    assert answer["Same"] and answer["Second"] is None and answer["Attributes"] == ["PatientID"]
    answer = post(compared, "\n".join([header, *lines[:-2]]).encode())
    assert answer["Differences"] == [difference("Missing", 1, 1, 2)]
    assert server.request("GET", f"{answer['Path']}?format=uids").text.splitlines() == [archive.uid(1, 1)]
    answer = post(compared, b"StudyInstanceUID\n" + archive.uid(2, 1).encode())
    assert answer["Level"] == "STUDY" and answer["Coverage"] == 0.25
    assert "common is level STUDY" in server.error("GET", answer["Path"], 400)
    for body, problem in {
        b"": "the body, line 1: there is no column StudyInstanceUID; the first line must name the columns",
        b"{}": "the body, line 1: there is no column StudyInstanceUID; the first line must name the columns",
        b"StudyInstanceUID\n1.2\nsecret": "the body, line 3: StudyInstanceUID is no UID",
        b"StudyInstanceUID,PatientID\n1.2": "the body, line 2: there are 1 cells, and not 2 as in the first line",
    }.items():
        assert server.error("POST", f"/inventories/{compared.first}/compare", 400, data=body) == problem
    root = server.request("GET", f"/inventories/{compared.second}/file").content
    for broken in (root[: len(root) // 2], b"PK\3\4" + bytes(100)):
        message = server.error("POST", f"/inventories/{compared.first}/compare", 400, data=broken)
        assert message.startswith("body") and str(server.folder) not in message


def test_a_posted_file_leads_to_no_other(compared: Compared) -> None:
    server = compared.server
    (server.folder / "1.9.2.dcm").write_bytes(foreign.encode(foreign.inventory("1.9.2", [foreign.study(2)])))
    reference = foreign.reference("1.9.2")
    reference.FileAccessURI = (server.folder / "1.9.2.dcm").as_uri()
    reference.ContainerFileType = "DICOM"
    root = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)], [reference], TotalNumberOfStudyRecords=2))
    assert "1.9.2 is not there" in server.error("POST", f"/inventories/{compared.first}/compare", 400, data=root)


def test_many_ask_at_the_same_time(compared: Compared) -> None:
    paths = [compared.path(f"?attributes={name}") for name in ("PatientID", "StudyDate", "Modality", "MAC", "PatientName")] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(compared.server.get, paths))
    assert [json.dumps(answer["Differences"]) for answer in answers] == [json.dumps(EXPECTED)] * len(paths)


def test_patients_are_not_in_the_log(compared: Compared) -> None:
    compared.server.get(compared.path())
    assert "Family" not in compared.server.log() and "P0002" not in compared.server.log()


def test_an_increment_is_compared_as_a_whole(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    [first, _] = server.store(archive.file(1, 1), archive.file(2, 1))
    base = server.make()["SOPInstanceUID"]
    server.delete(f"/instances/{first}")
    increment = server.make(Base="latest")["SOPInstanceUID"]
    answer = server.get(f"/inventories/{base}/compare/{increment}")
    assert answer["Differences"] == [difference("Missing", 1, 1)]
    assert answer["Removed"]["Second"] == {"Studies": 1, "Series": 1, "Instances": 1}
    full = server.make()["SOPInstanceUID"]
    assert server.get(f"/inventories/{increment}/compare/{full}")["Same"]


def test_posted_files_are_few_and_private_and_go(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(archive.file(1, 1))
    path = f"/inventories/{server.make(Level='STUDY')['SOPInstanceUID']}/compare"
    lists = [f"StudyInstanceUID\n1.2.{number}".encode() for number in range(6)]
    paths = [server.request("POST", path, data=content).json()["Path"] for content in lists]
    kept = list((server.state_directory / "posted").iterdir())
    assert len(kept) == 4 and {folder.stat().st_mode & 0o777 for folder in kept} == {0o700}
    assert {file.stat().st_mode & 0o777 for folder in kept for file in folder.iterdir()} == {0o600}
    assert [server.request("GET", path).status_code for path in paths] == [404] * 2 + [200] * 4
    server.kill()
    server.start()
    assert not (server.state_directory / "posted").exists()


def test_what_is_not_whole_or_too_large_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaximumImportSize": 1}).start()
    root = foreign.encode(
        foreign.inventory("1.9.1", [foreign.study(1)], [foreign.reference("1.9.2")], TotalNumberOfStudyRecords=2)
    )
    take(server, root)
    take(server, foreign.encode(foreign.inventory("1.9.3", [foreign.study(3)])))
    for path in ("/inventories/1.9.1/compare/1.9.3", "/inventories/1.9.3/compare/1.9.1"):
        assert "Missing" in server.error("GET", path, 409)
    assert "1.9.2 is not there" in server.error("POST", "/inventories/1.9.3/compare", 400, data=root)
    assert "MaximumImportSize" in server.error("POST", "/inventories/1.9.3/compare", 413, data=bytes(1024 * 1024 + 1))


def test_the_command_line_compares_what_an_orthanc_keeps(compared: Compared) -> None:
    url = compared.server.url
    done = command("compare", compared.first, compared.second, "--url", url, "--json")
    assert done.returncode == 1 and json.loads(done.stdout) == compared.server.get(compared.path())
    assert command("compare", compared.second, "latest", "--url", url).returncode == 0
    assert "there is no inventory" in refused("compare", compared.first, "2.25.99", "--url", url)
