"""Inventory - FIND (PS3.4 JJ): C-FIND of inventory instances by their top-level attributes."""

from __future__ import annotations

from collections.abc import Iterator

from ...dicom.decoder import InvalidInventory
from ...dicom.inventory_query import InvalidQuery, InventoryQuery
from ...dicom.transcoding import transcoded
from ...dicom.uids import INVENTORY_FIND
from ...production.search import Search
from .messages import C_FIND, CANCELED, DOES_NOT_MATCH_SOP_CLASS, PENDING, PENDING_WITH_WARNING, SUCCESS
from .service import Refusal, Request, Response


class InventoryFind:
    sop_class = INVENTORY_FIND
    operation = C_FIND
    permission = "Find"
    sends: tuple[str, ...] = ()

    def __init__(self, search: Search) -> None:
        self._search = search

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        data_set, place = request.data_set()
        try:
            query = InventoryQuery(data_set.decode(place, ""))
        except (InvalidInventory, InvalidQuery) as error:
            raise Refusal(DOES_NOT_MATCH_SOP_CLASS, str(error)) from None
        status = PENDING_WITH_WARNING if query.unsupported else PENDING
        for found in self._search.find(query):
            if request.is_canceled():
                yield Response(CANCELED)
                return
            if found is not None:
                yield Response(status, b"".join(transcoded(*found, request.context.transfer_syntax)))
        yield Response(SUCCESS)
