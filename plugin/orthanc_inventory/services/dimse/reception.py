"""C-STORE of inventories that were asked for here (PS3.4 GG): each becomes a PS3.10 file in a folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ...dicom.decoder import InvalidInventory
from ...dicom.inventory import file_header
from ...dicom.uids import INVENTORY_STORAGE
from ...reader.containers import open_regular
from ...reader.inventory_file import InventoryFile
from ...stores.directory import chunks_of, write_file
from .messages import C_STORE, DOES_NOT_MATCH_SOP_CLASS, OUT_OF_RESOURCES, SUCCESS, UNABLE_TO_PROCESS
from .service import Refusal, Request, Response


class Reception:
    """Files are named after their UIDs, and are there as a whole or not at all.

    Attributes:
        wanted: the SOP Instance UIDs of what is taken; each goes out of it when it is there.
        problem: why the last object that was refused was, empty if none was.
        when_taken: is called for each that is there.
    """

    sop_class = INVENTORY_STORAGE
    operation = C_STORE
    permission = "Store"
    sends: tuple[str, ...] = ()

    def __init__(self, folder: Path, when_taken: Callable[[], None]) -> None:
        self._folder = folder
        self._when_taken = when_taken
        self._wanted: dict[str, None] = {}
        self.problem = ""

    @property
    def wanted(self) -> list[str]:
        return list(self._wanted)

    @wanted.setter
    def wanted(self, uids: Collection[str]) -> None:
        self._wanted = dict.fromkeys(uids)

    def path(self, uid: str) -> Path:
        return self._folder / f"{uid}.dcm"

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        try:
            self._take(request)
        except Refusal as refusal:
            self.problem = str(refusal)
            raise
        self._when_taken()
        yield Response(SUCCESS)

    def _take(self, request: Request) -> None:
        uid = request.command.get("AffectedSOPInstanceUID", "")
        if uid not in self._wanted or request.data is None:
            raise Refusal(UNABLE_TO_PROCESS, "it was not asked for")
        if request.too_large:
            raise Refusal(OUT_OF_RESOURCES, "the disk of the temporary folder is full")

        def check(path: Path) -> None:
            file = InventoryFile(open_regular(path), uid)
            _ = file.study_records  # which is behind all records
            if file.uid != uid:
                raise Refusal(DOES_NOT_MATCH_SOP_CLASS, "it has another SOP Instance UID than its request says")

        header = file_header(INVENTORY_STORAGE, uid, request.context.transfer_syntax)
        data = request.data
        try:
            write_file(self.path(uid), _chunks(header, chunks_of(data)), check)
        except InvalidInventory as error:
            raise Refusal(DOES_NOT_MATCH_SOP_CLASS, error.problem) from None
        except OSError as error:
            raise Refusal(OUT_OF_RESOURCES, f"it cannot be written: {error.strerror}") from None
        del self._wanted[uid]


def _chunks(header: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield header
    yield from chunks
