"""Inventory Storage (PS3.4 GG): C-STORE of inventories from elsewhere, taken in as by ``POST /inventories/import``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...dicom.inventory import file_header
from ...dicom.uids import INVENTORY_STORAGE
from ...dicom.values import is_uid
from ...production.imports import C_STORE as ORIGIN
from ...stores.directory import chunks_of
from ..storage import InventoryStore, NotStored
from .messages import C_STORE, DOES_NOT_MATCH_SOP_CLASS, OUT_OF_RESOURCES, SUCCESS
from .service import Refusal, Request, Response


class InventoryStorage:
    """``folder`` is where an object lies until it is taken in."""

    sop_class = INVENTORY_STORAGE
    operation = C_STORE
    permission = "Store"
    sends: tuple[str, ...] = ()

    def __init__(self, store: InventoryStore, folder: Path) -> None:
        self._store = store
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
            self._store.take(uid, open_file, ae_title, ORIGIN)
        except NotStored as error:
            raise Refusal(error.status, str(error)) from None
        return Response(SUCCESS)


def _opener(file: BinaryIO) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        # A file without a name; where it is read is common to all that have it open.
        stream = open(os.dup(file.fileno()), "rb")
        stream.seek(0)
        return stream

    return opened
