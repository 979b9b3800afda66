"""The route by which inventories from elsewhere come in."""

from __future__ import annotations

from io import BytesIO

from ...dicom.decoder import InvalidInventory
from ...host import Answer, Request, RestError
from ...production.imports import Imports, NotFitting, UidTaken
from ...stores import StoreError
from .router import Route, user_of


class ImportRoutes:
    """``largest`` is the size of a file that is taken, in megabytes."""

    def __init__(self, imports: Imports, largest: int) -> None:
        self._imports = imports
        self._largest = largest

    def routes(self) -> list[Route]:
        summary = "Takes in an inventory from elsewhere: a PS3.10 file, root or leaf"
        return [Route("POST", "/inventories/import", self.take, summary, body="application/dicom")]

    def take(self, request: Request) -> Answer:
        if len(request.body) > self._largest * 1024 * 1024:
            raise RestError(413, f"the file is larger than {self._largest} MB, which is Inventory.MaximumImportSize")
        try:
            inventory = self._imports.take(lambda: BytesIO(request.body), user_of(request))
        except (InvalidInventory, NotFitting) as error:
            raise RestError(400, str(error)) from None
        except UidTaken:
            raise RestError(409, "an inventory instance with this SOP Instance UID exists; the two are not compared") from None
        except StoreError as error:
            raise RestError(409, str(error)) from None
        return Answer({"ID": inventory.uid, "Path": f"/inventories/{inventory.uid}"})
