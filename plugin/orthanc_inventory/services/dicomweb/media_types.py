"""Media types: what a request accepts, and which of the offered representations that selects (PS3.18 8.7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_plus

from ...host import Request, RestError

DICOM, DICOM_JSON, DICOM_XML, JSON = "application/dicom", "application/dicom+json", "application/dicom+xml", "application/json"
MULTIPART = "multipart/related"
ANY = "*"

# A word or a text in quotes; a quote that does not end is passed over.
_PART = re.compile(r'(?:[^,;"]++|"(?:[^"\\]++|\\.)*+")++|[,;]')
_TYPE = re.compile(r"[\w.+*-]+/[\w.+*-]+", re.ASCII)
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)
_NAMED = 3
_CHARACTER_SETS = ("utf-8", "utf8", "iso_ir 192", ANY)


class MediaType(NamedTuple):
    """``type`` in lower case; ``parameters`` by their names in lower case, without quotes."""

    type: str
    parameters: dict[str, str]


class Offer(NamedTuple):
    """A representation that the service has; ``transfer_syntaxes`` are those of DICOM, the default first."""

    type: str
    multipart: bool = False
    transfer_syntaxes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f'{MULTIPART}; type="{self.type}"' if self.multipart else self.type


class Selected(NamedTuple):
    """``transfer_syntax`` is ``ANY`` where that of the file will do, and empty where there is none."""

    offer: Offer
    transfer_syntax: str = ""


def media_types(text: str) -> list[MediaType]:
    """The media types, or ranges of them, of a header; what is none is passed over."""
    result: list[MediaType] = []
    fresh = True
    for part in _PART.findall(text):
        if part == ",":
            fresh = True
        elif part != ";":
            part = part.strip()
            if fresh:
                # What follows belongs to no type if this is none.
                result.append(MediaType(part.lower() if _TYPE.fullmatch(part) else "", {}))
            elif result:
                name, _, value = part.partition("=")
                result[-1].parameters[name.strip().lower()] = _unquoted(value.strip())
            fresh = False
    return [entry for entry in result if entry.type]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


def select(request: Request, offers: Sequence[Offer]) -> Selected:
    """The representation that the request accepts most (8.7.8.1): that of its parameter ``accept`` if there is one, else
    that of its header; the first offer is the default.

    Raises:
        RestError: 406
    """
    # Many write the plus sign of a type as it stands, which means a space there.
    parameter = re.sub(r"(application/dicom) (json|xml)\b", r"\1+\2", unquote_plus(request.query.get("accept", "")))
    header = request.headers.get("accept", "")
    if not parameter.strip() and not header.strip():
        header = "*/*"
    selected = _best(media_types(parameter), offers) or _best(media_types(header), offers)
    if selected is None:
        raise RestError(406, f"no media type in Accept is offered; there are: {', '.join(offer.name for offer in offers)}")
    return selected


def _best(accepted: list[MediaType], offers: Sequence[Offer]) -> Selected | None:
    """By quality; then the type that is named before those that a range includes, then in the order of the request."""
    best: tuple[float, bool, int] | None = None
    found = None
    for candidate in (Selected(offer, syntax) for offer in offers for syntax in _syntaxes(offer)):
        matching = [
            (precision, -position) for position, entry in enumerate(accepted) if (precision := _precision(entry, candidate))
        ]
        if not matching:
            continue
        # Of several that match, the most precise tells the quality (RFC 9110 12.5.1).
        precision, position = max(matching)
        quality = _quality(accepted[-position])
        is_named = precision >= _NAMED
        rank = quality, is_named, position if is_named else 0
        if quality > 0 and (best is None or rank > best):
            best, found = rank, candidate
    return found


def _syntaxes(offer: Offer) -> tuple[str, ...]:
    return (*offer.transfer_syntaxes, ANY) if offer.transfer_syntaxes else ("",)


def _quality(entry: MediaType) -> float:
    """What is no quality counts as none: such a type is not accepted."""
    text = entry.parameters.get("q", "1")
    return float(text) if _QUALITY.fullmatch(text) else 0


def _precision(entry: MediaType, candidate: Selected) -> int:
    """How closely a type or range describes a candidate: not at all (0), as any, as one of a range, by name, or by name with
    its transfer syntax. Where that is not said, it is the default (8.7.3.5.2).
    """
    offer, syntax = candidate
    if offer.transfer_syntaxes:
        if entry.parameters.get("transfer-syntax", offer.transfer_syntaxes[0]) != syntax:
            return 0
    elif entry.parameters.get("charset", ANY).lower() not in _CHARACTER_SETS:
        return 0
    if entry.type == "*/*":
        return 1
    is_multipart = entry.type in (MULTIPART, "multipart/*")
    wanted = entry.parameters.get("type", "*/*").lower() if is_multipart else entry.type
    if is_multipart != offer.multipart or wanted not in (offer.type, "application/*", "*/*"):
        return 0
    return _NAMED + ("transfer-syntax" in entry.parameters) if wanted == offer.type else 2
