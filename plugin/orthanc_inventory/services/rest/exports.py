"""The route of exports: the records of an inventory as CSV, NDJSON or Parquet."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_plus

from ...dicom.file_format import CHUNK
from ...dicom.terms import LEVELS
from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue
from ...reader import Inventory
from ...reports.columns import Column, ExportError, chosen
from ...reports.export import check_level, text_rows
from ...reports.formats import TEXT_FORMATS
from ...reports.parquet import DuckdbMissing, ParquetError, check_duckdb, write_parquet
from .inventories import check_whole, known
from .router import Route
from .studies import readable

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet",
}
# A quote that is not closed is an error to readers of CSV and of NDJSON, so they do not take what came for the whole.
_BROKEN_OFF = b'"this export broke off, the log of Orthanc says why'


class ExportRoutes:
    """Parquet files are made in ``folder`` and vanish when they are answered."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self._catalogue = catalogue
        self._folder = folder
        # Each takes hundreds of MB of memory while it is made.
        self._one_at_a_time = threading.Lock()

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/inventories/{uid}/export", self.export, "Records as CSV, NDJSON or Parquet",
                ("format", "level", "columns"), answers=tuple(CONTENT_TYPES.values()),
            ),
        ]

    def export(self, request: Request, uid: str) -> Answer:
        kind = _choice(request, "format", tuple(CONTENT_TYPES), "csv")
        level = _choice(request, "level", LEVELS, "")
        columns = unquote_plus(request.query.get("columns", ""))
        kept = known(self._catalogue.inventory(uid))
        check_whole(self._catalogue, kept)
        with readable():
            inventory = self._catalogue.read(kept)
            level = level or inventory.level
            try:
                check_level(inventory, level)
                wanted = chosen(level, columns.split(",") if columns else [])
            except ExportError as error:
                raise RestError(400, str(error)) from None
            size, chunks = (self._parquet if kind == "parquet" else _text)(inventory, level, wanted, kind)
        headers = {"Content-Disposition": f'attachment; filename="{kept.uid}.{kind}"'}
        return Answer(chunks=chunks, size=size, content_type=CONTENT_TYPES[kind], headers=headers)

    def _parquet(self, inventory: Inventory, level: str, columns: list[Column], kind: str) -> tuple[int, Iterator[bytes]]:
        """Size and bytes of the file."""
        try:
            check_duckdb()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._folder / f"{uuid.uuid4()}.parquet"
            with self._one_at_a_time:
                write_parquet(inventory, level, columns, path)
            file = path.open("rb")
            path.unlink()
        except (DuckdbMissing, ParquetError) as error:
            raise RestError(503, str(error)) from None
        except OSError as error:
            raise RestError(503, f"Inventory.StateDirectory cannot be used: {error.strerror}") from None
        size = file.seek(0, 2)
        file.seek(0)
        return size, _chunks(file)


def _text(inventory: Inventory, level: str, columns: list[Column], kind: str) -> tuple[int, Iterator[bytes]]:
    rows = text_rows(inventory, level, columns, TEXT_FORMATS[kind](columns))
    # The list of studies is read before the first rows come. So most of what can be broken is found before the answer begins.
    return 0, _whole_or_marked(chain([next(rows), next(rows, b"")], rows))


def _whole_or_marked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Orthanc ends an answer that fails as it ends others: only what stands in it can tell that it is not whole."""
    try:
        yield from chunks
    except Exception:
        yield _BROKEN_OFF
        raise


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def _choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    """A parameter in any case that must be one of a few.

    Raises:
        RestError: 400
    """
    given = unquote_plus(request.query.get(name, default)).lower()
    for value in (*allowed, default):
        if given == value.lower():
            return value
    raise RestError(400, f"{name} must be one of {', '.join(allowed)}")
