"""The identifiers of C-FIND responses as records, of peers that may not keep to the standard."""

from __future__ import annotations

from typing import Any

from .decoder import EncodedDataSet, InvalidInventory, Place

_SPECIFIC_CHARACTER_SET = 0x00080005
# Of a data set with a broken value: to look at each by itself takes time that grows with the square of their number.
_MOST_ELEMENTS = 500


def record_of(data_set: EncodedDataSet, place: Place) -> dict[str, Any]:
    """The attributes of an identifier; those whose VR or value cannot be are left out.

    Raises:
        InvalidInventory: the data set is no data set.
    """
    try:
        return data_set.decode(place, "")
    except InvalidInventory:  # perhaps for a single value: each by itself, then
        pass
    attributes: dict[str, Any] = {}
    elements = list(data_set.elements(place))
    if len(elements) > _MOST_ELEMENTS:
        problem = "a value is broken, and there are too many elements to look at each"
        raise data_set.invalid(place[0], problem, "limit of this reader")
    tags = frozenset(element[0] for element in elements)
    for element in elements:
        for kept in ({element[0], _SPECIFIC_CHARACTER_SET}, {element[0]}):
            try:
                attributes |= data_set.decode(place, "", tags - kept)
                break
            except InvalidInventory:
                continue
    return attributes
