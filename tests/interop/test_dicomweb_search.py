"""Inventories are found by DICOMweb (PS3.18 12.6) with each parameter of 8.3.4, with requests and with dicomweb-client."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from tests.integration import archive, foreign
from tests.integration.conftest import _name
from tests.integration.server import DEBIAN_SID, DICOM_WEB_PLUGIN, INSTALLATIONS, PLUGIN, Server

from .dicomweb import INVENTORIES, NATIVE, parts, search, uids, value

MakeServer = Callable[..., Server]
PN_SCOPE = "ScopeOfInventorySequence.GeneralMatchingSequence.PatientName"


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two inventories made here, the first with leaves, and two from elsewhere."""
    server = Server(request.param, tmp_path_factory.mktemp("shared"), inventory={"MaxRecordsPerInstance": 6}).start()
    server.store(*archive.files(5))
    server.make(Purpose="Prüfung & Co, 100%", Scope={"PatientID": "P*"}, Description="All")
    server.make(Level="STUDY", Purpose="Audit", Scope={"StudyDate": "20110101-20121231"})
    scope = foreign.item(GeneralMatchingSequence=[foreign.item(PatientName="Müller^Jürgen", ModalitiesInStudy=["CT", "MR"])])
    scope.SpecificCharacterSet = "ISO_IR 192"
    for file in (
        foreign.inventory("1.9.1", [foreign.study(1)], TransactionUID="1.9.9", TimezoneOffsetFromUTC="+0100"),
        foreign.inventory(
            "1.9.2", ContentDate="20260103", ContentTime="233000", TimezoneOffsetFromUTC="-0500", InventoryLevel="SERIES",
            SpecificCharacterSet="ISO_IR 192", InventoryPurpose='""', ScopeOfInventorySequence=[scope],
            InventoryInstanceDescription="漢字 ü",
        ),
    ):
        assert server.request("POST", "/inventories/import", data=foreign.encode(file)).status_code == 200
    yield server
    server.kill()


def text(value: str) -> str:
    return quote(value, safe="")


def tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword):08X}"


MATCHING: dict[str, tuple[str, int]] = {
    "nothing is asked": ("", 7),
    "a keyword": ("InventoryPurpose=Audit", 1),
    "a tag": ("00080401=Audit", 1),
    "a tag with small letters": ("0008001a=", 7),
    "a wild card": ("InventoryPurpose=?udi*", 1),
    "signs that must be escaped": (f"InventoryPurpose={text('Prüfung ? Co, 100%')}", 4),
    "a plus sign for a space": ("InventoryPurpose=Umzug+nach*", 1),
    "other scripts": (f"InventoryInstanceDescription={text('漢字*')}", 1),
    "an empty value matches all": ("InventoryPurpose=&ContentDate=", 7),
    "a UID": ("SOPInstanceUID=1.9.1", 1),
    "UIDs with commas": ("SOPInstanceUID=1.9.1,1.9.2,1.9.3", 2),
    "UIDs with backslashes": ("SOPInstanceUID=1.9.1%5C1.9.2", 2),
    "a range of dates": ("ContentDate=20260101-20260103", 2),
    "date and time together": ("ContentDate=20260102-20260103&ContentTime=020000-030500", 1),
    "date and time together, across midnight": ("ContentDate=20260102-20260103&ContentTime=230000-233000", 1),
    "a time in another zone": ("ContentDate=20260104&TimezoneOffsetFromUTC=%2B0000", 1),
    "a plus sign of a zone": ("ContentDate=20260104-20260104&ContentTime=0530-0530&TimezoneOffsetFromUTC=+0100", 1),
    "no zone": ("ContentDate=20260104", 0),
    "a number": ("TotalNumberOfStudyRecords=5", 1),
    "a sequence": ("StudyAccessEndPointsSequence.RetrieveAETitle=ORTH*", 5),
    "tags of sequences": (".".join(map(tag, PN_SCOPE.split("."))) + "=M*", 1),
    "a name in the scope": (f"{PN_SCOPE}=m{text('ü')}ller*", 1),
    "a name that is alike": (f"{PN_SCOPE}=Muler^Jurgen&fuzzymatching=true", 1),
    "the same without": (f"{PN_SCOPE}=Muler^Jurgen&fuzzymatching=false", 0),
    "two keys of one item": (f"{PN_SCOPE}=M*&ScopeOfInventorySequence.GeneralMatchingSequence.ModalitiesInStudy=MR", 1),
    "an empty description": ("InventoryInstanceDescription=%22%22&emptyvaluematching=true", 2),
    "two quotes as text": ("InventoryPurpose=%22%22", 1),
    "several values": ("InventoryLevel=STUDY%5CSERIES&multiplevaluematching=true", 2),
    "nothing between signs": ("&&&", 7),
    "several keys": ("InventoryLevel=INSTANCE&InventoryPurpose=Umzug*&ContentDate=20260102", 1),
    "no one": ("InventoryPurpose=nobody", 0),
}


