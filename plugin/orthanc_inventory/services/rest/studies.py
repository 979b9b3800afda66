"""Routes of what stands in an inventory: its study records as DICOM JSON, and statistics."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue
from ...production.journal_rows import KeptInventory
from ...reader import Inventory, InvalidInventory, MissingInstance
from ...reader.merged import MergedStudy
from ...reader.records import Series
from ...reports.statistics import Statistics, growth
from .inventories import check_whole, known
from .pieces import pieces
from .router import Route, number, page

_PAGE, _LARGEST_PAGE = 100, 1000
_SERIES, _INSTANCES = "00080424", "00080425"
_CONTENT_TYPE = "application/dicom+json"


class StudyRoutes:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        # A reader serves one thread at a time. The last one stays: most often the next page is asked for.
        self._lock = threading.Lock()
        self._last: tuple[int, Inventory] | None = None

    def routes(self) -> list[Route]:
        studies = "/inventories/{uid}/studies"
        return [
            Route(
                "GET", studies, self.list, "Study records, a page of at most 1,000", ("query", "since", "limit"),
                answers=_CONTENT_TYPE,
            ),
            Route(
                "GET", f"{studies}/{{StudyInstanceUID}}", self.show, "Records of a study with its series and instances",
                answers=_CONTENT_TYPE,
            ),
            Route("GET", "/inventories/{uid}/statistics", self.statistics, "Counts and sizes of what an inventory lists"),
            Route("GET", "/inventories/statistics", self.growth, "Growth from one inventory to the next", ("since", "limit")),
        ]

    def list(self, request: Request, uid: str) -> Answer:
        since, limit = number(request, "since"), number(request, "limit", _PAGE, 1, _LARGEST_PAGE)
        text = unquote_plus(request.query.get("query", ""))
        found: Iterable[MergedStudy]
        with self._reader(self._whole(uid)) as inventory:
            if text.strip():
                number_of_studies, found = inventory.search(text, since, limit)
            else:
                number_of_studies = inventory.merged_number
                found = islice(inventory.merged_studies(since=since), limit)
            studies = [study.records[0].json() for study in found]
        objects = ([json.dumps(study, ensure_ascii=False)] for study in studies)
        return _answer(objects, {"X-Total-Count": str(number_of_studies)})

    def show(self, request: Request, uid: str, study_uid: str) -> Answer:
        with self._reader(self._whole(uid)) as inventory:
            studies = inventory.study(study_uid)
        if not studies:
            raise RestError(404, "there is no study with this Study Instance UID in the inventory")
        return _answer(_study(study, inventory.level) for study in studies)

    def statistics(self, request: Request, uid: str) -> Answer:
        kept = self._whole(uid)
        document = self._catalogue.statistics(kept)
        if document is None:
            statistics = Statistics()
            with readable():
                for study in self._catalogue.read(kept).merged_studies():
                    statistics.add(study)
            document = statistics.document()
            self._catalogue.keep_statistics(kept, document)
        return Answer({"SOPInstanceUID": uid, **document})

    def growth(self, request: Request) -> Answer:
        described = []
        for inventory in page(request, self._catalogue.inventories()):
            known = self._catalogue.statistics(inventory)
            described.append({**self._catalogue.describe(inventory), "ObjectSize": known["Size"] if known else None})
        return Answer(growth(described))

    def _whole(self, uid: str) -> KeptInventory:
        """The inventory with that root, if nothing of it is missing."""
        inventory = known(self._catalogue.inventory(uid))
        check_whole(self._catalogue, inventory)
        return inventory

    @contextmanager
    def _reader(self, inventory: KeptInventory) -> Iterator[Inventory]:
        with self._lock, readable():
            if self._last is None or self._last[0] != inventory.number:
                self._last = None
                self._last = inventory.number, self._catalogue.read(inventory)
            yield self._last[1]


@contextmanager
def readable() -> Iterator[None]:
    """Raises: RestError, 409, when an inventory cannot be read."""
    try:
        yield
    except (InvalidInventory, MissingInstance) as error:
        raise RestError(409, f"the inventory cannot be read: {error}") from None


def _study(study: MergedStudy, level: str) -> Iterator[str]:
    series = None if level == "STUDY" else (_series(entry, level) for entry in study.series())
    return _object(study.records[0].json(), _SERIES, series)


def _series(series: Series, level: str) -> Iterator[str]:
    instances = None if level == "SERIES" else ([json.dumps(entry.json(), ensure_ascii=False)] for entry in series.instances())
    return _object(series.json(), _INSTANCES, instances)


def _object(attributes: dict[str, Any], sequence: str, items: Iterable[Iterable[str]] | None) -> Iterator[str]:
    """A DICOM JSON object in pieces, in the order of tags, with a sequence of items if there are any."""
    opening = "{"
    for tag in sorted([*attributes, sequence] if items is not None else attributes):
        yield f'{opening}"{tag}": '
        opening = ", "
        if tag != sequence or items is None:
            yield json.dumps(attributes[tag], ensure_ascii=False)
            continue
        yield '{"vr": "SQ", "Value": '
        yield from _array(items)
        yield "}"
    yield "}"


def _array(items: Iterable[Iterable[str]]) -> Iterator[str]:
    opening = "["
    for item in items:
        yield opening
        yield from item
        opening = ",\n"
    yield "]" if opening != "[" else "[]"


def _answer(objects: Iterable[Iterable[str]], headers: Mapping[str, str] = {}) -> Answer:
    return Answer(chunks=pieces(_array(objects)), content_type=_CONTENT_TYPE, headers=headers)
