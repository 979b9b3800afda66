"""Exports the records of an inventory as CSV, NDJSON or Parquet.

Columns have DICOM keywords. A file is there as a whole or not at all, and readable for its owner alone: it tells of patients.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from ..dicom.terms import LEVELS
from ..reader import Inventory
from ..reports.columns import Column, ExportError, chosen
from ..reports.export import check_level, text_rows
from ..reports.formats import TEXT_FORMATS
from ..reports.parquet import DuckdbMissing, ParquetError, check_duckdb, write_parquet
from . import FINE, CommandError
from .inputs import SOURCE_HELP, open_input

NAME = "export"
_FORMATS = (*TEXT_FORMATS, "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="INVENTORY", help=SOURCE_HELP)
    parser.add_argument("--format", choices=_FORMATS, default="csv", help="csv unless it is said")
    parser.add_argument(
        "--level", type=str.upper, choices=LEVELS, help="a row for each of these; by default that of the inventory"
    )
    parser.add_argument(
        "--columns", metavar="A,B", default="", help="keywords of the columns in their order; by default the usual ones"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="where to write; by default, but for Parquet, standard output"
    )
    parser.add_argument("--partition", action="store_true", help="Parquet in a folder, a file for each year of study")


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    try:
        with open_input(arguments, arguments.source) as inventory:
            level = arguments.level or inventory.level
            check_level(inventory, level)
            columns = chosen(level, arguments.columns.split(",") if arguments.columns else [])
            if arguments.format == "parquet":
                write_parquet(inventory, level, columns, arguments.output, arguments.partition)
            else:
                _write_text(inventory, level, columns, arguments)
    except (ExportError, DuckdbMissing, ParquetError) as error:
        raise CommandError(str(error)) from None
    return FINE


def _check(arguments: argparse.Namespace) -> None:
    """Raises: CommandError, before anything is read."""
    output, parquet = arguments.output, arguments.format == "parquet"
    if arguments.partition and not parquet:
        raise CommandError("--partition is for --format parquet only")
    if parquet:
        try:
            check_duckdb()
        except DuckdbMissing as error:
            raise CommandError(str(error)) from None
    if output is None:
        if parquet:
            raise CommandError("--output is needed: Parquet does not go to standard output")
        return
    if not output.parent.is_dir():
        raise CommandError(f"--output: there is no folder {output.parent}")
    if arguments.partition:
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise CommandError(f"--output: {output} is there already; allowed: a new or empty folder")
    elif output.is_dir():
        raise CommandError(f"--output: {output} is a folder; allowed: a file")


def _write_text(inventory: Inventory, level: str, columns: list[Column], arguments: argparse.Namespace) -> None:
    chunks = text_rows(inventory, level, columns, TEXT_FORMATS[arguments.format](columns))
    if arguments.output is None:
        sys.stdout.buffer.writelines(chunks)
        return
    with tempfile.TemporaryDirectory(prefix=".export-", dir=arguments.output.parent) as folder:
        path = Path(folder, "rows")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.writelines(chunks)
        path.replace(arguments.output)
