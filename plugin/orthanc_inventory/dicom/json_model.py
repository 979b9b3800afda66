"""A data set as DICOM JSON (PS3.18 F) in pieces, whatever its size."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .character_sets import UTF_8
from .decoder import EncodedDataSet, Place
from .recoding import json_attribute
from .steps import SPECIFIC_CHARACTER_SET, Kind, steps

_ITEMS = ', "Value": ['
_encode = json.JSONEncoder(ensure_ascii=False).encode


def json_pieces(data_set: EncodedDataSet, place: Place) -> Iterator[str]:
    """The text of one object. Specific Character Set, where the data set has it, is that of JSON.

    Raises:
        InvalidInventory: from the iterator, where the data set is broken.
    """
    yield "{"
    separator = ""
    for kind, element, character_set in steps(data_set, place):
        if kind is Kind.ELEMENT:
            if element[0] == SPECIFIC_CHARACTER_SET:
                attribute = {"vr": "CS", "Value": [UTF_8]}
            else:
                attribute = json_attribute(data_set, element, character_set)
            yield f'{separator}"{element[0]:08X}": {_encode(attribute)}'
            separator = ", "
        elif kind is Kind.SEQUENCE:
            yield f'{separator}"{element[0]:08X}": {{"vr": "SQ"'
            separator = _ITEMS
        elif kind is Kind.ITEM:
            yield separator + "{"
            separator = ""
        elif kind is Kind.ITEM_END:
            yield "}"
            separator = ", "
        else:
            yield "}" if separator == _ITEMS else "]}"
            separator = ", "
    yield "}"
