"""A ZIP file (ISO 21320-1) with all instances of an inventory and a DICOMDIR, made while it is read.

File names are those of a DICOM file-set (PS3.10 8.2): upper case, at most 8 characters each.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ..dicom.media import KEYS, MediaDirectory
from ..reader.inventory_file import InventoryFile

_CHUNK = 1024 * 1024
_FILES_PER_FOLDER = 1000
# Inventories repeat themselves so much that more effort gains little.
_EFFORT = 1
# What a member may come to before ZIP64 is needed (bytes), with room for what compression may add.
_LARGEST_WITHOUT_ZIP64 = 2**31


class _Unseekable:
    """What ZipFile writes to: holds the bytes until they are taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def archive(instances: Iterable[tuple[int, BinaryIO]]) -> Iterator[bytes]:
    """The bytes of the ZIP file, for the size in bytes and the file of each instance.

    A file is closed before the next one is asked for.
    """
    output, directory = _Unseekable(), MediaDirectory()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=_EFFORT) as target:  # type: ignore[call-overload]
        for number, (size, file) in enumerate(instances):
            file_id = ("INVENTRY", f"{number // _FILES_PER_FOLDER:08}", f"{number % _FILES_PER_FOLDER:08}")
            with file:
                with target.open("/".join(file_id), "w", force_zip64=size >= _LARGEST_WITHOUT_ZIP64) as member:
                    while chunk := file.read(_CHUNK):
                        member.write(chunk)
                        yield output.take()
                inventory = InventoryFile(file, "an instance of the archive")
                directory.add(file_id, inventory.uid, inventory.transfer_syntax, inventory.explicit_elements(KEYS))
        target.writestr("DICOMDIR", directory.encode())
    yield output.take()
