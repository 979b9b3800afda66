"""What commands write: text that cannot harm a terminal, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def printable(text: object) -> str:
    """The text in one line; what is no visible character is escaped, as it could move the cursor or change colours."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )


def tell(text: str) -> None:
    """A line for people, on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def write_json(value: Any) -> None:
    """JSON in ASCII, which no terminal and no encoding changes."""
    print(json.dumps(value, indent=2))


def write_json_list(values: Iterable[Any]) -> None:
    """The same for a list that need not fit into memory."""
    opening = "[\n"
    for value in values:
        sys.stdout.write(opening + json.dumps(value, indent=2))
        opening = ",\n"
    print("[]" if opening == "[\n" else "\n]")


def write_table(header: Sequence[str], rows: Iterable[Sequence[object]], right: frozenset[str] = frozenset()) -> None:
    """Columns below each other; those named in ``right`` are aligned there. None is a dash."""
    lines = [list(header), *(["-" if cell is None else printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(line, widths, header, strict=True)
        )
        print("  ".join(cells).rstrip())


def number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def size(count: int | None) -> str:
    """Bytes for people."""
    if count is None:
        return "-"
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{count} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"
