"""Routes of finished inventories: list, summary, file, archive, delete."""

from __future__ import annotations

from typing import Any, TypeVar

from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue, InUse
from ...production.journal_rows import KeptInventory
from ...reports.archive import archive
from ...stores import InstanceGone, StoreError
from .router import Route, flag, page

Known = TypeVar("Known", KeptInventory, dict[str, Any])
_PAGES = ("expand", "since", "limit")


class InventoryRoutes:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/inventories", self.list, "SOP Instance UIDs of the root inventories, the oldest first", _PAGES),
            Route("GET", "/inventories/{uid}", self.show, "Summary of an inventory"),
            Route("DELETE", "/inventories/{uid}", self.delete, "Deletes an inventory that no other incorporates"),
            Route(
                "GET", "/inventories/{uid}/file", self.file, "The file of one inventory instance, root or not",
                answers="application/dicom",
            ),
            Route(
                "GET", "/inventories/{uid}/archive", self.archive, "All files of an inventory and a DICOMDIR",
                answers="application/zip",
            ),
        ]

    def list(self, request: Request) -> Answer:
        inventories = page(request, self._catalogue.inventories())
        if flag(request, "expand"):
            return Answer([summary for summary in map(self._catalogue.summary, inventories) if summary is not None])
        return Answer([inventory.uid for inventory in inventories])

    def show(self, request: Request, uid: str) -> Answer:
        return Answer(known(self._catalogue.summary(self._inventory(uid))))

    def delete(self, request: Request, uid: str) -> Answer:
        try:
            self._catalogue.delete(self._inventory(uid))
        except InUse as error:
            raise RestError(409, str(error)) from None
        except KeyError:
            known(None)
        except StoreError as error:
            raise RestError(503, f"it is no longer listed, but all of it can only go at the next start: {error}") from None
        return Answer({})

    def file(self, request: Request, uid: str) -> Answer:
        try:
            size, chunks = self._catalogue.file(uid)
        except KeyError:
            raise RestError(404, "there is no inventory instance with this SOP Instance UID") from None
        except InstanceGone:
            raise RestError(404, "this inventory instance was removed, or cannot be read, where it was kept") from None
        return Answer(chunks=chunks, size=size, content_type="application/dicom", headers=_attached(uid, "dcm"))

    def archive(self, request: Request, uid: str) -> Answer:
        inventory = self._inventory(uid)
        check_whole(self._catalogue, inventory)
        members = self._catalogue.tree(inventory)
        files = ((member.instance.size, self._catalogue.open(member)) for member in members if member.instance is not None)
        return Answer(chunks=archive(files), content_type="application/zip", headers=_attached(uid, "zip"))

    def _inventory(self, uid: str) -> KeptInventory:
        return known(self._catalogue.inventory(uid))


def _attached(uid: str, extension: str) -> dict[str, str]:
    """The name under which a browser saves what it gets."""
    return {"Content-Disposition": f'attachment; filename="{uid}.{extension}"'}


def known(inventory: Known | None) -> Known:
    """An inventory, or what is told of it. Raises: RestError, 404."""
    if inventory is None:
        raise RestError(404, "there is no inventory with this SOP Instance UID; GET /inventories lists the roots")
    return inventory


def check_whole(catalogue: Catalogue, inventory: KeptInventory) -> None:
    """Raises: RestError, 409, when an answer would silently lack a part; 404, when it was deleted meanwhile."""
    missing = catalogue.missing(inventory)
    known(inventory if catalogue.is_listed(inventory) else None)
    if missing:
        raise RestError(409, f"{len(missing)} instances of this inventory are not here, see Missing in its summary")
