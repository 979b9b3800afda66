"""The records of an inventory as rows: of studies, series or instances, as the latest records tell (PS3.17 YYYY.7.10).

Of an instance no more is decoded than is asked for, and rows leave as they come: memory does not grow with the inventory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from operator import call
from typing import Any

from pydicom.datadict import tag_for_keyword

from ..dicom.decoded_values import decoded_value
from ..dicom.terms import LEVELS
from ..dicom.uris import resolve
from ..reader import Inventory
from ..reader.layouts import Layout, Layouts
from ..reader.records import Instance, Series, Study
from .columns import Column, ExportError
from .formats import Format

_REMOVED = "RemovedFromOperationalUse"
_RELATIVE = frozenset({"FileAccessURI", "FolderAccessURI"})
_INTEGER = re.compile(r" *([+-]?[0-9]{1,18})", re.ASCII).fullmatch
_LARGEST_INTEGER = 2**63 - 1
_LINES = 500
# Values that are remembered as cells, of each column; what hardly repeats is not.
_REMEMBERED = 2000
_DECODERS = 500
_UNLIKE = frozenset({"FileAccessURI", "FileLengthInContainer", "MAC", "SOPInstanceUID"})

_Decode = Callable[[bytes], str]


def check_level(inventory: Inventory, level: str) -> None:
    """Raises: ExportError, if the inventory does not have records of that level."""
    allowed = LEVELS[: LEVELS.index(inventory.level) + 1]
    if level not in allowed:
        raise ExportError(f"level: the inventory has no records of level {level}; allowed: {', '.join(allowed)}")


def text_rows(inventory: Inventory, level: str, columns: Sequence[Column], form: Format) -> Iterator[bytes]:
    """The rows in UTF-8, many at a time.

    Raises:
        InvalidInventory, MissingInstance
    """
    lines = _Rows(inventory, level, columns, form).lines()
    yield form.head.encode()
    while batch := list(islice(lines, _LINES)):
        yield "".join(batch).encode()


class _Rows:
    def __init__(self, inventory: Inventory, level: str, columns: Sequence[Column], form: Format) -> None:
        self._inventory = inventory
        self._level = level
        self._form = form
        # Of each level the columns that its records fill, by the place in the row.
        self._columns = {
            name: [
                (place, column) for place, column in enumerate(columns)
                if column.level == name or (column.inherited and LEVELS.index(column.level) > LEVELS.index(name))
            ]
            for name in LEVELS
        }
        self._nothing = [form.nothing] * len(columns)
        of_instance = self._columns["INSTANCE"]
        # Where no sequence is asked for as a whole, instances need not be decoded as a whole.
        self._layouts = None if any(column.vr == "SQ" for _, column in of_instance) else Layouts(map(_path, of_instance))
        self._decoders: dict[tuple[str, str, str, str], _Decode] = {}

    def lines(self) -> Iterator[str]:
        line = self._form.line
        for study in self._inventory.merged_studies():
            of_study = self._cells("STUDY", study.records[0], self._nothing)
            if self._level == "STUDY":
                yield line(of_study)
                continue
            for series in study.series():
                of_series = self._cells("SERIES", series, of_study)
                if self._level == "SERIES":
                    yield line(of_series)
                else:
                    yield from self._instances(series, of_series)

    def _cells(self, level: str, record: Study | Series | Instance, above: Sequence[str]) -> list[str]:
        """The cells of a row as far as this record and those above tell of them."""
        attributes = record.attributes
        base_uri = record.base_uri
        cells = list(above)
        for place, column in self._columns[level]:
            cells[place] = self._cell(column, _value(attributes, column), base_uri, above[place])
        return cells

    def _cell(self, column: Column, value: Any, base_uri: str, above: str) -> str:
        text = _text(column, value, base_uri)
        if not text or (column.keyword == _REMOVED and above == self._form.cell("Y")):
            return above if column.inherited else self._form.nothing
        return text if column.integer else self._form.cell(text)

    def _instances(self, series: Series, of_series: Sequence[str]) -> Iterator[str]:
        line = self._form.line
        templates: dict[Layout, tuple[str, list[_Decode]]] = {}
        for instance in series.instances():
            found = instance.encoded_values(self._layouts) if self._layouts else None
            if found is None:
                yield line(self._cells("INSTANCE", instance, of_series))
                continue
            layout, values = found
            if layout not in templates:
                templates[layout] = self._template(layout, series, of_series)
            template, decoders = templates[layout]
            yield template % tuple(map(call, decoders, values))

    def _template(self, layout: Layout, series: Series, of_series: Sequence[str]) -> tuple[str, list[_Decode]]:
        """A row of this series with a place for each value of an instance with this layout, and what makes cells of these."""
        of_instance = self._columns["INSTANCE"]
        cells = [cell.replace("%", "%%") for cell in of_series]
        character_set, base_uri = series.character_set, series.base_uri
        decoders = []
        for number, vr in layout.elements:
            place, column = of_instance[number]
            cells[place] = "%s"
            decoders.append(self._decoder(column, vr, character_set, base_uri, of_series[place]))
        return self._form.line(cells), decoders

    def _decoder(self, column: Column, vr: str, character_set: str, base_uri: str, above: str) -> _Decode:
        cell = self._cell

        def decode(content: bytes) -> str:
            return cell(column, decoded_value(vr, content, character_set), base_uri, above)

        if column.keyword in _UNLIKE:
            return decode
        key = column.keyword, vr, character_set, above if column.inherited else ""
        if key not in self._decoders:
            if len(self._decoders) == _DECODERS:
                self._decoders.clear()
            self._decoders[key] = _Remembered(decode).__getitem__
        return self._decoders[key]


class _Remembered(dict[bytes, str]):
    """Cells by what they are made of."""

    def __init__(self, decode: _Decode) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, content: bytes) -> str:
        if len(self) == _REMEMBERED:
            self.clear()
        cell = self[content] = self._decode(content)
        return cell


def _path(column: tuple[int, Column]) -> tuple[int, int]:
    _, entry = column
    return (tag_for_keyword(entry.sequence) or 0) if entry.sequence else 0, entry.tag


def _value(attributes: Mapping[str, Any], column: Column) -> Any:
    """The value that a record has for a column, in the form of ``dicom.records``; empty text if it has none."""
    if column.sequence:
        items = attributes.get(column.sequence)
        attributes = items[0] if items else {}
    return attributes.get(column.keyword, "")


def _text(column: Column, value: Any, base_uri: str) -> str:
    """The value as it is exported: several by backslashes, a sequence as JSON; empty where there is none, or no integer."""
    if column.integer:
        number = value if isinstance(value, int) else int(match[1]) if (match := _INTEGER(value)) else None
        return "" if number is None or number > _LARGEST_INTEGER else str(number)
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
    if column.keyword in _RELATIVE and value:
        return resolve(value, base_uri)
    return str(value)
