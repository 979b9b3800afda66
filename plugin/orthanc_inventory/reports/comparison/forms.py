"""Forms in which a comparison is told: JSON, CSV, a text to read, and the UIDs of studies for a mover."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from ...dicom.terms import LEVELS
from ..guarded_csv import guard
from . import Comparison
from .differences import KINDS, Difference

FORMATS = ("json", "csv", "text", "uids")
COLUMNS = (
    "Kind", "Level", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Attribute", "First", "Second",
)
# Differences that a report or a page shows by default.
SHOWN = 100

_NAMES = {"STUDY": "Studies", "SERIES": "Series", "INSTANCE": "Instances"}
_NUMBERS = ("First", "Second", *KINDS)


def document(comparison: Comparison, kind: str, differences: Iterable[Difference]) -> dict[str, Any]:
    """The comparison with some of its differences of a kind, or of all if that is empty. Levels not compared are None."""
    first, second, chosen = comparison.first, comparison.second, comparison.chosen
    compared = LEVELS[: LEVELS.index(chosen.level) + 1]
    return {
        "First": first.uid,
        "Second": second.uid,
        "CompletionStatus": {"First": first.completion_status, "Second": second.completion_status},
        "Level": chosen.level,
        "Same": comparison.same,
        "Coverage": comparison.coverage,
        "Attributes": chosen.keywords,
        **{
            name: {number: comparison.counts[level][number] for number in _NUMBERS} if level in compared else None
            for level, name in _NAMES.items()
        },
        "Removed": {
            side: {name: removed[level] if level in compared else None for level, name in _NAMES.items()}
            for side, removed in zip(("First", "Second"), comparison.removed)
        },
        "TotalDifferences": comparison.differences.count(kind),
        "Differences": [_object(difference) for difference in differences],
    }


def json_pieces(comparison: Comparison, kind: str) -> Iterator[str]:
    """``document`` as JSON in ASCII with all differences, which may be more than memory holds."""
    yield json.dumps({**document(comparison, kind, ()), "Differences": None}, indent=2)[: -len("null\n}")]
    opening = "["
    for difference in comparison.differences.all(kind):
        yield f"{opening}\n{json.dumps(_object(difference))}"
        opening = ","
    yield "[]\n}\n" if opening == "[" else "\n]\n}\n"


def csv_lines(differences: Iterable[Difference]) -> Iterator[str]:
    """One line for each item that is missing or extra, and for each attribute that differs."""
    buffer = io.StringIO()
    write = csv.writer(buffer).writerow
    write(COLUMNS)
    for difference in differences:
        place = [guard(cell or "") for cell in difference[:-1]]
        for attribute, values in difference.attributes.items() or [("", ["", ""])]:
            write([*place, attribute, *map(guard, values)])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def text_lines(comparison: Comparison, kind: str, since: int = 0, limit: int = SHOWN) -> Iterator[str]:
    """A report to read: numbers, then so many differences of the kind, or of all if that is empty."""
    chosen = comparison.chosen
    first, second = comparison.first, comparison.second
    yield f"Comparison at level {chosen.level}: {'the same' if comparison.same else 'different'}\n"
    for name, side in (("First", first), ("Second", second)):
        status = f", {side.completion_status}" if side.completion_status else ""
        yield f"{name + ':':8}{_printable(side.uid or 'list')}{_printable(status)}\n"
    yield f"Compared: {', '.join(chosen.keywords) or 'UIDs alone'}\n\n"
    yield f"{'':10}{''.join(f'{number:>12}' for number in _NUMBERS)}\n"
    for level in LEVELS[: LEVELS.index(chosen.level) + 1]:
        counts = comparison.counts[level]
        yield f"{_NAMES[level]:10}{''.join(f'{counts[number]:>12,}' for number in _NUMBERS)}\n"
    if comparison.coverage is not None:
        yield f"\n{_percent(comparison.coverage)} of the {_NAMES[chosen.level].lower()} of the first are in the second.\n"
    for name, removed in zip(("first", "second"), comparison.removed):
        if any(removed.values()):
            told = ", ".join(f"{removed[level]:,} {_NAMES[level].lower()}" for level in LEVELS if removed[level])
            yield f"Removed from operational use in the {name}, and not counted: {told}.\n"
    number = 0
    for number, difference in enumerate(comparison.differences.page(kind, since, limit), 1):
        yield ("\n" if number == 1 else "") + _line(difference)
    total = comparison.differences.count(kind)
    if total > since + number:
        yield f"and {total - since - number:,} more\n"


def study_uids(comparison: Comparison, kind: str, since: int = 0, limit: int = -1) -> Iterator[str]:
    """The UIDs, one a line, of studies that are of that kind, or of which a part is; a ``limit`` of -1 is none."""
    return (f"{uid}\n" for uid in comparison.differences.study_uids(kind or "Missing", since, limit))


def _object(difference: Difference) -> dict[str, Any]:
    return {
        "Kind": difference.kind,
        "Level": difference.level,
        "PatientID": difference.patient_id,
        "StudyInstanceUID": difference.study_uid,
        "SeriesInstanceUID": difference.series_uid,
        "SOPInstanceUID": difference.instance_uid,
        "Attributes": difference.attributes,
    }


def _line(difference: Difference) -> str:
    uid = difference.instance_uid or difference.series_uid or difference.study_uid
    line = f"{difference.kind:10}{difference.level:9}{uid}"
    if difference.level != "STUDY":
        line += f", study {difference.study_uid}"
    for keyword, values in difference.attributes.items():
        line += f"; {keyword}: {' -> '.join(map(repr, values))}"
    return f"{_printable(line)}\n"


def _printable(text: str) -> str:
    """Without what would steer a terminal."""
    return "".join([character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text])


def _percent(coverage: float) -> str:
    """Rounded down: what is not whole is never told to be."""
    return f"{math.floor(coverage * 10000) / 100:.2f}%"
