"""Inventory - MOVE and Inventory - GET (PS3.4 JJ): inventory instances by their UIDs, each by a C-STORE of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...dicom.decoder import InvalidInventory
from ...dicom.file_format import DicomFile, read_file, stream_of
from ...dicom.transcoding import encoded_attributes, encoded_data_set
from ...dicom.uids import INVENTORY_GET, INVENTORY_MOVE, INVENTORY_STORAGE
from ...dicom.values import is_uid
from ...production.catalogue import Catalogue
from ...stores import InstanceGone
from ...stores.directory import chunks_of
from .association import Association
from .connection import AssociationEnded
from .messages import C_GET, C_MOVE, C_STORE, CANCELED, DOES_NOT_MATCH_SOP_CLASS, PENDING, SUCCESS, is_warning
from .peers import Peers
from .requestor import CannotAssociate, Requestor
from .service import TRANSFER_SYNTAXES, Refusal, Request, Response

# PS3.4 C.4.2.1.5
_ALL_FAILED, _SOME_FAILED = 0xA702, 0xB000
_UNKNOWN_DESTINATION = 0xA801
_MEDIUM_PRIORITY = 0
# VR UI in an explicit VR, and VR US (PS3.5 6.2).
_LONGEST_LIST, _LARGEST_NUMBER = 0xFFFE, 0xFFFF

# Sends one file and answers the status of the response.
Store = Callable[[DicomFile], int]


class InventoryGet:
    sop_class = INVENTORY_GET
    operation = C_GET
    permission = "Get"
    sends: tuple[str, ...] = (INVENTORY_STORAGE,)

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        sub_operations = _SubOperations(request, self._catalogue)
        yield from sub_operations.perform(lambda file: _store(request.association, file, {}))
        yield sub_operations.final()


class InventoryMove:
    sop_class = INVENTORY_MOVE
    operation = C_MOVE
    permission = "Move"
    sends: tuple[str, ...] = ()

    def __init__(self, catalogue: Catalogue, peers: Peers, requestor: Requestor) -> None:
        self._catalogue = catalogue
        self._peers = peers
        self._requestor = requestor

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        sub_operations = _SubOperations(request, self._catalogue)
        modality = self._peers.find(request.command.get("MoveDestination", ""))
        if modality is None:
            raise Refusal(_UNKNOWN_DESTINATION, "the destination is not among the modalities that Orthanc knows")
        origin = {
            "MoveOriginatorApplicationEntityTitle": request.peer.ae_title,
            "MoveOriginatorMessageID": request.command["MessageID"],
        }

        def store(file: DicomFile) -> int:
            try:
                return _store(association, file, origin)
            except AssociationEnded as error:
                raise CannotAssociate(f"{modality.name} is lost: {error}") from None

        comment = ""
        if sub_operations.remaining:
            try:
                with self._requestor.association(modality, INVENTORY_STORAGE) as association:
                    yield from sub_operations.perform(store)
            except CannotAssociate as error:
                comment = str(error)
        yield sub_operations.final(comment)


class _SubOperations:
    """The C-STORE sub-operations of one request (PS3.4 C.4.2.2.1), each on one instance.

    Raises:
        Refusal: the identifier is not what it must be.
    """

    def __init__(self, request: Request, catalogue: Catalogue) -> None:
        self._request = request
        self._catalogue = catalogue
        self._uids = [uid for uid in _uids(request) if catalogue.instance(uid) is not None]
        self._completed = self._warnings = 0
        self._failed: list[str] = []
        self._canceled = False

    @property
    def remaining(self) -> int:
        return len(self._uids) - self._completed - self._warnings - len(self._failed)

    def perform(self, store: Store) -> Iterator[Response]:
        """A pending response after each one but the last."""
        for uid in self._uids:
            self._canceled = self._request.is_canceled()
            if self._canceled:
                return
            status = self._one(uid, store)
            if status == SUCCESS:
                self._completed += 1
            elif status is not None and is_warning(status):
                self._warnings += 1
            else:
                self._failed.append(uid)
            if self.remaining:
                yield Response(PENDING, None, self._numbers())

    def _one(self, uid: str, store: Store) -> int | None:
        """The status of the response; None where there is nothing to send, or no way to send it."""
        member = self._catalogue.instance(uid)
        if member is None:
            return None
        try:
            with self._catalogue.open(member) as stream:
                file = read_file(stream, uid)
            return store(file)
        except (InstanceGone, InvalidInventory, _NoContext):
            return None

    def final(self, comment: str = "") -> Response:
        """What was not sent counts as failed, unless the peer canceled it."""
        numbers = self._numbers()
        if self._canceled:
            return Response(CANCELED, self._failed_list(self._failed), numbers)
        done = self._completed + self._warnings
        failed = self._failed + self._uids[done + len(self._failed) :]
        numbers = self._numbers(len(failed))
        del numbers["NumberOfRemainingSuboperations"]
        if comment:
            numbers["ErrorComment"] = comment
        if not failed and not self._warnings:
            return Response(SUCCESS, None, numbers)
        return Response(_SOME_FAILED if done else _ALL_FAILED, self._failed_list(failed), numbers)

    def _numbers(self, failed: int | None = None) -> dict[str, Any]:
        numbers = {
            "NumberOfRemainingSuboperations": self.remaining,
            "NumberOfCompletedSuboperations": self._completed,
            "NumberOfFailedSuboperations": len(self._failed) if failed is None else failed,
            "NumberOfWarningSuboperations": self._warnings,
        }
        return {keyword: min(number, _LARGEST_NUMBER) for keyword, number in numbers.items()}

    def _failed_list(self, uids: list[str]) -> bytes | None:
        """Failed SOP Instance UID List (0008,0058), as far as it can be told."""
        if not uids:
            return None
        text = "\\".join(uids)
        if len(text) > _LONGEST_LIST:
            text = text[:_LONGEST_LIST].rpartition("\\")[0]
        return encoded_attributes({"FailedSOPInstanceUIDList": text}, self._request.context.transfer_syntax)


class _NoContext(Exception):
    """The peer takes no inventories over this association."""


def _uids(request: Request) -> list[str]:
    """SOP Instance UID (0008,0018), the only key (PS3.4 JJ.3.2): each once."""
    data_set, place = request.data_set()
    try:
        identifier = data_set.decode(place, "")
    except InvalidInventory as error:
        raise Refusal(DOES_NOT_MATCH_SOP_CLASS, str(error)) from None
    if other := [keyword for keyword in identifier if keyword not in ("SOPInstanceUID", "SpecificCharacterSet")]:
        raise Refusal(DOES_NOT_MATCH_SOP_CLASS, f"{other[0]} must not be there: SOPInstanceUID is the only key")
    uids = list(dict.fromkeys(str(identifier.get("SOPInstanceUID", "")).split("\\")))
    if not all(map(is_uid, uids)):
        raise Refusal(DOES_NOT_MATCH_SOP_CLASS, "SOPInstanceUID must be one UID or several")
    return uids


def _store(association: Association, file: DicomFile, origin: Mapping[str, Any]) -> int:
    """Sends a file in the transfer syntax that it has, or else in another one that was accepted.

    Raises:
        InvalidInventory: the file cannot be brought into that; nothing is sent.
        _NoContext
    """
    contexts = {context.transfer_syntax: context for context in association.context(INVENTORY_STORAGE)}
    for transfer_syntax in (file.transfer_syntax, *TRANSFER_SYNTAXES):
        if context := contexts.get(transfer_syntax):
            break
    else:
        raise _NoContext
    # Complete before the first byte goes out: half a message could not be taken back.
    with stream_of(encoded_data_set(file, context.transfer_syntax)) as data:
        response = association.request(
            context,
            {
                "CommandField": C_STORE,
                "AffectedSOPClassUID": INVENTORY_STORAGE,
                "AffectedSOPInstanceUID": file.sop_instance_uid,
                "Priority": _MEDIUM_PRIORITY,
                **origin,
            },
            chunks_of(data),
        )
    return int(response.get("Status", _ALL_FAILED))
