"""Rows as Parquet, by duckdb: one file, or a folder of one file for each year of study.

duckdb keeps all that it reads from a pipe, so rows go to it by a file, some tens of MB at a time. Each makes a piece, and the
pieces are put together at the end: memory and the size of row groups do not depend on how many rows there are.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..reader import Inventory
from .columns import Column, available
from .export import text_rows
from .formats import PlainCsv

YEAR = "StudyYear"
# What Hive, and all who partition as it does, call a value that is not there.
_NO_YEAR = "__HIVE_DEFAULT_PARTITION__"
_PIECE = 32 * 1024 * 1024
_FORMAT = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440"
_CSV = "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"'"
_LONGEST_LINE = 2_000_000


class DuckdbMissing(Exception):
    """The extra is not installed."""

    def __init__(self) -> None:
        super().__init__("Parquet needs duckdb: pip install 'orthanc-inventory[analytics]'")


class ParquetError(Exception):
    """duckdb failed. Its message is not told, as it can hold values of patients."""


def check_duckdb() -> None:
    """Raises: DuckdbMissing."""
    _duckdb()


def write_parquet(
    inventory: Inventory, level: str, columns: Sequence[Column], target: Path, partition: bool = False
) -> None:
    """Writes ``target``, which is there as a whole or not at all: a file (mode 0600) that may replace an earlier one.

    With ``partition`` it is a new or empty folder (0700), with files ``StudyYear=2020/{uid of the inventory}.parquet``.
    The work is done beside it.

    Raises:
        DuckdbMissing, ParquetError, InvalidInventory, MissingInstance
        OSError: the target cannot be written.
    """
    duckdb = _duckdb()
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as folder:
        result = Path(folder, "result")
        connection = duckdb.connect(config={
            "threads": 1, "memory_limit": "400MB", "temp_directory": folder,
            "autoinstall_known_extensions": False, "autoload_known_extensions": False,
        })
        try:
            _write(connection, inventory, level, columns, result, f"{inventory.uid}.parquet" if partition else "")
        except duckdb.Error as error:
            raise ParquetError(f"duckdb cannot write it: {type(error).__name__}; is there room in {target.parent}?") from None
        finally:
            connection.close()
        for path in result.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        result.chmod(0o700 if partition else 0o600)
        result.replace(target)


def _write(connection: Any, inventory: Inventory, level: str, columns: Sequence[Column], result: Path, name: str) -> None:
    """``name`` is that of the files of a folder by year; empty for one file."""
    pieces, rows = result.with_name("pieces"), result.with_name("rows.csv")
    fed = [*columns, available(level)["StudyDate"]] if name else columns
    names = [column.keyword for column in columns] + ([YEAR] if name else [])
    types = ", ".join(f"'{key}': '{'BIGINT' if column.integer else 'VARCHAR'}'" for key, column in zip(names, fed))
    year = f"CASE WHEN regexp_full_match({YEAR}, '[0-9]{{8}}') THEN left({YEAR}, 4) ELSE '{_NO_YEAR}' END"
    selected = f"* REPLACE ({year} AS {YEAR})" if name else "*"
    for number, longest in enumerate(_files(text_rows(inventory, level, fed, PlainCsv(fed)), rows)):
        source = f"read_csv({_pattern(rows)}, {_CSV}, columns = {{{types}}}, max_line_size = {max(longest, _LONGEST_LINE)})"
        connection.execute(f"CREATE OR REPLACE TABLE piece AS SELECT {selected} FROM {source}")
        if not name:
            _copy(connection, "piece", pieces / "all" / f"{number:09}")
            continue
        for (found,) in connection.execute(f"SELECT DISTINCT {YEAR} FROM piece").fetchall():
            one_year = f"(SELECT * EXCLUDE ({YEAR}) FROM piece WHERE {YEAR} = '{found}')"
            _copy(connection, one_year, pieces / f"{YEAR}={found}" / f"{number:09}")
    connection.execute("DROP TABLE piece")
    if name:
        result.mkdir(mode=0o700)
    for folder in sorted(pieces.glob("*")):
        source = f"read_parquet({_pattern(folder)} || '/*', hive_partitioning = false)"
        _copy(connection, source, result / folder.name / name if name else result)


def _copy(connection: Any, source: str, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection.execute(f"COPY (SELECT * FROM {source}) TO {_text(path)} ({_FORMAT})")


def _files(chunks: Iterator[bytes], path: Path) -> Iterator[int]:
    """Puts the chunks, whole lines, into the file, which is full each time that this yields: a length that no line exceeds.

    There is one file at least, empty where there are no rows.
    """
    chunk: bytes | None = b""
    while chunk is not None:
        longest = size = 0
        with path.open("wb") as file:
            while chunk is not None and size < _PIECE:
                file.write(chunk)
                size += len(chunk)
                longest = max(longest, len(chunk))
                chunk = next(chunks, None)
        yield longest


def _text(path: Path) -> str:
    """A path as text in SQL."""
    return "'{}'".format(str(path).replace("'", "''"))


def _pattern(path: Path) -> str:
    """The same where duckdb takes paths for patterns."""
    return _text(Path(re.sub(r"([*?\[])", r"[\1]", str(path))))


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise DuckdbMissing from None
    return duckdb
