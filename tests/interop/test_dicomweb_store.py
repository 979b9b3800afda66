"""Inventories are stored by DICOMweb (PS3.18 12.5), alone and several at once; each that is not is named with its reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from tests.integration import archive, foreign
from tests.integration.server import Server

from .dicomweb import INVENTORIES, multipart, parts, refusals, stored
from .peer import STORAGE, SYNTAXES, data_set

MakeServer = Callable[..., Server]
FILE, JSON, XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
FAILED, OTHER_FAILURES = "00081198", "0008119A"
SINGLE = {"Content-Type": FILE}


def file(uid: str = "1.9.1", **attributes: Any) -> bytes:
    return foreign.encode(foreign.inventory(uid, [foreign.study(1)], **attributes))


def send(server: Server, body: bytes, headers: dict[str, str], status: int, path: str = "") -> dict[str, Any]:
    """What is answered: JSON, whatever content type Orthanc gives to a failure."""
    answer = server.request("POST", INVENTORIES + path, data=body, headers=headers)
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    if status == 200:
        assert answer.headers["Content-Type"] == JSON
    return answer.json()


def test_one_is_stored_as_it_is(make_server: MakeServer) -> None:
    server = make_server(inventory={"RetrieveUrl": "https://pacs.example.org/dicom-web/"}).start()
    for number, syntax in enumerate(SYNTAXES):
        for uid, path in ((f"1.9.1{number}", ""), (f"1.9.2{number}", f"/1.9.2{number}")):
            content = foreign.encode(foreign.inventory(uid, [foreign.study(1)]), syntax)
            answer = send(server, content, {"Content-Type": f"{FILE}; transfer-syntax={syntax}"}, 200, path)
            found = Dataset.from_json(answer)
            [item] = found.ReferencedSOPSequence
            assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (STORAGE, uid)
            assert item.RetrieveURL == f"https://pacs.example.org/dicom-web/inventories/{uid}"
            assert "FailedSOPSequence" not in found
            assert server.request("GET", f"/inventories/{uid}/file").content == content
            summary = server.get(f"/inventories/{uid}")
            assert summary["Origin"] == "DICOMweb" and summary["Studies"] == 1
    files = list(server.state_directory.rglob("*.dcm"))
    assert len(files) == 6 and all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_several_are_stored_and_the_bad_ones_are_named(make_server: MakeServer) -> None:
    server = make_server().start()
    send(server, file("1.9.4"), SINGLE, 200)
    damaged = file("1.9.5")[:-3]
    body, headers = multipart(
        file("1.9.1"), archive.file(1, 1), b"no DICOM at all", file("1.9.2"), file("1.9.4", InventoryPurpose="other"), damaged,
        file("1.9.6").replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"), file("1.9.7", ContentDate=None), b"",
        file("1.9.1"),
    )
    answer = send(server, body, headers, 200)
    # The one that came twice is there.
    assert stored(answer) == ["1.9.1", "1.9.2", "1.9.1"]
    assert list(refusals(answer, FAILED)) == [
        (archive.uid(1, 1, 1, 1), 0x0122), ("1.9.4", 0xC000), ("1.9.5", 0xC000), ("1.9.6", 0xC122), ("1.9.7", 0xA900),
    ]
    assert list(refusals(answer, OTHER_FAILURES)) == [("", 0xC000)] * 2
    assert server.get("/inventories") == ["1.9.4", "1.9.1", "1.9.2"] and server.get("/instances") == []


def test_what_is_here_already(make_server: MakeServer) -> None:
    server = make_server().start()
    assert stored(send(server, file(), SINGLE, 200)) == ["1.9.1"]
    again = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]), foreign.DEFLATED)
    assert stored(send(server, again, SINGLE, 200)) == ["1.9.1"]
    other = file(InventoryPurpose="other")
    assert list(refusals(send(server, other, SINGLE, 409), FAILED)) == [("1.9.1", 0xC000)]
    assert server.request("GET", "/inventories/1.9.1/file").content == file()


BAD: dict[str, tuple[Callable[[], bytes], int]] = {
    "no DICOM": (lambda: b"this is no DICOM file", 400),
    "a CT": (lambda: archive.file(1, 1), 409),
    "cut off": (lambda: file()[:-3], 400),
    "no date": (lambda: file(ContentDate=None), 400),
    "no such level": (lambda: file(InventoryLevel="IMAGE"), 400),
    "big endian": (lambda: file().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"), 409),
    "itself below": (lambda: foreign.encode(foreign.inventory("1.9.1", [], [foreign.reference("1.9.1")])), 400),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_one_alone(shared_server: Server, what: str) -> None:
    make, status = BAD[what]
    answer = send(shared_server, make(), SINGLE, status)
    assert len(list(refusals(answer, FAILED)) + list(refusals(answer, OTHER_FAILURES))) == 1 and "00081199" not in answer
    assert shared_server.get("/inventories") == [] and "Foreign1" not in shared_server.log()


def test_the_resource_tells_the_uid(shared_server: Server) -> None:
    answer = send(shared_server, file(), SINGLE, 409, "/1.9.2")
    assert list(refusals(answer, FAILED)) == [("1.9.1", 0xA900)] and shared_server.get("/inventories") == []


PARTS = 'multipart/related; type="application/dicom"'
BODIES: dict[str, tuple[bytes, str | None, int]] = {
    "nothing": (b"", FILE, 400),
    "no type": (file(), None, 415),
    "what curl says": (file(), "application/x-www-form-urlencoded", 415),
    "any bytes": (file(), "application/octet-stream", 415),
    "JSON": (b"[]", JSON, 415),
    "XML": (b"<NativeDicomModel/>", 'multipart/related; type="application/dicom+xml"; boundary=x', 415),
    "a type that is none": (file(), "dicom", 415),
    "multipart of anything": (multipart(file())[0], "multipart/related; boundary=5b2e8e6b", 415),
    "no boundary": (multipart(file())[0], PARTS, 400),
    "another boundary": (multipart(file())[0], f"{PARTS}; boundary=abc", 400),
    "an impossible boundary": (multipart(file())[0], f'{PARTS}; boundary="<>"', 400),
    "no end": (multipart(file())[0][:-4], multipart()[1]["Content-Type"], 400),
    "no parts": (multipart()[0], multipart()[1]["Content-Type"], 400),
    "no content": (
        b"--5b2e8e6b\r\nContent-Type: application/dicom\r\n--5b2e8e6b--\r\n", multipart()[1]["Content-Type"], 400,
    ),
    "a picture as a part": (
        multipart(file())[0].replace(b"application/dicom", b"image/jpeg"), multipart()[1]["Content-Type"], 415,
    ),
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies_that_are_refused(shared_server: Server, what: str) -> None:
    body, content_type, status = BODIES[what]
    shared_server.error("POST", INVENTORIES, status, data=body, headers={"Content-Type": content_type})
    assert shared_server.get("/inventories") == []


def test_parts_may_stand_in_any_way_that_mail_allows(make_server: MakeServer) -> None:
    server = make_server().start()
    one, two = file("1.9.1"), file("1.9.2", InventoryPurpose="\r\n--x\r\n--xy--")
    body = b"a preamble\r\n--x \r\n\r\n" + one + b"\r\n--x\r\ncontent-type:Application/DICOM;transfer-syntax=1.2\r\n"
    body += b"Content-ID: <1>\r\n\r\n" + file("1.9.3") + b"\r\n--x--\r\nan epilogue --x"
    headers = {"Content-Type": 'Multipart/Related; start="<1>"; boundary=x; TYPE=application/dicom'}
    assert stored(send(server, body, headers, 200)) == ["1.9.1", "1.9.3"]
    body, headers = multipart(two, boundary="a boundary'()+_,-./:=?")
    assert stored(send(server, body, headers, 200)) == ["1.9.2"]
    assert server.request("GET", "/inventories/1.9.2/file").content == two


def test_what_is_too_large(make_server: MakeServer) -> None:
    server = make_server(inventory={"MaximumImportSize": 1}).start()
    large = file("1.9.1") + bytes(1024 * 1024)
    assert "Inventory.MaximumImportSize" in server.error("POST", INVENTORIES, 413, data=large, headers=SINGLE)
    body, headers = multipart(large, file("1.9.2"))
    answer = send(server, body, headers, 200)
    assert stored(answer) == ["1.9.2"] and list(refusals(answer, OTHER_FAILURES)) == [("", 0xA700)]


def test_the_answer_in_xml(make_server: MakeServer) -> None:
    server = make_server().start()
    answer = server.request("POST", INVENTORIES, data=file(), headers={**SINGLE, "Accept": f'multipart/related; type="{XML}"'})
    [(_, document)] = parts(answer, XML)
    tags = [attribute.attrib["tag"] for attribute in ElementTree.fromstring(document)]
    assert answer.status_code == 200 and tags == ["00081190", "00081199"]


def test_nothing_is_stored_whose_answer_is_not_acceptable(shared_server: Server) -> None:
    headers = {**SINGLE, "Accept": "image/jpeg"}
    shared_server.error("POST", INVENTORIES, 406, data=file(), headers=headers)
    assert shared_server.get("/inventories") == []


def test_dicomweb_client_stores(make_server: MakeServer) -> None:
    """As it does for studies: a multipart body."""
    server = make_server().start()
    client = DICOMwebClient(f"{server.url}/dicom-web")
    answer = client._http_post_multipart_application_dicom(f"{server.url}{INVENTORIES}", [file("1.9.1"), file("1.9.2")])
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == ["1.9.1", "1.9.2"]
    [found] = client._http_get_multipart_application_dicom(f"{server.url}{INVENTORIES}/1.9.2")
    assert found == pydicom.dcmread(BytesIO(file("1.9.2")))


def test_what_is_stored_is_what_is_retrieved_from_another_orthanc(make_server: MakeServer) -> None:
    source, target = make_server().start(), make_server().start()
    source.store(*archive.files(3))
    made = source.make()
    for uid in made["InstanceUIDs"]:
        content = source.request("GET", f"{INVENTORIES}/{uid}", headers={"Accept": FILE}).content
        assert stored(send(target, content, SINGLE, 200)) == [uid]
        again = target.request("GET", f"{INVENTORIES}/{uid}", headers={"Accept": FILE}).content
        assert again == content and data_set(again) == data_set(content)


def test_who_may_store(make_server: MakeServer) -> None:
    server = make_server(
        configuration={"AuthenticationEnabled": True, "RegisteredUsers": {"keeper": "k", "reader": "r"}},
        inventory={"Users": {"Manage": ["keeper"]}},
    ).start()
    arguments: dict[str, Any] = {"data": file(), "headers": SINGLE}
    assert server.request("POST", INVENTORIES, auth=("reader", "r"), **arguments).status_code == 403
    for header in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = server.request("POST", INVENTORIES, auth=("keeper", "k"), data=file(), headers={**SINGLE, **header})
        assert answer.status_code == 403 and "another site" in answer.text
    assert server.request("POST", INVENTORIES, auth=("keeper", "k"), **arguments).status_code == 200
    assert server.request("GET", "/inventories/1.9.1", auth=("reader", "r")).json()["Requestor"] == "keeper"


def test_mutated_bodies_end_with_a_status_of_the_standard(make_server: MakeServer) -> None:
    server = make_server().start()
    mutate = random.Random(223)
    body, headers = multipart(file("1.9.1"), file("1.9.2"))
    statuses = set()
    for _ in range(200):
        mutated = bytearray(body)
        for _ in range(mutate.randint(1, 5)):
            place = mutate.randrange(len(mutated))
            mutated[place : place + mutate.randint(0, 3)] = mutate.randbytes(mutate.randint(0, 3))
        answer = server.request("POST", INVENTORIES, data=bytes(mutated), headers=headers)
        statuses.add(answer.status_code)
        answer.json()
    assert statuses <= {200, 400, 409, 413, 415} and "internal error" not in server.log()
    assert server.request("GET", "/system").status_code == 200
