"""Compares two inventories, or an inventory with a list: what is missing in the second, extra or different.

A list is a CSV file, such as the command export writes: its first line names columns by keyword, StudyInstanceUID at least.
Ends with 0 if both are the same, with 1 if they differ.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from ..dicom.terms import LEVELS
from ..reports.comparison import KINDS, Comparison, InvalidChoice, InventorySide, Side, compare
from ..reports.comparison.files import is_list
from ..reports.comparison.forms import FORMATS, csv_lines, json_pieces, study_uids, text_lines
from ..reports.comparison.lists import InvalidList, ListSide
from . import DIFFERENT, FINE, CommandError
from .inputs import SOURCE_HELP, is_remote, open_input

NAME = "compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="FIRST", help=f"{SOURCE_HELP}; or a CSV list")
    parser.add_argument("second", metavar="SECOND", help="likewise")
    parser.add_argument(
        "--level", type=str.upper, choices=LEVELS, default="", help="down to which to compare; default: that of both"
    )
    parser.add_argument(
        "--attributes", metavar="KEYWORDS", default="",
        help="what to compare, with commas between; default: what must not change from one archive to another",
    )
    parser.add_argument("--kind", choices=KINDS, default="", help="tell these differences only; default: all, of uids Missing")
    parser.add_argument(
        "--format", choices=FORMATS, default="text",
        help="text: numbers and the first differences; json and csv: all differences; uids: Study Instance UIDs for a mover",
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")


def run(arguments: argparse.Namespace) -> int:
    attributes = [keyword.strip() for keyword in arguments.attributes.split(",") if keyword.strip()]
    with ExitStack() as inputs:
        try:
            sides = [_side(arguments, source, inputs) for source in (arguments.first, arguments.second)]
            comparison = compare(sides[0], sides[1], arguments.level, attributes)
        except (InvalidChoice, InvalidList) as error:
            raise CommandError(str(error)) from None
        except sqlite3.Error as error:
            raise CommandError(f"what is compared cannot be sorted in the folder for temporary files: {error}") from None
        for piece in _pieces(comparison, arguments.format, arguments.kind):
            sys.stdout.buffer.write(piece.encode())
    return FINE if comparison.same else DIFFERENT


def _side(arguments: argparse.Namespace, source: str, inputs: ExitStack) -> Side:
    path = Path(source)
    if not is_remote(arguments, source) and path.is_file() and is_list(path):
        return ListSide(path)
    return InventorySide(inputs.enter_context(open_input(arguments, source)))


def _pieces(comparison: Comparison, form: str, kind: str) -> Iterable[str]:
    pieces: dict[str, Iterator[str]] = {
        "json": json_pieces(comparison, kind),
        "csv": csv_lines(comparison.differences.all(kind)),
        "text": text_lines(comparison, kind),
        "uids": study_uids(comparison, kind),
    }
    return pieces[form]
