"""What the tests of Repository Query share: an archive, what Orthanc's REST API tells of it, and a query of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.integration import archive
from tests.integration.conftest import _name
from tests.integration.server import INSTALLATIONS, Server

from .peer import keys, start
from .raw_messages import raw_scu

REPOSITORY = "1.2.840.10008.5.1.4.1.1.201.6"
RELATIONAL, COMBINED, FUZZY, TIMEZONE = (1,), (1, 1), (1, 0, 1), (1, 0, 0, 1)
EMPTY, MULTIPLE = (1, 0, 0, 0, 0, 1), (1, 0, 0, 0, 0, 0, 1)
BASE = "https://pacs.example.org/orthanc/"
UNIQUE = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


def objects() -> list[bytes]:
    """Names with umlauts, a study under two patients, values that are missing, other patient IDs, a time zone."""
    shared = {"StudyInstanceUID": archive.uid(1, 1)}
    return [
        *archive.files(3, 2, 2, 3),
        archive.file(4, 1, 1, 1, PatientName="Müller^Jürgen", StudyDate="20150401", StudyTime="233000", AccessionNumber=None),
        archive.file(5, 1, 1, 1, **shared, PatientName="Meyer^Eva", OtherPatientIDs=["X1", "X2"]),
        archive.file(5, 2, 1, 1, InstanceNumber=None, StudyDescription="*", StudyDate="20150402", StudyTime="0100"),
    ]


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def shared(
    request: pytest.FixtureRequest, server_with: Callable[..., Server], index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, int]]:
    def make(**arguments: Any) -> Server:
        return server_with(index, request.param, tmp_path_factory.mktemp("shared"), **arguments)

    server, port = start(make, inventory={"FileAccess": {"BaseUri": BASE}, "Timezone": "+0000"})
    server.store(*objects())
    yield server, port
    server.kill()


def records(server: Server, level: str) -> list[dict[str, str]]:
    """What Orthanc's REST API tells at a level: the main DICOM tags of the resource and of those above."""
    path = {"STUDY": "/studies", "SERIES": "/series", "IMAGE": "/instances"}[level]
    above = {"STUDY": (), "SERIES": ("study",), "IMAGE": ("study", "series")}[level]
    result = []
    for entry in server.get(f"{path}?expand"):
        resources = [server.get(f"{path}/{entry['ID']}/{name}") for name in above] + [entry]
        tags = dict(resources[0]["PatientMainDicomTags"])
        for resource in resources:
            tags |= resource["MainDicomTags"]
        if level == "IMAGE":
            tags["SOPClassUID"] = server.request("GET", f"{path}/{entry['ID']}/metadata/SopClassUid").text
        result.append(tags)
    return result


def value(answer: Dataset, keyword: str) -> str:
    element = answer[keyword]
    return "" if element.value is None else "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)


def ask(port: int, level: str, extended: tuple[int, ...] = RELATIONAL, **values: Any) -> tuple[list[Dataset], int]:
    """The answers and the final status; the statuses of all answers are FF00H."""
    with raw_scu(port, REPOSITORY, extended=extended) as scu:
        answers = scu.find(keys(QueryRetrieveLevel=level, **values))
        assert {answer.status for answer in answers[:-1]} <= {0xFF00}, answers[0]
        return [scu.data_set(answer) for answer in answers[:-1]], answers[-1].status
