"""Fetches an inventory of another system as a whole, over DICOM (Inventory - GET): its root, and then what that refers to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dicom.decoder import InvalidInventory
from ..dicom.transcoding import encoded_attributes
from ..dicom.uids import INVENTORY_GET, INVENTORY_STORAGE
from ..dicom.values import is_uid
from ..reader.containers import open_regular
from ..reader.inventory_file import InventoryFile
from ..services.dimse.association import Association
from ..services.dimse.get import get
from ..services.dimse.messages import SUCCESS, Message
from ..services.dimse.peers import PERMISSIONS
from ..services.dimse.reception import Reception
from ..services.dimse.responder import Responder
from . import CommandError
from .peer import NoAssociation, association, in_words, modality
from .progress import Progress
from .text import number, tell

# SOP Instance UIDs in one request.
_BATCH = 100


@dataclass
class Retrieved:
    """What is in the folder now, and what is not, by SOP Instance UID; ``fetched`` counts what came just now.

    ``different`` are files without the MAC of the reference to them, ``unchecked`` those whose MAC cannot be compared: it is
    not given, or of the object in another transfer syntax.
    """

    uid: str
    path: Path
    fetched: int = 0
    files: int = 0
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.missing and not self.different


class Retrieval:
    """``folder`` is made if need be; what it has already is not fetched again, provided that it is what it must be."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder
        self._name = modality(arguments).name
        self._progress = Progress()
        self._total = 0
        self._fetched = 0
        self._reception = Reception(folder, self._taken)
        self._responder = Responder([self._reception], lambda line: None)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def fetch(self, uid: str, access: Mapping[str, Any] | None = None) -> Retrieved:
        """The inventory with this root; ``access`` is what is known of the file of the root, as in a reference to it.

        Raises:
            CommandError: there is no association, or not even the root comes.
        """
        if not is_uid(uid):  # it names a file
            raise CommandError(f"{self._name} tells of an inventory that has no UID")
        expected: dict[str, Mapping[str, Any]] = {uid: access or {}}
        with self._progress:
            self._total = 1
            if self._state(uid, expected[uid]) in ("missing", "different"):
                self._get([uid])
            if self._state(uid, {}) == "missing":
                raise CommandError(f"{self._name} does not send the inventory {uid}{self._why()}")
            root = InventoryFile(open_regular(self._reception.path(uid)), uid)
            for reference in root.references():
                if not is_uid(reference.uid):
                    raise root.invalid("a reference is no UID", "PS3.3 C.38.2.3")
                expected.setdefault(reference.uid, reference.attributes)
            self._total = len(expected)
            wanted = [name for name, entry in expected.items() if self._state(name, entry) in ("missing", "different")]
            try:
                self._get(wanted)
            except NoAssociation as error:
                tell(str(error))
        result = Retrieved(uid, self._reception.path(uid), self._fetched)
        for name, entry in expected.items():
            state = self._state(name, entry)
            if state != "missing":
                result.files += 1
            if state:
                getattr(result, state).append(name)
        return result

    def _state(self, uid: str, access: Mapping[str, Any]) -> str:
        """The attribute of Retrieved in which a file is, empty for one that is there with the right MAC."""
        try:
            file = InventoryFile(open_regular(self._reception.path(uid)), uid)
        except (FileNotFoundError, InvalidInventory):
            return "missing"
        if file.uid != uid:
            return "missing"
        mac, digest = str(access.get("MAC", "")).lower(), file.digest(str(access.get("MACAlgorithm", "")))
        if mac and digest == mac:
            return ""
        stored = access.get("StoredInstanceTransferSyntaxUID") or file.transfer_syntax
        return "different" if mac and digest and stored == file.transfer_syntax else "unchecked"

    def _get(self, uids: list[str]) -> None:
        """Raises: NoAssociation, when nothing more comes over a new association either."""
        self._reception.wanted = uids
        while self._reception.wanted:
            before = self._fetched
            try:
                with association(
                    self._arguments, INVENTORY_GET, receives=INVENTORY_STORAGE, folder=self._folder
                ) as opened:
                    for batch in _batches(self._reception.wanted):
                        self._request(opened, batch)
                return
            except NoAssociation as error:
                if self._fetched == before:
                    raise
                self._progress.show(None, f"{error}; trying again", news=True)

    def _request(self, opened: Association, uids: list[str]) -> None:
        context = opened.context(INVENTORY_GET)[0]
        identifier = encoded_attributes({"SOPInstanceUID": "\\".join(uids)}, context.transfer_syntax)

        def serve(message: Message) -> None:
            self._responder.serve(opened, message, frozenset(PERMISSIONS))

        status, comment = get(opened, context, identifier, serve)
        if status != SUCCESS:
            self._progress.show(None, f"{self._name} ends with {in_words(status, comment)}{self._why()}", news=True)

    def _taken(self) -> None:
        self._fetched += 1
        done = self._total - len(self._reception.wanted)
        self._progress.show(100 * done / self._total, f"file {number(done)} of {number(self._total)} is here")

    def _why(self) -> str:
        return f" ({self._reception.problem})" if self._reception.problem else ""


def _batches(uids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(uids), _BATCH):
        yield uids[start : start + _BATCH]
