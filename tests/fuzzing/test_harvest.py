"""Archives whose answers are nearly right, harvested by a real Orthanc over DICOMweb: each run comes to an end of its own."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.integration.server import DICOM_WEB_PLUGIN, INSTALLATIONS, PLUGIN, Installation, Server

from . import mutator
from .test_routes import memory

Cases = Callable[[str, int, int], range]
_GROWTH = 100 * 1024 * 1024
# What the archive answers is no better for a rest before it is asked again, which would take most of the time.
_IMPATIENT = """
from orthanc_inventory.sources.remote import source
assert source._RESTS
source._RESTS = (0.01,) * len(source._RESTS)
"""
TAGS = (
    "0020000D", "0020000E", "00080018", "00080016", "00100010", "00100020", "00080020", "00080030", "00080060", "00080061",
    "00201206", "00201208", "00201209", "00200013", "00081140", "0040A730", "x",
)


class Archive:
    """Answers every question with some studies, series and instances, by chance."""

    def __init__(self) -> None:
        self.number = 0
        self.questions = 0
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = archive.answer()
                self.send_response(200)
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/dicom-web/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self) -> bytes:
        self.questions += 1
        chance = random.Random(f"harvest {self.number} {self.questions}")
        if self.questions > 60:
            return b"[]"
        if chance.random() < 0.7:
            # Few, for each leads to other questions.
            entries = [_entry(chance) for _ in range(chance.choice((0, 1, 1, 2)))]
            return json.dumps(entries).encode()
        return mutator.body(chance, lambda chance: [_entry(chance), mutator.value(chance, TAGS, [{}], 3)])


def _entry(chance: random.Random) -> dict[str, Any]:
    right = {tag: {"vr": "UI", "Value": [f"1.2.{chance.randrange(3)}"]} for tag in TAGS[:3]}
    right |= {"00080020": {"vr": "DA", "Value": ["20240102"]}, "00080060": {"vr": "CS", "Value": ["CT"]}}
    right |= {"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}, "00100020": {"vr": "LO", "Value": ["P"]}}
    for _ in range(chance.choice((0, 0, 1, 3))):
        values = [mutator.text(chance), 5, 10**400, None, {"Alphabetic": mutator.text(chance)}, [], {"00100020": {}}]
        right[chance.choice(TAGS)] = {"vr": chance.choice(("LO", "SQ", "PN", "IS")), "Value": [chance.choice(values)]}
    return right


@pytest.fixture(params=INSTALLATIONS, ids=[entry.name.replace(" ", "-") for entry in INSTALLATIONS])
def harvesting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Archive]]:
    installation: Installation = request.param
    archive = Archive()
    server = Server(
        installation,
        tmp_path_factory.mktemp("harvests"),
        configuration={"Plugins": [PLUGIN, DICOM_WEB_PLUGIN], "DicomWeb": {"Servers": {"odd": [archive.url]}}},
        inventory={"StoreIn": "Directory", "Retention": {"Keep": 3}},
    ).start_with(_IMPATIENT)
    yield server, archive
    server.kill()
    archive.close()


def test_harvests(harvesting: tuple[Server, Archive], cases: Cases) -> None:
    server, archive = harvesting
    numbers = cases("harvests of archives by DICOMweb", 3, 50)
    before = 0
    states = set()
    for number in numbers:
        archive.number, archive.questions = number, 0
        body = {"Synchronous": True, "Source": {"DicomWeb": "odd"}, "Level": ("STUDY", "SERIES", "INSTANCE")[number % 3]}
        states.add(server.post("/inventories", body)["TransactionStatus"])
        before = before or memory(server)
    assert states <= {"COMPLETE", "FAILURE"} and "COMPLETE" in states
    wrong = [line for line in server.log_lines() if " in " in line and ".py, line" in line]
    assert not wrong, wrong[:3]
    assert memory(server) < before + _GROWTH
