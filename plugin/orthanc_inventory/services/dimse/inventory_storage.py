"""Inventory Storage (PS3.4 GG): C-STORE of inventories from elsewhere, taken in as by ``POST /inventories/import``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...dicom.decoder import InvalidInventory
from ...dicom.file_format import read_file
from ...dicom.inventory import file_header
from ...dicom.transcoding import digest
from ...dicom.uids import INVENTORY_STORAGE
from ...dicom.values import is_uid
from ...production.catalogue import Catalogue
from ...production.imports import C_STORE as ORIGIN
from ...production.imports import Imports, NotFitting, UidTaken
from ...stores import InstanceGone, StoreError
from ...stores.directory import chunks_of
from .messages import C_STORE, DOES_NOT_MATCH_SOP_CLASS, OUT_OF_RESOURCES, SUCCESS, UNABLE_TO_PROCESS
from .service import Refusal, Request, Response


class InventoryStorage:
    """``folder`` is where an object lies until it is taken in."""

    sop_class = INVENTORY_STORAGE
    operation = C_STORE
    permission = "Store"
    sends: tuple[str, ...] = ()

    def __init__(self, imports: Imports, catalogue: Catalogue, folder: Path) -> None:
        self._imports = imports
        self._catalogue = catalogue
        self._folder = folder

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        uid = request.command.get("AffectedSOPInstanceUID", "")
        if request.too_large:
            raise Refusal(OUT_OF_RESOURCES, "larger than Inventory.MaximumImportSize, or the disk is full")
        if request.data is None or not is_uid(uid):
            raise Refusal(DOES_NOT_MATCH_SOP_CLASS, "there is no data set, or no Affected SOP Instance UID")
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(file_header(INVENTORY_STORAGE, uid, request.context.transfer_syntax))
                file.writelines(chunks_of(request.data))
                file.flush()
                yield self._take(uid, _opener(file), request.peer.ae_title)
        except OSError as error:
            raise Refusal(OUT_OF_RESOURCES, f"it cannot be written: {error.strerror}") from None

    def _take(self, uid: str, open_file: Callable[[], BinaryIO], ae_title: str) -> Response:
        try:
            self._imports.take(open_file, ae_title, ORIGIN)
        except InvalidInventory as error:
            # What the standard of the object forbids, or what cannot even be read.
            status = DOES_NOT_MATCH_SOP_CLASS if error.clause.startswith(("PS3.3", "PS3.10")) else UNABLE_TO_PROCESS
            raise Refusal(status, error.problem) from None
        except NotFitting as error:
            raise Refusal(DOES_NOT_MATCH_SOP_CLASS, str(error)) from None
        except StoreError as error:
            raise Refusal(OUT_OF_RESOURCES, str(error)) from None
        except UidTaken:
            if not self._is_same(uid, open_file):
                raise Refusal(UNABLE_TO_PROCESS, "another object with this SOP Instance UID is here") from None
        return Response(SUCCESS)

    def _is_same(self, uid: str, open_file: Callable[[], BinaryIO]) -> bool:
        """Whether the instance that is here says the same, so that who sent it twice need not know."""
        member = self._catalogue.instance(uid)
        try:
            return member is not None and _digest(self._catalogue.open(member)) == _digest(open_file())
        except InstanceGone:
            return False


def _opener(file: BinaryIO) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        # A file without a name; where it is read is common to all that have it open.
        stream = open(os.dup(file.fileno()), "rb")
        stream.seek(0)
        return stream

    return opened


def _digest(stream: BinaryIO) -> str:
    with stream:
        return digest(read_file(stream, "the file"))
