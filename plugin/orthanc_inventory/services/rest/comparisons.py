"""Routes that compare an inventory with another one, or with a file."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from urllib.parse import unquote_plus

from ...dicom.terms import LEVELS
from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue
from ...production.journal_rows import KeptInventory
from ...reader import InvalidInventory, MissingInstance
from ...reports.comparison import KINDS, Comparison, Interrupted, InvalidChoice, InventorySide, Side, compare
from ...reports.comparison.files import open_side
from ...reports.comparison.forms import FORMATS, csv_lines, document, study_uids, text_lines
from ...reports.comparison.kept import KeptComparisons
from ...reports.comparison.lists import InvalidList
from .inventories import check_whole, known
from .pieces import pieces
from .posted_files import PostedFiles
from .router import Route, number

_PAGE, _LARGEST_PAGE = 100, 1000
_PARAMETERS = ("level", "attributes", "kind", "since", "limit", "format")


class ComparisonRoutes:
    """``largest`` is the size of a file that is taken, in megabytes; it is kept in ``folder`` for a while."""

    def __init__(self, catalogue: Catalogue, folder: Path, largest: int) -> None:
        self._catalogue = catalogue
        self._largest = largest
        self._kept = KeptComparisons()
        self._files = PostedFiles(folder)
        self._stopping = Event()

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/inventories/{uid}/compare/{other}", self.compare, "What another inventory lacks, or has otherwise",
                _PARAMETERS, answers=("application/json", "text/csv; charset=utf-8", "text/plain; charset=utf-8"),
            ),
            Route(
                "POST", "/inventories/{uid}/compare", self.compare_file,
                "The same for an inventory or a CSV list in the body; Path of the answer is then compared with as another one",
                body="application/octet-stream",
            ),
        ]

    def stop(self) -> None:
        """Lets requests that are still comparing end."""
        self._stopping.set()
        self._files.clear()

    def compare(self, request: Request, uid: str, other: str) -> Answer:
        form = _Form(request)
        first = self._whole(uid)
        with self._files.get(other) as posted:
            if posted is not None:
                return form.answer(self._with_file(first, other, posted, form.level, form.attributes))
        second = self._whole(other)

        def make() -> Comparison:
            try:
                return self._compare(self._side(first), self._side(second), form.level, form.attributes)
            except (InvalidInventory, MissingInstance) as error:
                raise RestError(409, f"an inventory cannot be read: {error}") from None

        return form.answer(self._kept.get((first.number, second.number, form.level, *form.attributes), make))

    def compare_file(self, request: Request, uid: str) -> Answer:
        """Orthanc tells a plugin nothing of the parameters of a POST: the level is the one that both have."""
        if len(request.body) > self._largest * 1024 * 1024:
            raise RestError(413, f"the file is larger than {self._largest} MB, which is Inventory.MaximumImportSize")
        first = self._whole(uid)
        with ExitStack() as stack:
            try:
                name, posted = stack.enter_context(self._files.add(request.body))
            except OSError as error:
                raise RestError(503, f"Inventory.StateDirectory cannot be used: {error.strerror}") from None
            comparison = self._with_file(first, name, posted, None, ())
        told = document(comparison, "", comparison.differences.page("", 0, _PAGE))
        return Answer({**told, "Path": f"/inventories/{uid}/compare/{name}"})

    def _with_file(
        self, first: KeptInventory, name: str, posted: Path, level: str | None, attributes: Sequence[str]
    ) -> Comparison:
        """Without ``level`` down to the lowest that both have."""

        def make() -> Comparison:
            try:
                one, other = self._side(first), open_side(posted, "the body", follow=False)
                wanted = min(one.level, other.level, key=LEVELS.index) if level is None else level
                return self._compare(one, other, wanted, attributes)
            except (InvalidInventory, MissingInstance, InvalidList) as error:
                raise RestError(400, _without_folders(str(error))) from None

        return self._kept.get((first.number, name, level, *attributes), make)

    def _compare(self, first: Side, second: Side, level: str, attributes: Sequence[str]) -> Comparison:
        try:
            return compare(first, second, level, attributes, self._stopping.is_set)
        except InvalidChoice as error:
            raise RestError(400, str(error)) from None
        except Interrupted:
            raise RestError(503, "Orthanc is stopping") from None
        except sqlite3.Error as error:
            raise RestError(503, f"what is compared cannot be sorted in the folder for temporary files: {error}") from None

    def _side(self, inventory: KeptInventory) -> Side:
        return InventorySide(self._catalogue.read(inventory))

    def _whole(self, uid: str) -> KeptInventory:
        """The inventory with that root, if nothing of it is missing."""
        inventory = known(self._catalogue.inventory(uid))
        check_whole(self._catalogue, inventory)
        return inventory


class _Form:
    """What the request wants to be told, and in which form.

    Raises:
        RestError: 400
    """

    def __init__(self, request: Request) -> None:
        self.level = _text(request, "level").upper()
        self.attributes = [keyword.strip() for keyword in _text(request, "attributes").split(",") if keyword.strip()]
        self._format = _one_of(request, "format", FORMATS) or "json"
        self._kind = _one_of(request, "kind", KINDS)
        self._since, self._limit = number(request, "since"), number(request, "limit", _PAGE, 1, _LARGEST_PAGE)
        # Lists are for programs: whole, unless a part is asked for.
        self._whole = not {"since", "limit"} & set(request.query)

    def answer(self, comparison: Comparison) -> Answer:
        kind, since, limit = self._kind, self._since, self._limit
        differences = comparison.differences
        if self._format == "json":
            return Answer(document(comparison, kind, differences.page(kind, since, limit)))
        if self._format == "text":
            return _streamed(text_lines(comparison, kind, since, limit), "plain")
        if self._format == "csv":
            return _streamed(csv_lines(differences.all(kind) if self._whole else differences.page(kind, since, limit)), "csv")
        return _streamed(study_uids(comparison, kind, since, -1 if self._whole else limit), "plain")


def _streamed(lines: Iterable[str], kind: str) -> Answer:
    return Answer(
        chunks=pieces(lines), content_type=f"text/{kind}; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"}
    )


def _without_folders(message: str) -> str:
    """Where the server keeps a file for a while is nobody's business."""
    return re.sub(r"/(?:[^/\s,:]+/)+", "", message)


def _one_of(request: Request, name: str, allowed: tuple[str, ...]) -> str:
    value = _text(request, name)
    if value and value not in allowed:
        raise RestError(400, f"{name} must be one of {', '.join(allowed)}")
    return value


def _text(request: Request, name: str) -> str:
    return unquote_plus(request.query.get(name, "")).strip()
