"""A data set in another transfer syntax than the one in which it lies, in pieces: whatever its size, little is in memory.

Values stay as they are. Sequences and items get undefined lengths, as their lengths are not known beforehand; group lengths
(gggg,0000), which would be wrong, are left out (PS3.5 7.2).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from struct import pack
from typing import Any

from .decoder import EncodedDataSet, Place
from .elements import element_header, encode_attributes, implicit_header
from .file_format import CHUNK, DicomFile
from .uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_UNDEFINED = 0xFFFFFFFF
_ITEM = pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED)
_ITEM_END, _SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE00D, 0), pack("<HHI", 0xFFFE, 0xE0DD, 0)
# Pieces are about so long (bytes), but for single values.
_PIECE = 64 * 1024


def encoded_data_set(file: DicomFile, transfer_syntax: str) -> Iterator[bytes]:
    """The data set of a file without its File Meta Information.

    Raises:
        InvalidInventory: from the iterator, where the file is broken.
    """
    return transcoded(file.data_set, file.place, transfer_syntax)


def encoded_attributes(attributes: Mapping[str, Any], transfer_syntax: str) -> bytes:
    """A small data set by keyword, as ``encode_attributes`` takes it, in one of the transfer syntaxes."""
    encoded = encode_attributes(attributes)
    return b"".join(transcoded(EncodedDataSet(encoded, "the data set"), (0, len(encoded), True), transfer_syntax))


def digest(file: DicomFile) -> str:
    """SHA-256 of what a data set says: the same in each transfer syntax, and however the lengths are written.

    Raises:
        InvalidInventory
    """
    found = hashlib.sha256()
    for piece in _walk(file.data_set, file.place, explicit=False):
        found.update(piece)
    return found.hexdigest()


def transcoded(data_set: EncodedDataSet, place: Place, transfer_syntax: str) -> Iterator[bytes]:
    """The data set that lies there in one of the transfer syntaxes that ``read_file`` reads.

    Raises:
        InvalidInventory: from the iterator, where the data set is broken.
    """
    explicit = transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN
    start, stop, is_explicit = place
    pieces = _slices(data_set, start, stop) if explicit == is_explicit else _collected(_walk(data_set, place, explicit))
    return _deflated(pieces) if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN else pieces


def _slices(data_set: EncodedDataSet, start: int, stop: int) -> Iterator[bytes]:
    for position in range(start, stop, CHUNK):
        yield data_set.buffer[position : min(position + CHUNK, stop)]


def _walk(data_set: EncodedDataSet, place: Place, explicit: bool) -> Iterator[bytes]:
    # Innermost last: what is being walked, items or elements, and what ends it.
    stack: list[tuple[Iterator[Any], bool, bytes]] = [(data_set.elements(place), False, b"")]
    while stack:
        walk, are_items, end = stack[-1]
        entry = next(walk, None)
        if entry is None:
            stack.pop()
            yield end
        elif are_items:
            yield _ITEM
            stack.append((data_set.elements(entry), False, _ITEM_END))
        else:
            tag, vr, start, stop, _ = entry
            if vr == "SQ":
                yield _header(tag, vr, _UNDEFINED, explicit)
                stack.append((data_set.items(entry), True, _SEQUENCE_END))
            elif tag & 0xFFFF:
                yield _header(tag, vr, stop - start, explicit)
                yield from _slices(data_set, start, stop)


def _header(tag: int, vr: str, length: int, explicit: bool) -> bytes:
    return element_header(tag, vr, length) if explicit else implicit_header(tag, vr, length)


def _collected(pieces: Iterator[bytes]) -> Iterator[bytes]:
    collected = bytearray()
    for piece in pieces:
        collected += piece
        if len(collected) >= _PIECE:
            yield bytes(collected)
            collected.clear()
    if collected:
        yield bytes(collected)


def _deflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """RFC 1951, filled up to an even length (PS3.5 A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for piece in pieces:
        compressed = compressor.compress(piece)
        size += len(compressed)
        if compressed:
            yield compressed
    rest = compressor.flush()
    yield rest + b"\0" * ((size + len(rest)) & 1)
