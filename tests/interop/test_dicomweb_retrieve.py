"""Inventories are retrieved by DICOMweb (PS3.18 12.4) in each media type, and say there what their files say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from tests.integration import archive, foreign
from tests.integration.conftest import _name
from tests.integration.detailed_objects import KINDS
from tests.integration.server import DEBIAN_13, INSTALLATIONS, Installation, Server
from tests.unit import inventories

from .dicomweb import INVENTORIES, parts, xml_values
from .peer import SYNTAXES, data_set
from .test_inventory_retrieve import peak

MakeServer = Callable[..., Server]
JSON, FILE, XML = "application/dicom+json", "application/dicom", "application/dicom+xml"
XML_PARTS, FILE_PARTS = f'multipart/related; type="{XML}"', f'multipart/related; type="{FILE}"'
EXPLICIT, IMPLICIT, DEFLATED = SYNTAXES
# Values of all kinds that JSON and XML must write in their own way.
STRANGE = foreign.item(
    PatientName=["Müller^Jürgen^^Dr.^PhD=山田^太郎=やまだ^たろう", "^Only=", "A&B<c>^\"d\""],
    StudyDescription="<script>alert('&amp;')</script> ]]> \"quoted\"",
    ImageComments="tab\tline\r\nnext\rthird",
    PersonTelephoneNumbers=["A", "", "C", " "],
    ImageOrientationPatient=["1.50", "-0", "1e-3"],
    SeriesNumber=["+7"],
    ReferencedFrameNumber=["1", "007"],
    PixelAspectRatio=[3, 4],
    Rows=512,
    SimpleFrameList=[1, 2**32 - 1],
    RealWorldValueSlope=0.1,
    ImageAndFluoroscopyAreaDoseProduct="1.25",
    SelectorFLValue=[0.1, -2.5],
    SelectorSLValue=[-1, 2],
    SelectorUVValue=[2**64 - 1, 0],
    FrameIncrementPointer=[0x00181063, 0x00181065],
    RetrieveURL="https://example.org/?a=1&b=2",
    MAC=bytes(range(20)),
    ReferencedStudySequence=[foreign.item(), foreign.item(ReferencedSOPInstanceUID="1.2.3")],
    ReferencedSeriesSequence=[],
)


STRANGE_BLOCK = STRANGE.private_block(0x0011, "Söhne + Co", create=True)
STRANGE_BLOCK.add_new(0x01, "LO", "private <value>")
STRANGE_BLOCK.add_new(0x02, "SQ", [foreign.item(CodeValue="1")])


def strange() -> Dataset:
    modified = foreign.item(
        ModifiedAttributesSequence=[STRANGE], AttributeModificationDateTime="20260101", ModifyingSystem="x",
        SourceOfPreviousValues="", ReasonForTheAttributeModification="COERCE",
    )
    references = [foreign.reference("1.9.5", foreign.reference("1.9.6"))]
    return foreign.inventory(
        "1.9.1", [foreign.study(1, 2, 3), foreign.study(2, OriginalAttributesSequence=[modified])], references,
        SpecificCharacterSet="ISO_IR 192",
    )


def japanese() -> Dataset:
    """A study in other character sets than the inventory."""
    study = foreign.study(2)
    study.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    study.PatientName = "Yamada^Tarou=山田^太郎"
    return foreign.inventory("1.9.4", [study])


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One inventory made here with all that headers say, and from elsewhere one in each transfer syntax and one in Japanese."""
    server = Server(request.param, tmp_path_factory.mktemp("shared")).start()
    server.store(*archive.files(2), *(archive.encode(make()) for make in KINDS.values()))
    server.make(Detail="Files", Purpose="<Prüfung> & \"mehr\"")
    for number, syntax in enumerate(SYNTAXES, 1):
        data = strange()
        data.SOPInstanceUID = f"1.9.{number}"
        assert server.request("POST", "/inventories/import", data=foreign.encode(data, syntax)).status_code == 200
    assert server.request("POST", "/inventories/import", data=foreign.encode(japanese())).status_code == 200
    yield server
    server.kill()


