"""Finds the inventories that another system has, over DICOM (Inventory - FIND).

Each KEY=VALUE is an attribute by keyword with a value as in C-FIND: wild cards, ranges, several values, empty for anything.
Every instance is found, roots and leaves alike. Ends with 0 also if there is none, and with 1 if there are more than the
peer tells of.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from ..dicom.decoder import InvalidInventory
from ..dicom.elements import NUMBERS
from ..dicom.file_format import read_data_set
from ..dicom.recoding import json_object
from ..dicom.scope import SEQUENCE, InvalidScope, Scope
from ..dicom.transcoding import encoded_attributes
from ..dicom.uids import INVENTORY_FIND
from ..services.dimse.find import Find
from ..services.dimse.messages import SUCCESS, is_warning
from . import DIFFERENT, FINE, CommandError
from .peer import association, in_words, modality
from .summaries import moment, scope_in_words
from .text import number, tell, write_json, write_table

NAME = "find"
# What is asked for in any case, and shown.
_SHOWN = (
    "SOPInstanceUID", "ContentDate", "ContentTime", "TransactionUID", "InventoryPurpose", "InventoryInstanceDescription",
    "InventoryLevel", "InventoryCompletionStatus", "NumberOfStudyRecordsInInstance", "TotalNumberOfStudyRecords", SEQUENCE,
)
_HEADER = ("Made", "Level", "Status", "Studies", "In it", "SOP Instance UID", "Purpose", "Scope")
_SCOPE_TAG = "00080400"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "keys", metavar="KEY=VALUE", nargs="*",
        help="only inventories that match, such as ContentDate=20260101- InventoryCompletionStatus=COMPLETE; by default all",
    )
    parser.add_argument("--json", action="store_true", help="the answers as JSON, by keyword, with each key that is asked for")


def run(arguments: argparse.Namespace) -> int:
    identifier = query(arguments.keys)
    found: list[dict[str, Any]] = []
    with association(arguments, INVENTORY_FIND) as opened:
        context = opened.context(INVENTORY_FIND)[0]
        made = Find(opened, context, encoded_attributes(identifier, context.transfer_syntax))
        for answer in made.answers():
            found.append(_read(answer, context.transfer_syntax))
    name = modality(arguments).name
    status = made.status or SUCCESS
    if status != SUCCESS and not is_warning(status):
        raise CommandError(f"{name} refuses the query with {in_words(status, made.comment)}")
    if made.keys_unsupported:
        tell(f"{name} does not support all of the keys")
    if status != SUCCESS:
        tell(f"{name} ends with {in_words(status, made.comment)}")
    if arguments.json:
        write_json(found)
    else:
        write_table(_HEADER, map(_row, found), frozenset({"Studies", "In it"}))
    return FINE if status == SUCCESS else DIFFERENT


def query(keys: Sequence[str]) -> dict[str, Any]:
    """The identifier for KEY=VALUE, or PATH.TO.KEY=VALUE in sequences; with the keys that are shown.

    Raises:
        CommandError
    """
    identifier: dict[str, Any] = {keyword: "" for keyword in _SHOWN}
    for text in keys:
        path, _, value = text.partition("=")
        place, *others = path.split(".")[::-1]
        target = identifier
        for keyword in reversed(others):
            if _vr(keyword) != "SQ":
                raise CommandError(f"{keyword} is no sequence, so that there is no {path}")
            target[keyword] = target.get(keyword) or [{}]
            target = target[keyword][0]
        target[place] = _value(place, value)
    if not "".join(keys).isascii():
        identifier["SpecificCharacterSet"] = "ISO_IR 192"
    return identifier


def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise CommandError(f"{keyword or 'a key'} is no keyword of a DICOM attribute; keys are such as InventoryLevel=STUDY")
    return dictionary_VR(tag).split(" ")[0]


def _value(keyword: str, value: str) -> str | int:
    vr = _vr(keyword)
    if not value:
        return ""
    if vr == "SQ":
        raise CommandError(f"{keyword} is a sequence: a key in it is {keyword}.KEY=VALUE")
    if vr in NUMBERS:
        if not value.isascii() or not value.isdecimal() or int(value) >> 63:
            raise CommandError(f"{keyword} must be a number from 0 on")
        return int(value)
    return value


def _read(answer: bytes, transfer_syntax: str) -> dict[str, Any]:
    """By keyword; the scope besides as in a summary."""
    try:
        data_set, place = read_data_set(answer, transfer_syntax, "the answer")
        values: dict[str, Any] = data_set.decode(place, "")
        scope = json_object(data_set, place, "").get(_SCOPE_TAG, {}).get("Value")
    except InvalidInventory as error:
        raise CommandError(f"an answer cannot be read: {error}") from None
    values.pop("SpecificCharacterSet", None)
    return {**values, "Scope": _scope(scope)}


def _scope(items: Any) -> Mapping[str, Any]:
    if not items or not any(items):
        return {}
    try:
        return Scope.parse({SEQUENCE: items}).simple()
    except InvalidScope:  # one that only its maker understands
        return {SEQUENCE: items}


def _row(found: Mapping[str, Any]) -> list[object]:
    counts = (found.get(keyword) for keyword in ("TotalNumberOfStudyRecords", "NumberOfStudyRecordsInInstance"))
    return [
        moment(found),
        found.get("InventoryLevel"),
        found.get("InventoryCompletionStatus"),
        *(number(count if isinstance(count, int) else None) for count in counts),
        found.get("SOPInstanceUID"),
        found.get("InventoryPurpose"),
        scope_in_words(found["Scope"]),
    ]
