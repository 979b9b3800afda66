"""How rows are written as text: CSV (RFC 4180), and NDJSON, one JSON object a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from typing import Protocol

from .columns import Column
from .guarded_csv import guard

# What needs neither quotes nor a guard, which is most of what there is.
_plain = re.compile(r"[A-Za-z0-9.][A-Za-z0-9 ._:/^-]*", re.ASCII).fullmatch
_needs_quotes = re.compile(r"""[",\r\n]""").search


class Format(Protocol):
    """``head`` stands before the first row, ``nothing`` where there is no value."""

    head: str
    nothing: str

    def cell(self, text: str) -> str:
        """Text that is not empty. Integers stand as they are."""

    def line(self, cells: Sequence[str]) -> str:
        """A row with a cell for each column. Adds no percent sign: the cells can be places of a template."""


class Csv:
    """No cell is a formula for a spreadsheet: see ``guarded_csv``. Empty where there is no value."""

    def __init__(self, columns: Sequence[Column]) -> None:
        # A line that is quite empty would be none.
        self.nothing = "" if len(columns) > 1 else '""'
        self.head = self.line([column.keyword for column in columns])

    def cell(self, text: str) -> str:
        if _plain(text):
            return text
        text = guard(text)
        return _quoted(text) if _needs_quotes(text) else text

    def line(self, cells: Sequence[str]) -> str:
        return f"{','.join(cells)}\r\n"


class PlainCsv(Csv):
    """For a program that knows the columns: without names and guards. What could mean something else to it is in quotes."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self.head = ""

    def cell(self, text: str) -> str:
        return text if _plain(text) else _quoted(text)


class Ndjson:
    """Columns by name in each line; null where there is no value."""

    nothing = "null"
    head = ""
    cell = staticmethod(encode_basestring)

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [f'"{column.keyword}": ' for column in columns]

    def line(self, cells: Sequence[str]) -> str:
        return f"{{{', '.join(map(str.__add__, self._names, cells))}}}\n"


TEXT_FORMATS: dict[str, Callable[[Sequence[Column]], Format]] = {"csv": Csv, "ndjson": Ndjson}


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))
