from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

from ..integration.server import INSTALLATIONS, Installation
from . import comparison, encoder, export, growth, increment, orthanc, postgresql, reader, repository_query, verification

Row = tuple[str, ...]
_SIZES = (20_000, 100_000)


def _encoder() -> Iterator[Row]:
    ours, peer = encoder.measure()
    what = f"against pydicom, {ours:.1f} and {peer:.0f} µs an instance"
    yield "encoder", what, f"{peer / ours:.0f} times", "50 or more"


def _reader() -> Iterator[Row]:
    for lengths in ("defined", "undefined"):
        ours, peer = reader.measure(undefined=lengths == "undefined")
        figures = f"{lengths} lengths, against pydicom, {ours:.2f} and {peer:.0f} µs a record"
        yield "reader", figures, f"{peer / ours:.0f} times", "20 or more"


def _export() -> Iterator[Row]:
    rates, peer = export.measure()
    for kind, rate in rates.items():
        figure = f"{rate:,.0f} rows/s, {rate / peer:.0f} times"
        yield "export", f"instances as {kind}, against a loop over pydicom", figure, "100,000 rows/s in CSV"


def _comparison() -> Iterator[Row]:
    for elsewhere in (False, True):
        seconds, megabytes, ratio = comparison.measure(elsewhere)
        what = "two of 1,000,000 records" + (", files in another place" if elsewhere else "")
        figures = f"{seconds:.1f} s, {megabytes} MB, {ratio:.1f} times reading both once"
        yield "comparison", what, figures, "30 s, 300 MB"


def _detail(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    rate, ratio = orthanc.measure_detail(installation, sizes[0])
    yield _place(installation, sizes[0]), "Detail Files", f"{rate:,.0f} instances/s, {ratio:.2f} of Index", ""


def _verification(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    for check, rate, ratio in verification.measure(installation, sizes[0]):
        figures = f"{rate:,.0f} instances/s, {ratio:.2f} of an inventory run"
        yield _place(installation, sizes[0]), f"verification, {check}", figures, ""


def _postgresql(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    yield from postgresql.table_rows(installation.name, [postgresql.measure(installation, sizes[0])])


def _run(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    yield from orthanc.table_rows(installation.name, [orthanc.measure(installation, size) for size in sizes])


def _repository_query(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    for size in sizes:
        yield from repository_query.table_rows(installation.name, repository_query.measure(installation, size))


def _increment(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    for change, seconds, full in increment.measure(installation):
        what = f"increment, of 100 of 5,000 studies {change}"
        figures = f"{seconds:.2f} s, a full run {full:.2f} s: {full / seconds:.0f} times"
        yield installation.name, what, figures, "20 times or more"


def _growth(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    for size in sizes:
        yield from growth.table_rows(_place(installation, size), size, growth.measure(installation, size))


def _growth_postgresql(installation: Installation, sizes: Sequence[int]) -> Iterator[Row]:
    for size in sizes:
        place = f"{_place(installation, size)}, PostgreSQL"
        yield from growth.table_rows(place, size, growth.measure_postgresql(installation, size))


def _place(installation: Installation, instances: int) -> str:
    return f"{installation.name}, {instances:,} instances"


_ALONE: dict[str, Callable[[], Iterator[Row]]] = {
    "encoder": _encoder, "reader": _reader, "export": _export, "comparison": _comparison,
}
_OF_ORTHANC: dict[str, Callable[[Installation, Sequence[int]], Iterator[Row]]] = {
    "detail": _detail, "verification": _verification, "postgresql": _postgresql, "run": _run,
    "repository-query": _repository_query, "increment": _increment, "growth": _growth,
    "growth-postgresql": _growth_postgresql,
}


def main() -> None:
    versions = [installation.name.split()[-1] for installation in INSTALLATIONS]
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run.sh", description="Prints a table; see README.md beside it.")
    parser.add_argument("--subject", action="append", choices=[*_ALONE, *_OF_ORTHANC], help="default: all; can be repeated")
    parser.add_argument("--orthanc", action="append", choices=versions, help="default: all; can be repeated")
    default = " ".join(map(str, _SIZES))
    parser.add_argument("instances", nargs="*", type=int, help=f"sizes of archives, multiples of 125; default: {default}")
    arguments = parser.parse_args()
    sizes = arguments.instances or _SIZES
    if any(size < 1 or size % 125 for size in sizes):
        parser.error("instances must be multiples of 125")
    _print(("Where", "What", "Figure", "To reach"))
    _print(("---",) * 4)
    wanted = arguments.subject or [*_ALONE, *_OF_ORTHANC]
    for subject in filter(_ALONE.__contains__, wanted):
        for row in _ALONE[subject]():
            _print(row)
    for installation, version in zip(INSTALLATIONS, versions):
        if arguments.orthanc and version not in arguments.orthanc:
            continue
        for subject in filter(_OF_ORTHANC.__contains__, wanted):
            for row in _OF_ORTHANC[subject](installation, sizes):
                _print(row)


def _print(row: Row) -> None:
    print(f"| {' | '.join(row)} |", flush=True)


main()
