"""Search for Non-Patient Instances (PS3.18 12.6): the parameters of 8.3.4 as a query of ``production.search``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from ...dicom.inventory_query import INCORPORATED, INVENTORY, InvalidQuery, InventoryQuery, Mechanisms
from ...host import Answer, Request, RestError
from ...production.search import EncodedAttributes, Search
from ..rest.router import number
from .media_types import select
from .representations import AS_JSON, AS_PLAIN_JSON, AS_XML_PARTS, answer_data_sets

OFFERS = (AS_JSON, AS_XML_PARTS, AS_PLAIN_JSON)
PARAMETERS = ("accept", "includefield", "fuzzymatching", "limit", "offset", "emptyvaluematching", "multiplevaluematching")
# Results of one answer: how many, and after how many bytes no further one is taken in.
_MOST, _LARGEST = 1000, 64 * 1024 * 1024
# What is returned unasked: all that an inventory must have, but for what can be large.
_USUAL = tuple(keyword for keyword, row in INVENTORY.items() if row.type != "3" and keyword != INCORPORATED)
_NO_ATTRIBUTES = ("accept", "charset")
_DEEPEST = 9
_ZONE = "TimezoneOffsetFromUTC"


class _Page(NamedTuple):
    results: list[EncodedAttributes]
    remaining: int


def find(search: Search, service: str, request: Request) -> Answer:
    """``service`` is the base URI of the service, for warnings.

    Raises:
        RestError: 400, 406
    """
    selected = select(request, OFFERS)
    offset, limit = number(request, "offset"), number(request, "limit", _MOST)
    try:
        query = _query(request)
    except InvalidQuery as error:
        raise RestError(400, str(error)) from None
    page = _page(search.find(query), offset, min(limit, _MOST))
    warnings = []
    if query.unsupported:
        warnings.append("There are attributes that inventories do not have. They have not been matched")
    if page.remaining:
        warnings.append(f"There are {page.remaining} additional results that can be requested")
    # Several warnings are one list (RFC 7234 5.5): Orthanc sends a header once.
    headers = {"Warning": ", ".join(f"299 {service}: {text}" for text in warnings)} if warnings else {}
    if not page.results:
        return Answer(chunks=(), headers=headers, status=204)
    return answer_data_sets(page.results, selected.offer, headers)


def _page(found: Iterator[EncodedAttributes | None], offset: int, limit: int) -> _Page:
    """All are looked at, as the number of those that remain must be told (8.3.4.4)."""
    results: list[EncodedAttributes] = []
    matches = size = 0
    for entry in found:
        if entry is None:
            continue
        matches += 1
        if matches == offset + len(results) + 1 and len(results) < limit and size < _LARGEST:
            results.append(entry)
            size += len(entry.data_set.buffer)
    return _Page(results, max(0, matches - offset) - len(results))


def _query(request: Request) -> InventoryQuery:
    """Raises: RestError, InvalidQuery."""
    written: dict[str, Any] = dict.fromkeys(_USUAL, "")
    mechanisms = Mechanisms(
        fuzzy_names=_flag(request, "fuzzymatching"),
        combined_date_time=True,
        empty_values=_flag(request, "emptyvaluematching"),
        multiple_values=_flag(request, "multiplevaluematching"),
        time_zones=True,
    )
    for keyword in _included(request):
        written.setdefault(keyword, "")
    seen = set()
    for name, value in request.query.items():
        name = unquote_plus(name)
        # Nothing between two signs "&" is an empty name.
        if name in PARAMETERS or name in _NO_ATTRIBUTES or not (name or value):
            continue
        path = _path(name)
        if path in seen:
            raise InvalidQuery(f"{'.'.join(path)} stands twice")
        seen.add(path)
        _write(written, path, _value(path[-1], unquote_plus(value)))
    return InventoryQuery(written, mechanisms)


def _included(request: Request) -> Iterator[str]:
    """The attributes of ``includefield`` (8.3.4.3). A sequence is returned whole."""
    fields = unquote_plus(request.query.get("includefield", "")).split(",")
    if "all" in fields:
        if len(fields) > 1:
            raise RestError(400, "includefield must be all, or a list of attributes")
        yield from INVENTORY
        return
    for field in filter(None, (field.strip() for field in fields)):
        keyword = _path(field)[0]
        # What inventories do not have is not there to be returned.
        if keyword in INVENTORY:
            yield keyword


def _flag(request: Request, name: str) -> bool:
    value = request.query.get(name, "false")
    if value not in ("true", "false"):
        raise RestError(400, f"{name} must be true or false")
    return value == "true"


def _path(name: str) -> tuple[str, ...]:
    """Keywords, from those or tags of eight hexadecimal digits; "ggggeeee" where the data dictionary has none."""
    names = name.split(".")
    # What is nested deeper than this would also overflow the small stacks of Orthanc's threads.
    if len(names) > _DEEPEST:
        raise InvalidQuery(f"an attribute stands below more than {_DEEPEST - 1} sequences")
    return tuple(map(_keyword, names))


def _keyword(name: str) -> str:
    if re.fullmatch("[0-9A-Fa-f]{8}", name):
        return keyword_for_tag(int(name, 16)) or name.lower()
    if not name or tag_for_keyword(name) is None:
        shown = name if re.fullmatch("[A-Za-z0-9]{1,64}", name) else "a name"
        raise InvalidQuery(
            f"{shown} is no parameter, keyword or tag; parameters besides attributes are: {', '.join(PARAMETERS)}"
        )
    return name


def _value(keyword: str, value: str) -> str:
    """UIDs are separated by commas here (8.3.4.1); a plus sign that was not escaped came as a space."""
    tag = tag_for_keyword(keyword)
    vr = dictionary_VR(tag) if tag is not None else "UN"
    if vr == "UI":
        return value.replace(",", "\\")
    return value.replace(" ", "+") if vr == "DT" or keyword == _ZONE else value


def _write(written: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    """Sets the value below the sequences of the path, each of which has one item (PS3.4 C.2.2.2.6)."""
    *above, keyword = path
    place = written
    for sequence in above:
        items = place.get(sequence)
        if not isinstance(items, list):
            if items:
                raise InvalidQuery(f"{sequence} has a value, and keys of its items")
            items = place[sequence] = [{}]
        [place] = items
    if isinstance(place.get(keyword), list):
        if not value:
            return
        raise InvalidQuery(f"{keyword} has a value, and keys of its items")
    place[keyword] = value
