"""Two inventories of a million records are compared, in a process of its own: seconds, memory, and against reading one once."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import orthanc_inventory
from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.dicom.inventory import Inventory
from orthanc_inventory.reports.comparison import compare
from orthanc_inventory.reports.comparison.files import open_side

from .encoder import INSTANCES, SERIES, studies

# Of 131 records each.
STUDIES = 7640
RECORDS = STUDIES * (1 + SERIES * (1 + INSTANCES))
# Every so many studies differ in their Patient ID.
CHANGED = 1000


def measure(elsewhere: bool = False) -> tuple[float, int, float]:
    """Seconds and megabytes of a comparison, and its seconds for each second of reading both sides once.

    The second side has the studies in another order, and was made at another time; if ``elsewhere`` its files lie in another
    place too, so that no instance record is the same, byte by byte.
    """
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first.dcm"), Path(folder, "second.dcm")
        order = list(range(STUDIES))
        _write(first, "1.2.3", order)
        random.Random(1).shuffle(order)
        _write(second, "1.2.4", order, elsewhere)
        reading, _ = _in_process("read", first, second)
        comparing, megabytes = _in_process("compare", first, second)
    return comparing, megabytes, comparing / reading


def _write(path: Path, uid: str, order: Sequence[int], elsewhere: bool = False) -> None:
    template = StudyEncoder("INSTANCE").encode(studies()[0])[0]
    items = []
    for number in order:
        item = template.replace(b"10.1447.", b"9.%05d." % (10000 + number))
        if uid == "1.2.4":
            item = item.replace(b"20260101101530.123456", b"20260202101530.123456")
            if number % CHANGED == 0:
                item = item.replace(b"P000000", b"P000001")
        items.append(item.replace(b"./instances/", b"./elsewhere/") if elsewhere else item)
    attributes = {"InventoryLevel": "INSTANCE", "InventoryCompletionStatus": "COMPLETE"}
    path.write_bytes(Inventory(uid, attributes, b"".join(items), len(order), len(order)).encode())


def _in_process(what: str, first: Path, second: Path) -> tuple[float, int]:
    arguments = [sys.executable, "-m", "tests.benchmarks.comparison", what, str(first), str(second)]
    seconds, megabytes = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), int(megabytes)


def _read(paths: Sequence[Path]) -> int:
    return sum(
        1 + sum(1 + sum(1 for _ in series.instances()) for series in study.series())
        for path in paths
        for study in orthanc_inventory.open(path).studies()
    )


def _main(what: str, *names: str) -> None:
    paths = [Path(name) for name in names]
    start = time.perf_counter()
    if what == "read":
        assert _read(paths) == len(paths) * RECORDS
    else:
        comparison = compare(open_side(paths[0]), open_side(paths[1]))
        assert sum(comparison.counts[level]["First"] for level in comparison.counts) == RECORDS
        assert comparison.differences.count("") == comparison.counts["STUDY"]["Different"] == -(-STUDIES // CHANGED)
    seconds = time.perf_counter() - start
    # Not ru_maxrss, which a process inherits from the one that started it.
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    print(seconds, int(peak.split()[1]) // 1024)


if __name__ == "__main__":
    _main(*sys.argv[1:])
