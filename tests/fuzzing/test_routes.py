"""Requests that are nearly right, to all routes of a real Orthanc: refused or served, and the next one is served too."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import archive
from tests.integration.server import DICOM_WEB_PLUGIN, INSTALLATIONS, PLUGIN, Installation, Server

from . import mutator
from .mutator import Mutator
from .test_files import FILES, LISTS, WORDS, containers
from .test_parsers import KEYWORDS, VALUES

Cases = Callable[[str, int, int], range]
_PATIENCE = 60.0
# Of the memory of Orthanc between the first half of the cases and the last (bytes).
_GROWTH = 150 * 1024 * 1024
UNKNOWN = "2.25.1"
METHODS = ("GET", "GET", "GET", "POST", "POST", "DELETE", "PUT")
BODY_KEYS = [
    "Level", "Detail", "Purpose", "Description", "Scope", "Source", "TransactionUID", "Base", "IncludeRemoved", "Synchronous",
    "PatientIdentifiers", "UserData", "Check", "RetainInstances", "Modality", "DicomWeb", *KEYWORDS[:40],
]
BODY_VALUES = [
    *VALUES, {"PatientName": "*"}, {"StudyDate": "20240101-"}, "INSTANCE", "Files", "latest", "EXISTS", "MD5", "SIZE", True,
    None, {"Modality": "x"}, {"DicomWeb": "y"}, UNKNOWN,
]
QUERIES = {
    "format": ("csv", "ndjson", "parquet", "json", "uids", "text", "studies"), "level": ("STUDY", "instance"),
    "since": ("0", "1"), "limit": ("0", "5", "-1", "999999999"), "expand": ("", "false"), "kind": ("Missing", "Extra,Missing"),
    "query": ("FAMILY", "*"), "columns": ("StudyInstanceUID,PatientID", "x"), "attributes": ("PatientName,Rows", "x"),
    "accept": ("*/*", "application/dicom"), "includefield": ("all", "00080400", "StudyDate"), "offset": ("0", "7"),
    "fuzzymatching": ("true",), "emptyvaluematching": ("true",), "InventoryPurpose": ("*a*",),
    "ScopeOfInventorySequence.GeneralMatchingSequence.PatientName": ("D*",), "_method": ("put",),
}
ACCEPTS = (
    "*/*", "application/dicom", 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1.99',
    'multipart/related; type="application/dicom+xml"', "application/dicom+json; q=0.1, application/dicom+xml", ",;q=\"",
    "text/html",
)
CONTENT_TYPES = (
    "application/json", "application/dicom", 'multipart/related; type="application/dicom"; boundary=b', "multipart/related", "",
)
# What may come; 301 and 307 are Orthanc's own, where ".." leads out of our paths. 500 is never right.
STATUSES = {200, 204, 301, 307, 400, 403, 404, 405, 406, 409, 413, 415, 503}


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=[entry.name.replace(" ", "-") for entry in INSTALLATIONS])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    installation: Installation = request.param
    server = Server(
        installation,
        tmp_path_factory.mktemp("fuzzed"),
        configuration={"Plugins": [PLUGIN, DICOM_WEB_PLUGIN]},
        inventory={"Retention": {"Keep": 5}, "StoreIn": "Directory", "Schedules": [{"Name": "nightly", "Days": "Monday"}]},
    ).start()
    server.store(*archive.files(3, series=2))
    yield server
    server.kill()


class Watched:
    """Sends requests, and sees to it that Orthanc stays as it was."""

    def __init__(self, server: Server, count: int) -> None:
        self._server = server
        self._half = count // 2
        self._memory = 0
        self._sent = 0
        self.statuses: Counter[int] = Counter()

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._sent == self._half:
            self._memory = memory(self._server)
        self._sent += 1
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._server.http_port, timeout=_PATIENCE)
        connection.connect()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except (http.client.HTTPException, BrokenPipeError, ConnectionResetError):
            # Orthanc does not speak with such a first line or header, and closes.
            status, content = 400, b""
        finally:
            connection.close()
        sent = method, path, headers, (body or b"")[:300]
        assert status in STATUSES, (sent, status, content[:300], self._server.log_lines()[-1:])
        assert time.monotonic() - begin < _PATIENCE
        self.statuses[status] += 1
        return status, content

    def check(self) -> None:
        assert self._server.get("/system") and self._server.get("/inventories/status")
        wrong = [line for line in self._server.log_lines() if " in " in line and ".py, line" in line]
        assert not wrong, wrong[:3]
        assert "Traceback" not in self._server.log()
        assert memory(self._server) < self._memory + _GROWTH


def memory(server: Server) -> int:
    """What is resident (bytes)."""
    return int(Path(f"/proc/{server.process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def some_query(chance: random.Random) -> str:
    pairs = []
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        name = chance.choice(list(QUERIES)) if chance.random() < 0.8 else chance.choice(KEYWORDS)
        value = chance.choice(QUERIES[name]) if name in QUERIES and chance.random() < 0.6 else mutator.text(chance)[:2000]
        quoted = urllib.parse.quote(value.encode("utf-8", "replace"), safe="") if chance.random() < 0.9 else "%zz%"
        pairs.append(f"{urllib.parse.quote(name)}={quoted}" if chance.random() < 0.95 else quoted)
    return "?" + chance.choice("&&&;").join(pairs) if pairs else ""


def some_path(chance: random.Random, route: str, uids: list[str]) -> str:
    parts = []
    for part in route.split("/"):
        if part.startswith("{"):
            known = {"{file}": ["page.js", "index.html"], "{Name}": ["nightly"]}.get(part, uids)
            part = chance.choice(known) if chance.random() < 0.8 else urllib.parse.quote(
                mutator.text(chance)[:500].encode("utf-8", "replace"), safe=chance.choice(("", "/."))
            )
        elif chance.random() < 0.01:
            part = chance.choice(("..", "%2e%2e", "%00", "", ".", "app", "%252e"))
        parts.append(part)
    return "/".join(parts) or "/"


def some_headers(chance: random.Random) -> dict[str, str]:
    headers = {}
    if chance.random() < 0.5:
        headers["Accept"] = chance.choice(ACCEPTS)
    if chance.random() < 0.7:
        headers["Content-Type"] = chance.choice(CONTENT_TYPES)
    if chance.random() < 0.05:
        headers["Origin"] = chance.choice(("null", "http://[", "http://127.0.0.1", "x" * 1000))
    if chance.random() < 0.1:
        headers["Authorization"] = chance.choice(("Basic", "Basic eA==", "Basic /////w==", "Bearer x", "Basic " + "QUFB" * 500))
    return headers


def some_body(chance: random.Random, files: Mutator) -> bytes:
    kind = chance.random()
    if kind < 0.6:
        return mutator.body(chance, lambda chance: {"Synchronous": True, **mutator.some_object(chance, BODY_KEYS, BODY_VALUES)})
    content = files.case(chance.randrange(1 << 30))
    if kind < 0.8:
        return content
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--\r\n"


def test_requests(target: Server, cases: Cases) -> None:
    numbers = cases("requests to all routes", 350, 12_000)
    paths: dict[str, Any] = target.get("/inventories/openapi.json")["paths"]
    routes = [*paths, "/inventories/{uid}/nothing", "/inventories/{uid}/studies/{StudyInstanceUID}/x"]
    files = Mutator("bodies", [*FILES, *containers(), *LISTS], WORDS)
    watched = Watched(target, len(numbers))
    uids: list[str] = []
    for number in numbers:
        if number % 50 == 0:
            uids = [*_uids(target), UNKNOWN]
        chance = random.Random(f"request {number}")
        method = chance.choice(METHODS)
        path = some_path(chance, chance.choice(routes), uids) + (some_query(chance) if method == "GET" else "")
        body = some_body(chance, files) if method in ("POST", "PUT") else None
        watched.send(method, path, body, some_headers(chance))
    watched.check()
    assert watched.statuses[200] > len(numbers) // 20 and watched.statuses[400] > 5


def _uids(server: Server) -> list[str]:
    """Of an inventory with its study, an imported one, and runs."""
    uid = server.make(Scope={"PatientID": "*"})["SOPInstanceUID"]
    server.request("POST", "/inventories/import", data=FILES[3])
    return [uid, uid, *server.get("/inventories")[-3:], *server.get("/inventories/transactions")[-3:], archive.uid(1, 1)]


@pytest.mark.parametrize("path", ["/inventories/import", "/dicom-web/inventories"])
def test_imported_inventories(target: Server, cases: Cases, path: str) -> None:
    """What is taken in is told in every form, and goes again."""
    numbers = cases(f"inventories that are imported by {path}", 100, 4_000)
    files = Mutator(f"imported {path}", FILES, WORDS)
    watched = Watched(target, len(numbers))
    for number in numbers:
        before = set(target.get("/inventories"))
        status, content = watched.send("POST", path, files.case(number), {"Content-Type": "application/dicom"})
        for uid in set(target.get("/inventories")) - before if status == 200 else ():
            for form in ("", "/file", "/archive", "/studies", "/statistics", "/export?format=ndjson", "/export?format=csv"):
                watched.send("GET", f"/inventories/{uid}{form}", None, {})
            for accept in ACCEPTS[:3]:
                watched.send("GET", f"/dicom-web/inventories/{uid}", None, {"Accept": accept})
            assert watched.send("GET", "/dicom-web/inventories?includefield=all", None, {})[0] == 200
            watched.send("POST", f"/inventories/{uid}/verify", b'{"Synchronous": true}', {})
            assert watched.send("DELETE", f"/inventories/{uid}", None, {})[0] == 200
    watched.check()
    assert watched.statuses[200] and watched.statuses[400]
    assert not [name for name in os.listdir(target.state_directory) if name.startswith("tmp")]


def test_a_scope_by_chance_is_refused_or_counted(target: Server, cases: Cases) -> None:
    numbers = cases("scopes that are counted by Orthanc", 150, 4_000)
    watched = Watched(target, len(numbers))
    for number in numbers:
        chance = random.Random(f"preview {number}")
        scope = {name: chance.choice((*VALUES, mutator.text(chance))) for name in chance.sample(KEYWORDS, chance.randint(1, 3))}
        body = {"Scope": scope, "Detail": chance.choice(("Index", "Files"))}
        watched.send("POST", "/inventories/preview", json.dumps(body).encode(), {})
    watched.check()
    assert watched.statuses[200] and watched.statuses[400]
