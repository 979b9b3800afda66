"""Storage of inventories from elsewhere, by C-STORE (PS3.4 GG) and by DICOMweb (PS3.18 12.5), with the same statuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from ..dicom.decoder import InvalidInventory
from ..dicom.file_format import read_file
from ..dicom.transcoding import digest
from ..production.catalogue import Catalogue
from ..production.imports import Imports, NotFitting, UidTaken
from ..stores import InstanceGone, StoreError
from .dimse.messages import DOES_NOT_MATCH_SOP_CLASS, OUT_OF_RESOURCES, UNABLE_TO_PROCESS


class NotStored(Exception):
    """The status of the failure and why, without patient data; whether it is in ``conflict`` with what is here."""

    def __init__(self, status: int, problem: str, conflict: bool = False) -> None:
        super().__init__(problem)
        self.status = status
        self.conflict = conflict


class InventoryStore:
    def __init__(self, imports: Imports, catalogue: Catalogue) -> None:
        self._imports = imports
        self._catalogue = catalogue

    def take(self, uid: str, open_file: Callable[[], BinaryIO], requestor: str, origin: str) -> None:
        """Keeps a PS3.10 file, see ``Imports.take``. An instance ``uid`` that is here and says the same is as good.

        Raises:
            NotStored
        """
        try:
            self._imports.take(open_file, requestor, origin)
        except InvalidInventory as error:
            # What the standard of the object forbids, or what cannot even be read.
            is_other = error.clause.startswith(("PS3.3", "PS3.10"))
            raise NotStored(DOES_NOT_MATCH_SOP_CLASS if is_other else UNABLE_TO_PROCESS, error.problem) from None
        except NotFitting as error:
            raise NotStored(DOES_NOT_MATCH_SOP_CLASS, str(error), conflict=True) from None
        except StoreError as error:
            raise NotStored(OUT_OF_RESOURCES, str(error), conflict=True) from None
        except UidTaken:
            if not self._is_same(uid, open_file):
                problem = "another object with this SOP Instance UID is here"
                raise NotStored(UNABLE_TO_PROCESS, problem, conflict=True) from None

    def _is_same(self, uid: str, open_file: Callable[[], BinaryIO]) -> bool:
        """Whether the instance that is here says the same, so that who sent it twice need not know."""
        member = self._catalogue.instance(uid)
        try:
            return member is not None and _digest(self._catalogue.open(member)) == _digest(open_file())
        except InstanceGone:
            return False


def _digest(stream: BinaryIO) -> str:
    with stream:
        return digest(read_file(stream, "the file"))
