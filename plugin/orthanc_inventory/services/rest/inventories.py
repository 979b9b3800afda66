"""Routes of finished inventories: list, summary, file, delete."""

from __future__ import annotations

from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue
from ...production.journal import KeptInventory
from ...stores import InstanceGone
from .router import Route, flag, page


class InventoryRoutes:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/inventories", self.list),
            Route("GET", "/inventories/{uid}", self.show),
            Route("DELETE", "/inventories/{uid}", self.delete),
            Route("GET", "/inventories/{uid}/file", self.file),
        ]

    def list(self, request: Request) -> Answer:
        inventories = page(request, self._catalogue.inventories())
        if flag(request, "expand"):
            return Answer([self._catalogue.summary(inventory) for inventory in inventories])
        return Answer([inventory.uid for inventory in inventories])

    def show(self, request: Request, uid: str) -> Answer:
        return Answer(self._catalogue.summary(self._inventory(uid)))

    def delete(self, request: Request, uid: str) -> Answer:
        self._catalogue.delete(self._inventory(uid))
        return Answer({})

    def file(self, request: Request, uid: str) -> Answer:
        try:
            size, chunks = self._catalogue.file(uid)
        except KeyError:
            raise RestError(404, "there is no inventory instance with this SOP Instance UID") from None
        except InstanceGone:
            raise RestError(404, "this inventory instance was removed from where it was kept") from None
        return Answer(chunks=chunks, size=size, content_type="application/dicom")

    def _inventory(self, uid: str) -> KeptInventory:
        inventory = self._catalogue.inventory(uid)
        if inventory is None:
            raise RestError(404, "there is no inventory with this SOP Instance UID; GET /inventories lists the roots")
        return inventory
