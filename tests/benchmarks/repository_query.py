"""Repository Query at IMAGE level against the requests to Orthanc that it cannot do without, and against Orthanc's own C-FIND.

One client on a bare socket takes the answers of both. On a machine with other work the processor time tells more than the
clock: so both are measured.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median

import pydicom
import requests
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from ..integration.server import INSTALLATIONS, Installation, Server, free_port
from ..interop.peer import keys
from ..interop.raw_messages import Counted, RawScu, raw_scu
from . import archive
from .process import forget_peak, memory, processor_seconds

_SCRIPT = Path(__file__).with_name("repository_query_script.py")
REPOSITORY, _STUDY_ROOT = "1.2.840.10008.5.1.4.1.1.201.6", "1.2.840.10008.5.1.4.1.2.2.1"
PAGE = 10_000


@dataclass
class Measurement:
    """Of one archive: instances a second and ratios of the same round, medians; ``pages`` are seconds of first and last.

    ``raw`` are the requests of the plugin alone, ``native`` Orthanc's own C-FIND. Ratios ``by_processor`` are of the time that
    the processors gave to Orthanc. ``memory`` is by how much Orthanc grew in a walk, in bytes.
    """

    instances: int
    rate: float
    raw: float
    native: float
    against_raw: float
    against_raw_by_processor: float
    against_native: float
    against_native_by_processor: float
    pages: tuple[float, float]
    memory: int
    load: float


def measure(installation: Installation, instances: int) -> Measurement:
    archive.fill(installation, instances)
    folder = archive.folder(installation, instances)
    shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
    port = free_port()
    server = Server(
        installation, folder, configuration={"DicomAlwaysAllowFind": True, "DicomScpTimeout": 0}, script=_SCRIPT,
        inventory={"Dimse": {"Enable": True, "Port": port, "MaximumRecords": 10_000_000}},
    )
    try:
        server.start()
        with raw_scu(port, REPOSITORY, extended=(1,), patience=1800) as ours:
            measurement = _measure(server, ours, instances)
        server.stop()
        return measurement
    finally:
        server.kill()


def _measure(server: Server, ours: RawScu, instances: int) -> Measurement:
    process = server.process_id

    def timed(work: Callable[[], object]) -> tuple[float, float]:
        """Seconds by the clock, and of processor time in Orthanc."""
        before, start = processor_seconds(process), time.perf_counter()
        work()
        return time.perf_counter() - start, processor_seconds(process) - before

    def walk() -> None:
        counted = ours.count(query(RecordKey=None))
        assert (counted.pending, counted.status) == (instances, 0), counted

    def replay() -> None:
        requests.get(f"{server.url}/benchmark/replay", timeout=1800).raise_for_status()

    def native() -> None:
        with raw_scu(server.dicom_port, _STUDY_ROOT, called="ORTHANC", patience=1800) as theirs:
            counted = theirs.count(query())
            assert (counted.pending, counted.status) == (instances, 0), counted

    server.get("/benchmark/record/begin")
    walk()
    server.get("/benchmark/record/end")
    load = os.getloadavg()[0]
    times = range(5 if instances < 100_000 else 3)
    rounds = [(timed(replay), timed(walk), timed(native)) for _ in times]
    forget_peak(process)
    before = memory(process, "VmRSS")
    walk()
    grown = memory(process, "VmHWM") - before
    pages = [list(_pages(ours, instances)) for _ in times]
    rate, raw, theirs = (
        instances / median(seconds for seconds, _ in column) for column in zip(*((one[1], one[0], one[2]) for one in rounds))
    )
    return Measurement(
        instances, rate, raw, theirs,
        median(one[0][0] / one[1][0] for one in rounds), median(one[0][1] / one[1][1] for one in rounds),
        median(one[2][0] / one[1][0] for one in rounds), median(one[2][1] / one[1][1] for one in rounds),
        (median(one[0] for one in pages), median(one[-1] for one in pages)), grown, load,
    )


def query(**values: object) -> Dataset:
    return keys(QueryRetrieveLevel="IMAGE", SOPInstanceUID="", InstanceNumber="", SeriesInstanceUID="", StudyInstanceUID="",
                **values)


def _pages(ours: RawScu, instances: int) -> Iterator[float]:
    """The seconds of each full page of the whole walk."""
    prior, told = None, 0
    while told < instances:
        counted = ours.count(query(RecordKey=None, PriorRecordKey=prior, MaximumNumberOfRecords=PAGE))
        told += counted.pending
        assert counted.status == (0xB001 if told < instances else 0), counted
        prior = key_of(counted)
        if counted.pending == PAGE:
            yield counted.seconds


def key_of(counted: Counted) -> bytes:
    """The Record Key of the last record."""
    return pydicom.dcmread(BytesIO(_PREAMBLE + counted.last), force=True).RecordKey


_META = b"\2\0\x10\0UI\x14\0" + ExplicitVRLittleEndian.encode() + b"\0"
_PREAMBLE = bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0" + len(_META).to_bytes(4, "little") + _META


def table_rows(name: str, entry: Measurement) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the table: what, at which size, figure, and what it is to be."""
    place = f"{name}, {entry.instances:,} instances"
    first, last = entry.pages
    yield place, "Repository Query, IMAGE", f"{entry.rate:,.0f} instances/s", ""
    against_raw = f"{entry.against_raw:.2f}; by processor time {entry.against_raw_by_processor:.2f}"
    yield place, f"... against the same requests alone, {entry.raw:,.0f}/s", against_raw, "0.90 or more"
    against_native = f"{entry.against_native:.1f} times; by processor time {entry.against_native_by_processor:.1f}"
    yield place, f"... against Orthanc's own C-FIND, {entry.native:,.0f}/s", against_native, "1 or more"
    yield place, f"... last page of {PAGE:,} against the first, {first:.2f} s", f"{last / first:.2f}", "1.20 or less"
    yield place, "... growth of Orthanc in a walk", f"{entry.memory / 1e6:.1f} MB", ""
    yield place, "... load of the machine meanwhile", f"{entry.load:.1f}", ""


if __name__ == "__main__":
    for size in [int(argument) for argument in sys.argv[1:]] or [20_000, 200_000]:
        for one in INSTALLATIONS:
            for row in table_rows(one.name, measure(one, size)):
                print(f"| {' | '.join(row)} |", flush=True)
