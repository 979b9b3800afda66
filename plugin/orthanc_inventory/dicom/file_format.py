"""DICOM files (PS3.10 7): what precedes the data set, and the transfer syntaxes that are read (PS3.5 A)."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, NamedTuple

from pydicom.config import IGNORE
from pydicom.uid import UID

from .decoder import EncodedDataSet, InvalidInventory, Place
from .uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

CHUNK = 1024 * 1024
# What is compressed may become this large (bytes), and this many times its size once it is above the harmless size.
MAXIMUM_INFLATED = 4 * 1024**3
MAXIMUM_RATIO = 250
_HARMLESS = 64 * CHUNK
# Below this a file is read at once: mapping costs a file descriptor, and a file that shrinks later would end the process.
_SMALL = 4 * CHUNK

_PREAMBLE = 128
# Enough for any File Meta Information.
_HEAD = 64 * 1024
_META_CLASS, _META_INSTANCE, _META_SYNTAX = 0x00020002, 0x00020003, 0x00020010


class DicomFile(NamedTuple):
    """A file whose data set can be read: ``place`` is where its elements lie in ``data_set``; ``raw`` is the file itself."""

    data_set: EncodedDataSet
    place: Place
    transfer_syntax: str
    sop_class_uid: str
    sop_instance_uid: str
    raw: bytes | mmap


def read_file(stream: BinaryIO, name: str) -> DicomFile:
    """Reads from the start of ``stream``, which can be closed afterwards; ``name`` is for messages.

    Raises:
        InvalidInventory: no DICOM file, broken, or in a transfer syntax that is not read.
    """
    raw = _buffer(stream)
    file = EncodedDataSet(raw, name)
    meta = _meta_information(file)
    sop_class, instance, syntax = _identity(file, meta)
    data_set, place = read_data_set(raw, syntax, name, meta[1])
    return DicomFile(data_set, place, syntax, sop_class, instance, raw)


def read_data_set(raw: bytes | mmap, syntax: str, name: str, start: int = 0) -> tuple[EncodedDataSet, Place]:
    """The data set in ``raw`` from ``start`` on, and where its elements lie.

    Raises:
        InvalidInventory: the transfer syntax is not read, or what is deflated is broken.
    """
    if syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        inflated = _buffer_of(_inflate(raw, start, name))
        return EncodedDataSet(inflated, f"{name} (inflated)"), (0, len(inflated), True)
    file = EncodedDataSet(raw, name)
    if syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        return file, (start, len(raw), syntax == EXPLICIT_VR_LITTLE_ENDIAN)
    known = UID(syntax, IGNORE)
    label = f"{known.name} ({syntax})" if known.name != syntax else syntax
    raise file.invalid(start, f"transfer syntax {label} is not read", "PS3.5 A")


def read_meta_information(stream: BinaryIO, name: str) -> tuple[str, ...]:
    """SOP Class UID, SOP Instance UID and Transfer Syntax UID of a DICOM file, of which only the head is read.

    Raises:
        InvalidInventory
    """
    file = EncodedDataSet(stream.read(_HEAD), name)
    return _identity(file, _meta_information(file))


def _identity(file: EncodedDataSet, meta: Place) -> tuple[str, ...]:
    elements = {element[0]: element for element in file.elements(meta)}
    return tuple(file.uid(elements.get(tag), tag, meta) for tag in (_META_CLASS, _META_INSTANCE, _META_SYNTAX))


def _meta_information(file: EncodedDataSet) -> Place:
    """Where the File Meta Information lies: its first element gives the length (PS3.10 7.1)."""
    if file.buffer[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise file.invalid(0, "not a DICOM file: no DICM behind the preamble", "PS3.10 7.1")
    start = _PREAMBLE + 4
    if file.buffer[start : start + 8] != b"\x02\0\0\0UL\x04\0" or len(file.buffer) < start + 12:
        raise file.invalid(start, "File Meta Information Group Length (0002,0000) is missing", "PS3.10 7.1")
    stop = start + 12 + int.from_bytes(file.buffer[start + 8 : start + 12], "little")
    if stop > len(file.buffer):
        raise file.invalid(start, "the file ends in its File Meta Information", "PS3.10 7.1")
    return start, stop, True


def _buffer(stream: BinaryIO) -> bytes | mmap:
    stream.seek(0)
    if isinstance(stream, io.BytesIO):
        return stream.getvalue()
    # Not what fileno() promises: that of a decompressing stream is the compressed file.
    if not isinstance(getattr(stream, "raw", stream), io.FileIO):
        return _buffer_of(iter(lambda: stream.read(CHUNK), b""))
    if os.fstat(stream.fileno()).st_size <= _SMALL:
        return stream.read()
    return mmap(stream.fileno(), 0, access=ACCESS_READ)


def stream_of(chunks: Iterable[bytes | memoryview]) -> BinaryIO:
    """Bytes that come in pieces as a seekable stream: a file without a name, which vanishes when it is closed."""
    file = tempfile.TemporaryFile()
    for chunk in chunks:
        file.write(chunk)
    file.seek(0)
    return file


def _buffer_of(chunks: Iterable[bytes]) -> bytes | mmap:
    with stream_of(chunks) as file:
        return _buffer(file)


def check_inflated(size: int, compressed: int, name: str) -> None:
    """Refuses what becomes too large for what it was."""
    if size > MAXIMUM_INFLATED or size > max(_HARMLESS, MAXIMUM_RATIO * compressed):
        problem = f"what is compressed becomes larger than {MAXIMUM_INFLATED} bytes, or {MAXIMUM_RATIO} times its size"
        raise InvalidInventory(name, 0, problem, "limit of this reader")


def _inflate(raw: bytes | mmap, start: int, name: str) -> Iterator[bytes]:
    """What is deflated in ``raw`` from ``start`` on, in pieces (RFC 1951)."""
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    for position in range(start, len(raw), CHUNK):
        data = raw[position : position + CHUNK]
        piece = b""
        # A full piece may not be all that came out of the data.
        while (data or len(piece) == CHUNK) and not decompressor.eof:
            try:
                piece = decompressor.decompress(data, CHUNK)
            except zlib.error:
                raise InvalidInventory(name, position, "what is deflated is broken", "PS3.5 A.5") from None
            data = decompressor.unconsumed_tail
            size += len(piece)
            check_inflated(size, len(raw), name)
            yield piece
    if not decompressor.eof:
        raise InvalidInventory(name, len(raw), "what is deflated is cut off", "PS3.5 A.5")
