"""Archives of any size: CT studies of small objects, made once and kept.

They come in by Orthanc's REST, a study in a ZIP: half as much work as one by one. A million take 20 minutes, 6 GB and as many
files; with other work on the machine, so much longer.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import requests

from ..integration import archive
from ..integration.server import CACHE, Installation, Server

# Of a study, unless it is said otherwise; of instances, the number in each series.
SERIES = 5
INSTANCES = 25


def folder(installation: Installation, instances: int, series: int = SERIES, in_series: int = INSTANCES) -> Path:
    shape = "" if (series, in_series) == (SERIES, INSTANCES) else f"-{series}-{in_series}"
    return CACHE / "benchmarks" / f"{installation.name.replace(' ', '-')}-{instances}{shape}"


def fill(installation: Installation, instances: int, series: int = SERIES, in_series: int = INSTANCES) -> None:
    """Makes the archive unless it is there."""
    place = folder(installation, instances, series, in_series)
    complete = place / "complete"
    if complete.exists():
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    server = Server(installation, place, configuration={"StableAge": 60}, inventory={"Enable": False}).start()
    try:
        with ThreadPoolExecutor(3) as pool:
            studies = range(instances // (series * in_series))
            for _ in pool.map(lambda study: _store(server.url, list(files(study, series, in_series))), studies):
                pass
        assert server.get("/statistics")["CountInstances"] == instances
        server.stop()
    finally:
        server.kill()
    complete.touch()


def _store(url: str, files: list[bytes]) -> None:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive_of_study:
        for number, file in enumerate(files):
            archive_of_study.writestr(str(number), file)
    answers = requests.post(f"{url}/instances", data=content.getvalue(), timeout=600).json()
    assert [answer["Status"] for answer in answers] == ["Success"] * len(files), answers


def files(study: int, series: int, in_series: int) -> Iterator[bytes]:
    """One is encoded, the others differ from it in the number of the object: encoding each would take the most time."""
    for number in range(series):
        template = archive.file(study, 1, number, 100000, InstanceNumber="100000")
        for instance in range(in_series):
            yield template.replace(b"100000", b"%06d" % (100000 + instance))
