"""Another archive asked over DICOM: by Repository Query (PS3.4 C.6.4) where it has that, else by Study Root C-FIND (C.6.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ...dicom.answers import record_of
from ...dicom.decoder import InvalidInventory
from ...dicom.file_format import read_data_set
from ...dicom.records import Attributes
from ...dicom.transcoding import encoded_attributes
from ...sources.remote import Enough, PeerFailed, PeerUnreachable
from .association import Association
from .connection import AssociationEnded
from .find import Find
from .messages import CANCELED, OUT_OF_RESOURCES, SUCCESS
from .peers import Modality
from .requestor import CannotAssociate, Requestor

REPOSITORY_QUERY = "1.2.840.10008.5.1.4.1.1.201.6"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_NAMES = {REPOSITORY_QUERY: "Repository Query", STUDY_ROOT_FIND: "C-FIND"}
# Response limit reached (C.6.4.3)
_LIMIT_REACHED = 0xB001
# Associations for one question that goes on where the one before broke off.
_ATTEMPTS = 5
_RECORD_KEY, _PRIOR_RECORD_KEY = "RecordKey", "PriorRecordKey"


class RemoteArchive:
    """A ``Peer``; it keeps one association as long as that lasts."""

    def __init__(self, requestor: Requestor, modality: Modality) -> None:
        self._requestor = requestor
        self._modality = modality
        self._stack = ExitStack()
        self._association: Association | None = None
        self._sop_class = ""
        # The Record Key of the last record.
        self._last = ""
        self.access: Attributes = {"RetrieveAETitle": modality.ae_title}

    @property
    def name(self) -> str:
        return _NAMES.get(self._sop_class, "DICOM")

    @property
    def is_whole(self) -> bool:
        return self._sop_class == REPOSITORY_QUERY

    @property
    def is_paged(self) -> bool:
        return self.is_whole

    def open(self) -> None:
        self._associated()

    def close(self) -> None:
        self._association = None
        stack, self._stack = self._stack, ExitStack()
        try:
            stack.close()
        except AssociationEnded:
            pass

    def ask(
        self, level: str, keys: Mapping[str, str], wanted: Sequence[str], take: Callable[[Attributes], None]
    ) -> bool:
        identifier: dict[str, Any] = {"QueryRetrieveLevel": level, **dict.fromkeys(wanted, ""), **keys}
        if not all(map(str.isascii, keys.values())):
            identifier["SpecificCharacterSet"] = "ISO_IR 192"
        self._associated()
        self._last = ""
        if not self.is_whole:
            return self._find(identifier, take) == SUCCESS
        identifier[_RECORD_KEY] = ""
        attempts = _ATTEMPTS
        while True:
            begin = self._last
            try:
                status = self._find(identifier, take)
            except PeerFailed:
                # What came is known: it goes on behind that, over a new association (C.6.4.5.3).
                attempts -= 1
                if not attempts or not self._last:
                    raise
            else:
                if status != _LIMIT_REACHED or self._last == begin:
                    return status == SUCCESS
                attempts = _ATTEMPTS
            identifier[_PRIOR_RECORD_KEY] = self._last

    def _find(self, identifier: Mapping[str, Any], take: Callable[[Attributes], None]) -> int:
        """One query, up to its final status."""
        context = self._associated().context(self._sop_class)[0]
        find = Find(self._associated(), context, encoded_attributes(identifier, context.transfer_syntax))
        count, is_enough = 0, False
        try:
            for encoded in find.answers():
                if is_enough:
                    continue
                record = record_of(*read_data_set(encoded, context.transfer_syntax, "the answer"))
                count += 1
                self._last = str(record.pop(_RECORD_KEY, ""))
                try:
                    take(record)
                except Enough:
                    is_enough = True
                    find.cancel()
        except AssociationEnded as error:
            self.close()
            raise PeerFailed(f"the association ends: {error}") from None
        except InvalidInventory as error:
            self.close()
            raise PeerFailed(f"its answer cannot be read: {error.problem}") from None
        status = CANCELED if is_enough or find.status is None else find.status
        if not count and status not in (SUCCESS, CANCELED, OUT_OF_RESOURCES, _LIMIT_REACHED):
            raise PeerFailed(f"it answers with the status {status:04X}H")
        return status

    def _associated(self) -> Association:
        if self._association is not None:
            return self._association
        problem = f"{self._modality.name} accepts neither Repository Query nor Study Root C-FIND"
        for sop_class in [self._sop_class] if self._sop_class else _NAMES:
            try:
                association = self._stack.enter_context(self._requestor.association(self._modality, sop_class))
            except CannotAssociate as error:
                problem = str(error)
                continue
            if association.context(sop_class):
                self._association, self._sop_class = association, sop_class
                return association
            self.close()
        raise PeerUnreachable(problem)
