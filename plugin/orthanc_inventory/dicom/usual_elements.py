"""Usual elements as regular expressions, to walk past many at once (PS3.5 7.1, 7.5).

Each length that a value may have stands in the expressions. So a match has gone from header to header, as any walk must:
a delimiter that is part of a value means nothing. What is not usual, such as a long value or the VR UN, does not match and
is left to the walk of the decoder; what that refuses does not match either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from mmap import mmap

from .attributes import INSTANCE, SERIES, STUDY
from .macros import Attribute

# Levels of sequences of undefined length in what is matched.
DEPTH = 3

# Takes a buffer, where to begin, and where to stop.
Matcher = Callable[["bytes | mmap", int, int], "re.Match[bytes] | None"]

_UNDEFINED = rb"\xff\xff\xff\xff"
_ITEM, _ITEM_END, _SEQUENCE_END = rb"\xfe\xff\0\xe0", rb"\xfe\xff\x0d\xe0\0\0\0\0", rb"\xfe\xff\xdd\xe0\0\0\0\0"
# No group that begins like that of the delimiters.
_TAG = rb"[^\xfe]..."
_SHORT_VRS = rb"(?:U[ILS]|CS|IS|D[AST]|L[OT]|S[HLST]|PN|TM|A[EST]|F[LD])"
_LONG_VRS = rb"(?:U[CRTV]|O[BDFLVW]|S[QV])\0\0"
# The sequences of records, whose items must be stopped at: Inventoried Studies, Series and Instances Sequence.
_RECORDS = (0x00080423, 0x00080424, 0x00080425)
_SEQUENCE = rb"[^\xfe].[^\x23-\x25].SQ\0\0"


@cache
def usual_elements(explicit: bool) -> Matcher:
    """Matches as many elements, with or without VRs, as there are; they may be none."""
    return re.compile(_elements(explicit, DEPTH), re.DOTALL).match


@cache
def usual_item(explicit: bool) -> Matcher:
    """Matches an item of undefined length, with its delimiter."""
    return re.compile(_item(explicit, DEPTH), re.DOTALL).match


def _item(explicit: bool, depth: int) -> bytes:
    return _ITEM + _UNDEFINED + _elements(explicit, depth) + _ITEM_END


def _elements(explicit: bool, depth: int) -> bytes:
    if explicit:
        element = rb"%b(?:%b%b|%b%b)" % (_TAG, _SHORT_VRS, _values(rb"\0"), _LONG_VRS, _values(rb"\0\0\0"))
    else:
        element = _TAG + _values(rb"\0\0\0")
    if depth:
        sequence = _SEQUENCE if explicit else _implicit_sequences()
        items = _several(_item(explicit, depth - 1))
        element = rb"%b|%b%b%b%b" % (element, sequence, _UNDEFINED, items, _SEQUENCE_END)
    return _several(element)


def _several(expression: bytes) -> bytes:
    """As often as it matches, without a way back. Atomic as well: in Python 3.11.2 ``*+`` alone forgets where it was."""
    return rb"(?:(?>%b))*+" % expression


def _values(length_end: bytes) -> bytes:
    """Length and value, of even length up to 254; ``length_end`` are the other bytes of the length."""
    return rb"(?:%b)" % b"|".join(rb"\x%02x%b.{%d}" % (length, length_end, length) for length in range(0, 256, 2))


def _implicit_sequences() -> bytes:
    """The tags of the sequences in records: without VRs no others are known here."""
    tags = sorted(_sequence_tags((*STUDY, *SERIES, *INSTANCE)))
    return rb"(?:%b)" % b"|".join(
        rb"\x%02x\x%02x\x%02x\x%02x" % (tag >> 16 & 0xFF, tag >> 24, tag & 0xFF, tag >> 8 & 0xFF) for tag in tags
    )


def _sequence_tags(rows: Iterable[Attribute]) -> set[int]:
    sequences = [row for row in rows if row.vr == "SQ" and row.tag not in _RECORDS]
    return {row.tag for row in sequences}.union(*(_sequence_tags(row.items) for row in sequences))
