"""Stored files that lie in a container: ZIP, TAR, GZIP, TARGZIP or BLOB (PS3.3 Table C.38.2-2, P.1.2).

What a container says is not trusted: names that lead out of it, links, encryption and bombs are refused.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote

from ..dicom.decoder import InvalidInventory
from ..dicom.file_format import CHUNK, check_inflated, stream_of
from ..dicom.terms import PLAIN_FILE

_HEAD = 64 * 1024
# Members that a container may have.
MAXIMUM_MEMBERS = 100_000
# What the modules for containers raise when they meet what they do not expect.
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error,
    EOFError, KeyError, NotImplementedError, OverflowError, RuntimeError, ValueError,
)


class InvalidContainer(InvalidInventory):
    """A container that is broken, or holds what is refused."""


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file; a pipe or a device would keep the reader waiting.

    Raises:
        OSError
    """
    stream = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise FileNotFoundError(f"{path} is not a regular file")
    return stream


def open_stored_file(
    path: Path, container: str = PLAIN_FILE, name: str = "", offset: int | None = None, length: int | None = None
) -> BinaryIO:
    """The file that a Stored File Access Macro names, whose File Access URI leads to ``path``, as a seekable stream.

    ``container`` is the Container File Type, ``name`` the Filename in Container (percent-encoded as URIs are),
    ``offset`` and ``length`` the bytes in the container: needed for BLOB, otherwise not looked at.

    Raises:
        InvalidContainer: refused or broken, or there is no such member.
        OSError: the container cannot be read.
    """
    if container in ("ZIP", "TAR", "TARGZIP"):
        return _member(path, container, name)
    if container == "GZIP":
        return _gzip(path)
    if container == "BLOB":
        return _blob(path, offset, length)
    if container == PLAIN_FILE:
        return open_regular(path)
    raise _refused(path, "the Container File Type is unknown", "PS3.3 C.38.2.2.1.2")


def extracted(path: Path, name: Callable[[BinaryIO], str]) -> Path | None:
    """The files of a ZIP, TAR, GZIP or TARGZIP in a new folder, which the caller deletes; None if ``path`` is none of these.

    ``name`` looks at the first 64 KB of a file and gives its name in the folder; empty if it is not wanted. Names from a
    container are not used.

    Raises:
        InvalidContainer
    """
    walk = _members(path)
    if walk is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="inventory-"))
    try:
        with _broken_is_told(path):
            for _, stream in walk:
                head = stream.read(_HEAD)
                file_name = name(io.BytesIO(head))
                if not file_name:
                    continue
                if (folder / file_name).exists():
                    raise _refused(path, f"two files are {file_name}", "PS3.3 C.12.1")
                with open(os.open(folder / file_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                    copy.write(head)
                    shutil.copyfileobj(stream, copy, CHUNK)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def _members(path: Path) -> Iterator[tuple[str, BinaryIO]] | None:
    """Names and contents of the files in a container; each is to be read before the next is asked for."""
    with open_regular(path) as stream:
        head = stream.read(512)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return _zip_members(path)
    if head[:2] == b"\x1f\x8b":
        with _broken_is_told(path), gzip.open(path) as inflated:
            head = inflated.read(512)
        return _tar_members(path) if head[257:262] == b"ustar" else iter([(path.name, open_stored_file(path, "GZIP"))])
    return _tar_members(path) if head[257:262] == b"ustar" else None


def _member(path: Path, container: str, name: str) -> BinaryIO:
    if not name:
        raise _refused(path, "Filename in Container is missing", "PS3.3 Table C.38.2-2")
    wanted = _checked_name(path, unquote(name))
    walk = _zip_members(path) if container == "ZIP" else _tar_members(path)
    with _broken_is_told(path):
        for found, stream in walk:
            if found == wanted:
                return stream_of(_chunks(stream))
    raise _refused(path, "there is no member with this Filename in Container", "PS3.3 Table C.38.2-2")


def _zip_members(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    with _broken_is_told(path), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        total = 0
        size = os.fstat(file.fileno()).st_size
        for number, entry in enumerate(archive.infolist()):
            name = _checked_name(path, entry.filename)
            _check_number(path, number)
            # Not ``is_dir``, which fails for a member without a name.
            if entry.filename.endswith("/"):
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise _refused(path, "a member is a link", "PS3.3 P.1.2")
            if entry.flag_bits & 0x1:
                raise _refused(path, "a member is encrypted", "ISO 21320-1")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refused(path, "a member is compressed in another way than DEFLATE", "ISO 21320-1")
            check_inflated(total := total + entry.file_size, size, str(path))
            with archive.open(entry) as stream:
                yield name, stream  # type: ignore[misc]


def _tar_members(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Of a TAR or TARGZIP, in one pass."""
    with _broken_is_told(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        source: Any = _Inflated(gzip.GzipFile(fileobj=file), size, str(path)) if compressed else file
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for number, entry in enumerate(archive):
                _check_number(path, number)
                name = _checked_name(path, entry.name)
                if entry.isdir():
                    continue
                if not entry.isreg() or entry.issparse():
                    raise _refused(path, "a member is a link, a device or sparse", "PS3.3 P.1.2")
                yield name, archive.extractfile(entry)  # type: ignore[misc]


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Inflated:
    """What GZIP holds, as long as it is within the limits: TAR skips over members by reading them."""

    def __init__(self, stream: _Readable, compressed: int, name: str) -> None:
        self._stream = stream
        self._compressed = compressed
        self._name = name
        self._size = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._size += len(data)
        check_inflated(self._size, self._compressed, self._name)
        return data


def _gzip(path: Path) -> BinaryIO:
    with _broken_is_told(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        return stream_of(_chunks(_Inflated(gzip.GzipFile(fileobj=file), size, str(path))))


def _blob(path: Path, offset: int | None, length: int | None) -> BinaryIO:
    if offset is None or length is None:
        raise _refused(path, "File Offset and File Length in Container are missing", "PS3.3 Table C.38.2-2")
    with open_regular(path) as file:
        if offset + length > os.fstat(file.fileno()).st_size:
            raise _refused(path, "File Offset and File Length in Container lead out of it", "PS3.3 Table C.38.2-2")
        file.seek(offset)
        return stream_of(_chunks(file, length))


def _chunks(stream: _Readable, length: int = 1 << 63) -> Iterator[bytes]:
    """What is left of the stream, or so many bytes of it."""
    while length and (chunk := stream.read(min(CHUNK, length))):
        yield chunk
        length -= len(chunk)


def _checked_name(path: Path, name: str) -> str:
    """The name of a member, which must lead to a place in the container."""
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in name.partition("/")[0]:
        raise _refused(path, "the name of a member is an absolute path, or none", "PS3.3 P.1.2")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refused(path, "the name of a member leads out of the container", "PS3.3 P.1.2")
    return "/".join(parts)


def _check_number(path: Path, number: int) -> None:
    if number >= MAXIMUM_MEMBERS:
        raise _refused(path, f"more than {MAXIMUM_MEMBERS} members", "limit of this reader")


@contextmanager
def _broken_is_told(path: Path) -> Iterator[None]:
    try:
        yield
    except InvalidInventory:
        raise
    except (*_BROKEN, OSError) as error:
        # The disk may be full, but no place before the start of a file is asked for in good faith.
        if not isinstance(error, _BROKEN) and error.errno != errno.EINVAL:
            raise
        raise _refused(path, f"the container is broken ({type(error).__name__})", "PS3.3 C.38.2.2.1.2") from None


def _refused(path: Path, problem: str, clause: str) -> InvalidContainer:
    return InvalidContainer(str(path), 0, problem, clause)
