from __future__ import annotations

import sys

from ..integration.server import INSTALLATIONS
from . import comparison, encoder, export, increment, orthanc, postgresql, reader, repository_query, verification


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or [20_000, 100_000]
    rows: list[tuple[str, ...]] = [("Where", "What", "Figure", "To reach"), ("---",) * 4]
    ours, peer = encoder.measure()
    rows.append(("encoder", f"against pydicom, {ours:.1f} and {peer:.0f} µs an instance", f"{peer / ours:.0f} times", "50 or more"))
    for lengths in ("defined", "undefined"):
        ours, peer = reader.measure(undefined=lengths == "undefined")
        figures = f"{lengths} lengths, against pydicom, {ours:.2f} and {peer:.0f} µs a record"
        rows.append(("reader", figures, f"{peer / ours:.0f} times", "20 or more"))
    rates, peer = export.measure()
    for kind, rate in rates.items():
        figure = f"{rate:,.0f} rows/s, {rate / peer:.0f} times"
        rows.append(("export", f"instances as {kind}, against a loop over pydicom", figure, "100,000 rows/s in CSV"))
    for elsewhere in (False, True):
        seconds, megabytes, ratio = comparison.measure(elsewhere)
        what = "two of 1,000,000 records" + (", files in another place" if elsewhere else "")
        figures = f"{seconds:.1f} s, {megabytes} MB, {ratio:.1f} times reading both once"
        rows.append(("comparison", what, figures, "30 s, 300 MB"))
    for installation in INSTALLATIONS:
        rate, ratio = orthanc.measure_detail(installation, sizes[0])
        place = f"{installation.name}, {sizes[0]:,} instances"
        rows.append((place, "Detail Files", f"{rate:,.0f} instances/s, {ratio:.2f} of Index", ""))
        for check, rate, ratio in verification.measure(installation, sizes[0]):
            rows.append((place, f"verification, {check}", f"{rate:,.0f} instances/s, {ratio:.2f} of an inventory run", ""))
        rows += postgresql.table_rows(installation.name, [postgresql.measure(installation, sizes[0])])
        rows += orthanc.table_rows(installation.name, [orthanc.measure(installation, size) for size in sizes])
        for size in sizes:
            rows += repository_query.table_rows(installation.name, repository_query.measure(installation, size))
        for change, seconds, full in increment.measure(installation):
            what = f"increment, of 100 of 5,000 studies {change}"
            figures = f"{seconds:.2f} s, a full run {full:.2f} s: {full / seconds:.0f} times"
            rows.append((installation.name, what, figures, "20 times or more"))
    for row in rows:
        print(f"| {' | '.join(row)} |")


main()
