"""The identifiers of C-FIND responses, many at a time: planned once for a query, then made by plain bytes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby, repeat
from typing import NamedTuple

from .elements import element_header, implicit_header
from .encoder import Corrections, ItemEncoder
from .macros import Attribute
from .record_keys import record_keys
from .records import Attributes
from .uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_RECORD_KEY = 0x0008041B


class Branch(NamedTuple):
    """Records that stand below one other: their attributes and names, and the attributes and names of what is above."""

    above: Attributes
    parent: bytes
    names: Sequence[bytes]
    records: Sequence[Attributes]


class ResponseIdentifiers:
    """Encodes records.

    Args:
        rows: what each identifier has, with or without a value.
        own: the keywords that the records themselves have; all others are those of what is above.
        with_key: whether the Record Key is among it.
    """

    def __init__(self, rows: Iterable[Attribute], own: Iterable[str], with_key: bool, transfer_syntax: str) -> None:
        explicit = transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN
        self._deflate = transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        rows = sorted(rows, key=lambda row: row.tag)
        encoder = ItemEncoder(rows, Corrections(), explicit=explicit)
        header = element_header if explicit else implicit_header
        own = frozenset(own)
        self._columns: list[Callable[[Sequence[Branch]], Iterable[bytes]]] = []
        tagged: list[tuple[int, str]] = [(row.tag, row.keyword) for row in rows]
        if with_key:
            tagged.append((_RECORD_KEY, ""))
        # What stands between two elements of the records themselves is made once for all records of a branch.
        for _, group in groupby(sorted(tagged), key=lambda entry: entry[1] if entry[1] in own or not entry[1] else None):
            keywords = [keyword for _, keyword in group]
            if keywords == [""]:
                self._columns.append(lambda branches: _keys(branches, header))
            elif keywords[0] in own:
                self._columns.append(_own(encoder, keywords[0]))
            else:
                self._columns.append(_above(encoder, keywords))

    def encode(self, branches: Sequence[Branch]) -> list[bytes]:
        """The data sets of all records, in their order."""
        data_sets = list(map(b"".join, zip(*(column(branches) for column in self._columns))))
        return list(map(_deflated, data_sets)) if self._deflate else data_sets


def _own(encoder: ItemEncoder, keyword: str) -> Callable[[Sequence[Branch]], Iterable[bytes]]:
    encode = encoder.column(keyword)
    return lambda branches: encode([record.get(keyword, "") for branch in branches for record in branch.records])


def _above(encoder: ItemEncoder, keywords: list[str]) -> Callable[[Sequence[Branch]], Iterable[bytes]]:
    columns = [(keyword, encoder.column(keyword)) for keyword in keywords]

    def elements(branches: Sequence[Branch]) -> Iterator[bytes]:
        encoded = zip(*(encode([branch.above.get(keyword, "") for branch in branches]) for keyword, encode in columns))
        counts = (len(branch.records) for branch in branches)
        return chain.from_iterable(map(repeat, map(b"".join, encoded), counts))

    return elements


def _keys(branches: Sequence[Branch], header: Callable[[int, str, int], bytes]) -> Iterator[bytes]:
    for branch in branches:
        keys = record_keys(branch.parent, branch.names)
        head = header(_RECORD_KEY, "OB", len(keys[0])) if keys else b""
        for key in keys:
            yield head + key


def _deflated(data_set: bytes) -> bytes:
    """RFC 1951, filled up to an even length (PS3.5 A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    content = compressor.compress(data_set) + compressor.flush()
    return content + b"\0" * (len(content) & 1)