def retrieve(server: Server, uid: str, accept: str | None = None, query: str = "") -> requests.Response:
    """With ``None`` the header Accept is not there."""
    answer = server.request("GET", f"{INVENTORIES}/{uid}{query}", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    return answer


def instances(server: Server) -> list[str]:
    return server.get("/inventories")


def file_of(server: Server, uid: str) -> bytes:
    return server.request("GET", f"/inventories/{uid}/file").content


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    """DICOM JSON with what is a matter of choice decided: all text is UTF-8, DS are numbers, what is empty has no value."""
    result: dict[str, Any] = {}
    for tag, attribute in data.items():
        if tag == "00080005":
            continue
        vr, values = attribute["vr"], attribute.get("Value", [])
        if vr == "SQ":
            values = [comparable(item) for item in values]
        elif vr == "DS":
            values = [float(value) for value in values]
        values = [None if value == "" else value for value in values]
        result[tag] = {"vr": vr, **({"Value": values} if values else {})}
        if attribute.get("InlineBinary"):
            result[tag]["InlineBinary"] = attribute["InlineBinary"]
    return result


@pytest.mark.parametrize("number", range(5))
def test_json_is_that_of_pydicom(shared: Server, number: int) -> None:
    uid = instances(shared)[number]
    answer = retrieve(shared, uid, JSON)
    assert answer.headers["Content-Type"] == JSON
    [found] = json.loads(answer.content.decode("utf-8"))
    assert found["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    expected = pydicom.dcmread(BytesIO(file_of(shared, uid))).to_json_dict(suppress_invalid_tags=False)
    assert comparable(found) == comparable(expected)
    Dataset.from_json(found)


@pytest.mark.parametrize("number", range(4))
def test_xml_is_that_of_dcmtk(shared: Server, number: int, tmp_path: Path) -> None:
    uid = instances(shared)[number]
    answer = retrieve(shared, uid, XML_PARTS)
    [(kind, document)] = parts(answer, XML)
    assert kind == XML and document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    found = ElementTree.fromstring(document)
    assert found.attrib == {"{http://www.w3.org/XML/1998/namespace}space": "preserve"}
    (tmp_path / "file.dcm").write_bytes(file_of(shared, uid))
    # DCMTK of Debian 12 does not know the attributes of inventories.
    command = DEBIAN_13.command(
        tmp_path, "dcm2xml", "--native-format", "--encode-base64", "--convert-to-utf8", str(tmp_path / "file.dcm")
    )
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert xml_values(found) == xml_values(ElementTree.fromstring(done.stdout))


def test_xml_is_utf_8_whatever_the_file_is(shared: Server) -> None:
    answer = retrieve(shared, "1.9.4", XML)
    assert answer.headers["Content-Type"] == XML
    document = ElementTree.fromstring(answer.content)
    assert [name.text for name in document.findall(".//{*}GivenName")] == ["Tarou", "太郎"]
    texts = {attribute.attrib["keyword"]: attribute[0].text for attribute in document if len(attribute)}
    assert texts["InventoryPurpose"] == "Umzug nach Köln" and texts["SpecificCharacterSet"] == "ISO_IR 192"


def test_xml_is_well_formed_whatever_the_values_are(make_server: MakeServer) -> None:
    server = make_server().start()
    text = "".join(map(chr, (*range(1, 32), 127, 133, 0xFFFE, 0xFFFF))) + "&lt;<![CDATA[x]]>\U0001f600"
    file = foreign.encode(foreign.inventory("1.9.1", SpecificCharacterSet="ISO_IR 192", InventoryPurpose=text))
    assert server.request("POST", "/inventories/import", data=file).status_code == 200
    document = ElementTree.fromstring(retrieve(server, "1.9.1", XML).content)
    [purpose] = [entry for entry in document if entry.attrib["tag"] == "00080401"]
    expected = "".join(
        sign if sign in "\t\n\r" or " " <= sign < "\ufffe" or sign > "\uffff" else "\ufffd" for sign in text
    )
    assert purpose[0].text == expected
    [found] = retrieve(server, "1.9.1").json()
    assert found["00080401"]["Value"] == [text]


@pytest.mark.parametrize("accept", [FILE, f"{FILE};transfer-syntax=*", f"{FILE}; transfer-syntax={EXPLICIT}", FILE_PARTS])
def test_the_file_is_that_of_the_other_route(shared: Server, accept: str) -> None:
    for uid in (instances(shared)[0], "1.9.1"):
        answer = retrieve(shared, uid, accept)
        if accept == FILE_PARTS:
            [(kind, content)] = parts(answer, FILE)
        else:
            kind, content = answer.headers["Content-Type"], answer.content
        assert kind == f"{FILE}; transfer-syntax={EXPLICIT}" and content == file_of(shared, uid)


@pytest.mark.parametrize(
    ("uid", "wanted", "expected"),
    [
        ("1.9.1", DEFLATED, DEFLATED), ("1.9.2", None, EXPLICIT), ("1.9.2", "*", EXPLICIT), ("1.9.2", DEFLATED, DEFLATED),
        ("1.9.3", None, EXPLICIT), ("1.9.3", "*", DEFLATED), ("1.9.3", EXPLICIT, EXPLICIT), ("1.9.3", DEFLATED, DEFLATED),
    ],
)
def test_the_transfer_syntax_is_what_was_asked_for(shared: Server, uid: str, wanted: str | None, expected: str) -> None:
    for accept in (FILE, FILE_PARTS):
        answer = retrieve(shared, uid, accept + (f'; transfer-syntax="{wanted}"' if wanted else ""))
        [(_, content)] = parts(answer, FILE) if accept == FILE_PARTS else [("", answer.content)]
        read = pydicom.dcmread(BytesIO(content))
        assert read.file_meta.TransferSyntaxUID == expected and read.file_meta.MediaStorageSOPInstanceUID == uid
        assert data_set(content) == data_set(file_of(shared, uid))


ACCEPTED: dict[str, tuple[str | None, str]] = {
    "no header": (None, JSON),
    "anything": ("*/*", JSON),
    "an application": ("application/*", JSON),
    "as a browser does": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
    "the first of equals": (f"{FILE}, {JSON}", FILE),
    "the better one": (f"{FILE};q=0.5, {JSON};q=0.8", JSON),
    "the type before the range": (f"*/*, {FILE}", FILE),
    "the range when it is better": (f"{FILE};q=0.5, */*", JSON),
    "not the default": (f"*/*, {JSON};q=0", FILE),
    "the one that there is": (f"text/html, {XML}", XML),
    "another transfer syntax first": (f"{FILE};transfer-syntax={IMPLICIT}, {JSON};q=0.1", JSON),
    "a range with its own quality": (f"application/*;q=0.1, {XML};q=0.5, */*;q=0.2", XML),
    "capital letters": ("Application/DICOM", FILE),
    "any multipart": ("multipart/related", "multipart/related"),
    "quotes with signs": ('multipart/related; x="a,b;c\\"d"; type="application/dicom+xml"', "multipart/related"),
    "UTF-8": (f"{JSON};charset=UTF-8", JSON),
    "no type at all among others": (f",;=,{FILE},", FILE),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_the_header_accept(shared: Server, what: str) -> None:
    accept, expected = ACCEPTED[what]
    assert retrieve(shared, "1.9.1", accept).headers["Content-Type"].partition(";")[0] == expected


@pytest.mark.parametrize(
    "accept",
    [
        "text/html", f"{FILE};transfer-syntax={IMPLICIT}", f"{FILE};transfer-syntax=1.2.840.10008.1.2.4.50", "image/jpeg",
        'multipart/related; type="image/jpeg"', f"{JSON};q=0", "*/*;q=0", "q=1", f"{JSON};q=2", f"{JSON};charset=latin-1",
        f'multipart/related; type="{JSON}"', ";" * 500, '"' * 500,
    ],
)
def test_what_is_not_acceptable(shared: Server, accept: str) -> None:
    message = shared.error("GET", f"{INVENTORIES}/1.9.1", 406, headers={"Accept": accept})
    assert JSON in message and FILE in message


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        (quote(FILE), JSON, FILE), (FILE, "*/*", FILE), (JSON, FILE, JSON), (quote(JSON, safe=""), FILE, JSON),
        (quote(XML_PARTS, safe=""), JSON, "multipart/related"), ("text/html", FILE, FILE),
        ("text/html," + quote(XML, safe=""), JSON, XML), ("", FILE, FILE),
    ],
)
def test_the_parameter_accept_comes_first(shared: Server, query: str, accept: str, expected: str) -> None:
    answer = retrieve(shared, "1.9.1", accept, f"?accept={query}")
    assert answer.headers["Content-Type"].partition(";")[0] == expected


def test_what_is_not_there(shared: Server) -> None:
    for uid in ("1.2.3", "1.9.5", "0" * 64, "1" * 200):
        shared.error("GET", f"{INVENTORIES}/{uid}", 404)
    for path in (f"{INVENTORIES}/study", f"{INVENTORIES}/1.9.1/file", f"{INVENTORIES}/1.9.1%0d%0aX: y"):
        assert shared.request("GET", path).status_code == 404
    shared.error("GET", f"{INVENTORIES}/1.2.3?accept=nonsense", 404)
    # Not below this root (PS3.18 12.1), and what Orthanc passes on to no plugin.
    assert shared.request("OPTIONS", INVENTORIES).status_code == 404
    for method in ("DELETE", "PUT"):
        answer = shared.request(method, f"{INVENTORIES}/1.9.1")
        assert answer.status_code == 405 and answer.headers["Allow"] == "GET,POST"


def test_leaves_are_resources_of_their_own(make_server: MakeServer) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6, "StoreIn": "Directory"}).start()
    server.store(*archive.files(4))
    summary = server.make()
    assert len(summary["InstanceUIDs"]) > 2
    for uid in summary["InstanceUIDs"]:
        [found] = retrieve(server, uid).json()
        studies = found["00080423"].get("Value", [])
        assert found["00080018"]["Value"] == [uid] and len(studies) == found["00080427"]["Value"][0]
    leaf = summary["InstanceUIDs"][-1]
    [path] = server.state_directory.rglob(f"{leaf}.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    # Where the answer has begun when that is found, it ends early.
    streams = server.get("/inventories/status")["Capabilities"]["StreamedAnswers"]
    answer = server.request("GET", f"{INVENTORIES}/{leaf}")
    assert answer.status_code == (200 if streams else 409) and "internal error" not in server.log()
    if streams:
        with pytest.raises(ValueError):
            answer.json()
    path.write_bytes(whole[:200])
    for accept in (JSON, FILE, XML_PARTS):
        assert "cannot be read" in server.error("GET", f"{INVENTORIES}/{leaf}", 409, headers={"Accept": accept})
    path.unlink()
    assert "removed" in server.error("GET", f"{INVENTORIES}/{leaf}", 404)


def test_dicomweb_client(shared: Server) -> None:
    """It knows no inventories, but asks for those of the service as for an instance and its metadata."""
    client = DICOMwebClient(f"{shared.url}/dicom-web")
    url = f"{shared.url}{INVENTORIES}/1.9.1"
    [found] = client._http_get_multipart_application_dicom(url)
    assert found == pydicom.dcmread(BytesIO(file_of(shared, "1.9.1")))
    [metadata] = client._http_get_application_json(url)
    assert Dataset.from_json(metadata).SOPInstanceUID == "1.9.1"


LARGE = {"JSON": JSON, "XML": XML_PARTS, "the file": FILE, "deflated": f"{FILE};transfer-syntax={DEFLATED}"}


def large(uid: str, studies: int) -> bytes:
    """400 instances in each study."""
    series = [{f"1.2.{study}.{place}": [f"1.2.{study}.{place}.{number}" for number in range(100)] for place in range(4)}
              for study in range(studies)]
    return inventories.file(uid, [inventories.study(f"1.2.{number}", below) for number, below in enumerate(series)])


def test_memory_does_not_grow_with_the_size(make_server: MakeServer, installation: Installation) -> None:
    """20,000 records, then 100,000, of which JSON is 15 MB and XML 36. Orthanc 1.10.1 cannot stream: it holds each answer."""
    server = make_server().start()
    for uid, studies in (("1.9.1", 50), ("1.9.2", 250)):
        assert server.request("POST", "/inventories/import", data=large(uid, studies)).status_code == 200
    # To take them in needed more.
    server.stop()
    server.start()
    sizes = {kind: len(retrieve(server, "1.9.1", accept).content) for kind, accept in LARGE.items()}
    before = peak(server)
    for kind, accept in LARGE.items():
        content = retrieve(server, "1.9.2", accept).content
        assert len(content) > 4 * sizes[kind]
        if kind == "JSON":
            [found] = json.loads(content)
            assert len(found["00080423"]["Value"]) == 250 and len(content) > 14_000_000
    if installation.name != "Orthanc 1.10.1":
        assert peak(server) < before + 20_000
