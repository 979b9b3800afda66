"""Store Non-Patient Instances (PS3.18 12.5): PS3.10 files, one or several, and what became of each (PS3.18 I)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

from ...dicom.decoder import EncodedDataSet, InvalidInventory
from ...dicom.elements import encode_attributes
from ...dicom.file_format import read_meta_information
from ...dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INVENTORY_STORAGE,
)
from ...host import Answer, Request, RestError
from ...production.imports import DICOM_WEB as ORIGIN
from ..dimse.messages import DOES_NOT_MATCH_SOP_CLASS, OUT_OF_RESOURCES, SOP_CLASS_NOT_SUPPORTED, UNABLE_TO_PROCESS
from ..rest.router import user_of
from ..storage import InventoryStore, NotStored
from .media_types import DICOM, MULTIPART, MediaType, media_types, select
from .parts import InvalidMultipart, parts_of
from .representations import AS_JSON, AS_PLAIN_JSON, AS_XML, AS_XML_PARTS, answer_data_set

OFFERS = (AS_JSON, AS_XML_PARTS, AS_XML, AS_PLAIN_JSON)
BODIES = (DICOM, f'{MULTIPART}; type="{DICOM}"')
# PS3.18 Table I.2-2
_TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122
_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
_TYPES = f"Content-Type must be {BODIES[0]}, or {BODIES[1]} with a boundary"


class _Failure(NamedTuple):
    """The UIDs are empty where they cannot be read."""

    sop_class: str
    uid: str
    reason: NotStored


class InstanceStore:
    """``largest`` is the size of a file that is taken, in megabytes; ``base`` is the URI below which users find what is
    stored, empty if it is not known.
    """

    def __init__(self, store: InventoryStore, largest: int, base: str) -> None:
        self._store = store
        self._largest = largest
        self._base = base

    def take(self, request: Request, only: str = "") -> Answer:
        """Stores what is in the body; with ``only`` the instance with this UID.

        Raises:
            RestError: 400, 406, 413 or 415, and nothing was stored.
        """
        selected = select(request, OFFERS)
        files = list(_files(request))
        if not files:
            raise RestError(400, "there is no instance in the body")
        stored: list[str] = []
        failures: list[_Failure] = []
        requestor = user_of(request)
        for start, stop in files:
            sop_class = uid = ""
            try:
                self._check_size(stop - start)
                content = request.body[start:stop]
                sop_class, uid, transfer_syntax = _identity(content)
                _check(sop_class, uid, transfer_syntax, only)
                self._store.take(uid, lambda: BytesIO(content), requestor, ORIGIN)
                stored.append(uid)
            except NotStored as error:
                failures.append(_Failure(sop_class, uid, error))
        status = _status(stored, failures)
        if status == 413 and len(files) == 1:
            raise RestError(413, str(failures[0].reason))
        encoded = encode_attributes(self._response(stored, failures))
        answer = answer_data_set(EncodedDataSet(encoded, "the answer"), (0, len(encoded), True), selected.offer)
        return replace(answer, status=status)

    def _check_size(self, size: int) -> None:
        if size > self._largest * 1024 * 1024:
            problem = f"the file is larger than {self._largest} MB, which is Inventory.MaximumImportSize"
            raise NotStored(OUT_OF_RESOURCES, problem)

    def _response(self, stored: list[str], failures: list[_Failure]) -> dict[str, Any]:
        """The Store Instances Response Module (Table I.2-1). Failures that cannot be named stand in a sequence of their own."""
        response: dict[str, Any] = {"RetrieveURL": f"{self._base}inventories" if self._base else ""}
        if stored:
            response["ReferencedSOPSequence"] = [
                {**_reference(INVENTORY_STORAGE, uid), "RetrieveURL": f"{self._base}inventories/{uid}" if self._base else ""}
                for uid in stored
            ]
        named = [failure for failure in failures if failure.uid]
        if named:
            response["FailedSOPSequence"] = [
                {**_reference(failure.sop_class, failure.uid), "FailureReason": failure.reason.status} for failure in named
            ]
        if len(named) < len(failures):
            response["OtherFailuresSequence"] = [
                {"FailureReason": failure.reason.status} for failure in failures if not failure.uid
            ]
        return response


def _reference(sop_class: str, uid: str) -> dict[str, str]:
    return {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": uid}


def _status(stored: list[str], failures: list[_Failure]) -> int:
    """12.5.3: 200 if anything was stored."""
    reasons = [failure.reason for failure in failures]
    if stored:
        return 200
    if all(reason.status == OUT_OF_RESOURCES and not reason.conflict for reason in reasons):
        return 413
    return 409 if any(reason.conflict for reason in reasons) else 400


def _files(request: Request) -> Iterator[tuple[int, int]]:
    """Where the files lie in the body."""
    [content_type] = media_types(request.headers.get("content-type", ""))[:1] or [MediaType("", {})]
    if content_type.type == DICOM:
        if request.body:
            yield 0, len(request.body)
        return
    if content_type.type != MULTIPART or content_type.parameters.get("type", "").lower() != DICOM:
        raise RestError(415, _TYPES)
    try:
        for part in parts_of(request.body, content_type.parameters.get("boundary", "")):
            if [entry.type for entry in media_types(part.headers.get("content-type", DICOM))] != [DICOM]:
                raise RestError(415, f"a part is not {DICOM}")
            yield part.start, part.stop
    except InvalidMultipart as error:
        raise RestError(400, f"the body is not {MULTIPART}: {error}") from None


def _identity(content: bytes) -> tuple[str, ...]:
    try:
        return read_meta_information(BytesIO(content), "the file")
    except InvalidInventory as error:
        raise NotStored(UNABLE_TO_PROCESS, error.problem) from None


def _check(sop_class: str, uid: str, transfer_syntax: str, only: str) -> None:
    """Raises: NotStored."""
    if sop_class != INVENTORY_STORAGE:
        raise NotStored(SOP_CLASS_NOT_SUPPORTED, "the SOP class is not Inventory Storage", conflict=True)
    if transfer_syntax not in _TRANSFER_SYNTAXES:
        raise NotStored(_TRANSFER_SYNTAX_NOT_SUPPORTED, "the transfer syntax is not read", conflict=True)
    if only and uid != only:
        raise NotStored(DOES_NOT_MATCH_SOP_CLASS, "the SOP Instance UID is not that of the resource", conflict=True)