@pytest.mark.parametrize("what", MATCHING)
def test_matching(shared: Server, what: str) -> None:
    query, count = MATCHING[what]
    found = search(shared, query, 200 if count else 204)
    assert len(found) == count == len(set(uids(found)))


REFUSED = {
    "a word that is none": ("Nonsense=1", "Nonsense"),
    "a word that is none in a sequence": ("ScopeOfInventorySequence.Nonsense=1", "Nonsense"),
    "seven digits": ("0008040=1", "0008040"),
    "no word": ("=1", "a name"),
    "a point too much": ("InventoryPurpose.=1", "a name"),
    "points": ("." * 5000 + "=1", "sequences"),
    "a field that is too deep": ("includefield=" + "Rows." * 1500 + "Rows", "sequences"),
    "what is nested too deep": ("ScopeOfInventorySequence." * 500 + "PatientName=1", "sequences"),
    "what is nested too deep in what nobody has": ("Rows." * 1500 + "Rows=1", "sequences"),
    "signs": ("%3Cb%3E=1", "a name"),
    "a tag and its keyword": ("InventoryPurpose=A&00080401=B", "InventoryPurpose stands twice"),
    "a sequence with a value": ("ScopeOfInventorySequence=1", "ScopeOfInventorySequence"),
    "a sequence with a value and keys": (f"ScopeOfInventorySequence=1&{PN_SCOPE}=1", "ScopeOfInventorySequence"),
    "keys of no sequence": ("InventoryPurpose.PatientID=1", "PatientID"),
    "no date": ("ContentDate=2026-01-02", "ContentDate"),
    "a UID with a wild card": ("SOPInstanceUID=1.9.*", "SOPInstanceUID"),
    "no number": ("TotalNumberOfStudyRecords=few", "TotalNumberOfStudyRecords"),
    "small letters": ("InventoryLevel=study", "InventoryLevel"),
    "no zone": ("TimezoneOffsetFromUTC=CET", "TimezoneOffsetFromUTC"),
    "a level": ("QueryRetrieveLevel=STUDY", "QueryRetrieveLevel"),
    "an empty date that was not asked for": ("ContentDate=%22%22", "empty value matching"),
    "several values that were not asked for": ("InventoryLevel=STUDY%5CSERIES", "multiple value matching"),
    "no flag": ("fuzzymatching=yes", "fuzzymatching"),
    "no flag either": ("emptyvaluematching=1", "emptyvaluematching"),
    "an empty flag": ("multiplevaluematching=", "multiplevaluematching"),
    "a negative limit": ("limit=-1", "limit"),
    "a limit of words": ("limit=all", "limit"),
    "an offset of words": ("offset=1.5", "offset"),
    "all and more": ("includefield=all,InventoryPurpose", "includefield"),
    "a field that is none": ("includefield=Nonsense", "Nonsense"),
    "what cannot be decoded": ("InventoryPurpose=%FF%FE%0", ""),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(shared: Server, what: str) -> None:
    query, word = REFUSED[what]
    if word:
        assert word in shared.error("GET", f"{INVENTORIES}?{query}", 400)
    else:
        assert shared.request("GET", f"{INVENTORIES}?{query}").status_code in (204, 400)


REQUIRED = {
    tag(keyword)
    for keyword in (
        "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "ContentDate", "ContentTime", "Manufacturer",
        "ScopeOfInventorySequence", "InventoryPurpose", "InventoryLevel", "InventoryCompletionStatus",
        "NumberOfStudyRecordsInInstance", "TotalNumberOfStudyRecords", "TransactionUID",
    )
}


def test_what_is_returned(shared: Server) -> None:
    root = shared.get("/inventories")[0]
    [usual] = search(shared, f"SOPInstanceUID={root}")
    assert set(usual) == REQUIRED
    [more] = search(shared, f"00080018={root}&includefield=StationName,00080070,StudyAccessEndPointsSequence.RetrieveAETitle")
    assert set(more) == REQUIRED | {tag("StationName"), tag("StudyAccessEndPointsSequence")}
    [matched] = search(shared, f"SOPInstanceUID={root}&SoftwareVersions=orthanc*")
    assert set(matched) == REQUIRED | {tag("SoftwareVersions")}
    [everything] = search(shared, f"SOPInstanceUID={root}&includefield=all")
    file = shared.file(root)
    expected = {f"{element.tag:08X}": element for element in file if element.keyword != "InventoriedStudiesSequence"}
    assert set(expected) <= set(everything) and tag("InventoriedStudiesSequence") not in everything
    found = Dataset.from_json(everything)
    for key, element in expected.items():
        assert found[key] == element
    assert all("Value" not in everything[key] for key in set(everything) - set(expected))
    # What no inventory has is not returned, and is no error.
    [found_too] = search(shared, f"SOPInstanceUID={root}&includefield=PatientName,00091001")
    assert set(found_too) == REQUIRED


def test_keys_that_no_inventory_has_are_told_by_a_warning(shared: Server) -> None:
    answer = shared.request("GET", f"{INVENTORIES}?SOPInstanceUID=1.9.1&PatientID=X")
    assert answer.status_code == 200 and uids(answer.json()) == ["1.9.1"]
    assert answer.headers["Warning"].startswith("299 /dicom-web/: ") and "not been matched" in answer.headers["Warning"]
    assert "Warning" not in shared.request("GET", f"{INVENTORIES}?SOPInstanceUID=1.9.1").headers


def test_pages_have_a_stable_order_and_tell_what_remains(shared: Server) -> None:
    everything = uids(search(shared))
    found: list[str] = []
    while True:
        answer = shared.request("GET", f"{INVENTORIES}?limit=3&offset={len(found)}")
        assert answer.status_code == 200
        found += uids(answer.json())
        remaining = len(everything) - len(found)
        if not remaining:
            assert "Warning" not in answer.headers
            break
        expected = f"299 /dicom-web/: There are {remaining} additional results that can be requested"
        assert answer.headers["Warning"] == expected
    assert found == everything == uids(search(shared, "offset=0"))
    assert search(shared, f"offset={len(everything)}", 204) == search(shared, "offset=999999999", 204) == []
    nothing = shared.request("GET", f"{INVENTORIES}?limit=0")
    assert nothing.status_code == 204 and nothing.content == b"" and "There are 7 additional" in nothing.headers["Warning"]


def test_matching_and_paging_together(shared: Server) -> None:
    answer = shared.request("GET", f"{INVENTORIES}?InventoryLevel=INSTANCE&limit=1&offset=1")
    assert len(answer.json()) == 1 and "There are 3 additional" in answer.headers["Warning"]


def test_xml_says_the_same(shared: Server) -> None:
    everything = search(shared)
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    answer = shared.request("GET", INVENTORIES, headers=accept)
    documents = parts(answer, "application/dicom+xml")
    assert [kind for kind, _ in documents] == ["application/dicom+xml"] * len(everything)
    for (_, document), expected in zip(documents, everything, strict=True):
        root = ElementTree.fromstring(document)
        assert root.tag == f"{NATIVE}NativeDicomModel"
        told = {attribute.attrib["tag"]: [entry.text for entry in attribute] for attribute in root}
        assert set(told) == set(expected) and told["00080018"] == [value(expected, "00080018")]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom+json", 200), ("application/json", 200), ("*/*", 200), ("application/*", 200), ("", 200),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", 200), ("text/html", 406), ("application/dicom", 406),
        ("application/dicom+json;q=0", 406), ("application/dicom+xml", 406), ("nonsense", 406),
    ],
)
def test_accept(shared: Server, accept: str, status: int) -> None:
    answer = shared.request("GET", f"{INVENTORIES}?SOPInstanceUID=1.9.1", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 200:
        kind = "application/json" if accept == "application/json" else "application/dicom+json"
        assert answer.headers["Content-Type"] == kind and len(answer.json()) == 1
        answer.content.decode("utf-8")


def test_a_value_with_an_ampersand(shared: Server) -> None:
    """Orthanc 1.13.0 ends the value there, and what follows is no attribute."""
    query = f"InventoryPurpose={text('Prüfung & Co, 100%')}"
    if shared.installation == DEBIAN_SID:
        assert shared.error("GET", f"{INVENTORIES}?{query}", 400).startswith("a name is no parameter, keyword or tag;")
    else:
        assert len(search(shared, query)) == 4


def test_dicomweb_client(shared: Server) -> None:
    """It knows no inventories, but the service of studies has the same searches."""
    client = DICOMwebClient(f"{shared.url}/dicom-web")
    found = client._http_get_application_json(
        f"{shared.url}{INVENTORIES}", params={"InventoryPurpose": "Prüfung ? Co, 100%", "includefield": "all"}
    )
    assert len(found) == 4 and {Dataset.from_json(entry).InventoryPurpose for entry in found} == {"Prüfung & Co, 100%"}
    page = client._http_get_application_json(f"{shared.url}{INVENTORIES}", params={"limit": 2}, get_remaining=True)
    assert uids(page) == uids(search(shared))


def _is_utf8(query: str) -> bool:
    try:
        unquote(query, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def test_mutated_queries_end_with_a_status_of_the_standard(shared: Server) -> None:
    mutate = random.Random(223)
    queries = [query for query, _ in [*MATCHING.values(), *REFUSED.values()] if query]
    signs = "%&=.,;+\\\"*?#/00080400-~" + "".join(map(chr, range(33, 127)))
    statuses = set()
    for _ in range(300):
        mutated = list(mutate.choice(queries))
        for _ in range(mutate.randint(1, 4)):
            place = mutate.randrange(len(mutated) + 1)
            mutated[place : place + mutate.randint(0, 2)] = mutate.choice(signs) * mutate.choice((1, 1, 1, 40))
        answer = shared.request("GET", f"{INVENTORIES}?{''.join(mutated)}")
        if shared.installation == DEBIAN_SID and not _is_utf8("".join(mutated)):
            # Plugin 7.1 answers itself.
            assert answer.status_code in (400, 500)
            continue
        assert answer.status_code in (200, 204, 400, 406), f"{mutated}: {answer.status_code} {answer.text}"
        statuses.add(answer.status_code)
    assert statuses >= {200, 400} and "internal error" not in shared.log() and " in services" not in shared.log()
    assert len(search(shared)) == 7


PLUGINS = {"alone": [PLUGIN], "first": [PLUGIN, DICOM_WEB_PLUGIN], "last": [DICOM_WEB_PLUGIN, PLUGIN]}


@pytest.mark.parametrize("plugins", PLUGINS.values(), ids=PLUGINS)
def test_the_root_is_that_of_the_plugin_for_studies(make_server: MakeServer, plugins: list[str]) -> None:
    base = "https://pacs.example.org/own/root-1/"
    server = make_server(
        configuration={"Plugins": plugins, "DicomWeb": {"Root": "own/root-1"}}, inventory={"RetrieveUrl": base}
    ).start()
    server.store(*archive.files(2))
    made = server.make()["SOPInstanceUID"]
    answer = server.request("GET", "/own/root-1/inventories?limit=0")
    assert answer.headers["Warning"] == f"299 {base}: There are 1 additional results that can be requested"
    assert uids(server.get("/own/root-1/inventories")) == [made]
    assert server.get(f"/own/root-1/inventories/{made}")[0]["00080018"]["Value"] == [made]
    assert server.request("GET", f"{INVENTORIES}").status_code == 404
    studies = server.request("GET", "/own/root-1/studies")
    assert studies.status_code == (200 if len(plugins) > 1 else 404)
    if len(plugins) > 1:
        # That of the inventory, too.
        assert len(studies.json()) == 3
    [end_points] = server.file(made).InventoryAccessEndPointsSequence
    assert end_points.RetrieveURL == base
    server.stop()


def test_it_can_be_switched_off(make_server: MakeServer) -> None:
    server = make_server(inventory={"DicomWeb": {"Enable": False}, "RetrieveUrl": "https://pacs.example.org/dicom-web/"}).start()
    server.store(archive.file(1, 1))
    assert server.request("GET", INVENTORIES).status_code == 404
    assert not [path for path in server.get("/inventories/openapi.json")["paths"] if path.startswith("/dicom-web")]
    assert "InventoryAccessEndPointsSequence" not in server.file(server.make()["SOPInstanceUID"])


@pytest.mark.parametrize("root", ["/", "", "/a b/", "/a\r\nX: y/", 5])
def test_a_root_that_cannot_be(make_server: MakeServer, root: Any) -> None:
    server = make_server(configuration={"DicomWeb": {"Root": root}}).start()
    if root == 5:
        assert server.request("GET", "/5/inventories").status_code == 204
        return
    assert any("DicomWeb.Root must be a path" in line for line in server.log_lines())
    assert server.get("/inventories") == []


def test_users(make_server: MakeServer) -> None:
    server = make_server(
        configuration={"AuthenticationEnabled": True, "RegisteredUsers": {"reader": "r", "keeper": "k", "other": "o"}},
        inventory={"Users": {"Read": ["reader"], "Manage": ["keeper"]}},
    ).start()
    assert server.request("GET", INVENTORIES, auth=("reader", "r")).status_code == 204
    assert server.request("GET", INVENTORIES, auth=("other", "o")).status_code == 403
    assert server.request("GET", f"{INVENTORIES}/1.2", auth=("other", "o")).status_code == 403
    assert server.request("GET", INVENTORIES).status_code == 401
