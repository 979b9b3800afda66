"""A data set as XML of the Native DICOM Model (PS3.19 A.1) in pieces, whatever its size."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydicom.datadict import keyword_for_tag

from .character_sets import UTF_8
from .decoder import EncodedDataSet, Element, Place
from .recoding import NAME_GROUPS
from .steps import BINARY, SPECIFIC_CHARACTER_SET, Kind, steps, values

_NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
# No character of XML 1.0, not even as a reference.
_IMPOSSIBLE = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_SPECIAL = re.compile(f'[&<>"\r{_IMPOSSIBLE}]')


def xml_pieces(data_set: EncodedDataSet, place: Place) -> Iterator[str]:
    """The text of one document in UTF-8. What XML cannot hold, as control characters, becomes U+FFFD.

    Raises:
        InvalidInventory: from the iterator, where the data set is broken.
    """
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">\n'
    # Innermost last: the numbers of items, and the private creators by group and block.
    numbers: list[int] = []
    creators: list[dict[int, str]] = [{}]
    for kind, element, character_set in steps(data_set, place):
        if kind is Kind.ELEMENT:
            yield _start(element, creators[-1])
            if element[0] == SPECIFIC_CHARACTER_SET:
                yield f'<Value number="1">{UTF_8}</Value>'
            else:
                yield from _content(data_set, element, character_set, creators[-1])
            yield "</DicomAttribute>\n"
        elif kind is Kind.SEQUENCE:
            yield _start(element, creators[-1]) + "\n"
            numbers.append(0)
        elif kind is Kind.ITEM:
            numbers[-1] += 1
            creators.append({})
            yield f'<Item number="{numbers[-1]}">\n'
        elif kind is Kind.ITEM_END:
            creators.pop()
            yield "</Item>\n"
        else:
            numbers.pop()
            yield "</DicomAttribute>\n"
    yield "</NativeDicomModel>\n"


def _start(element: Element, creators: dict[int, str]) -> str:
    """Of a private attribute the tag says no block, as it is the private creator that names it (Table A.1.5-2)."""
    tag, vr = element[0], element[1]
    block = tag >> 8
    if tag >> 16 & 1 and block & 0xFF:
        creator = creators.get(block, "")
        return f'<DicomAttribute tag="{tag & 0xFFFF00FF:08X}" vr="{vr}" privateCreator="{_escaped(creator)}">'
    keyword = _keyword(tag)
    return f'<DicomAttribute tag="{tag:08X}" vr="{vr}"' + (f' keyword="{keyword}">' if keyword else ">")


@lru_cache(maxsize=4096)
def _keyword(tag: int) -> str:
    return keyword_for_tag(tag)


def _content(data_set: EncodedDataSet, element: Element, character_set: str, creators: dict[int, str]) -> Iterator[str]:
    tag, vr, start, stop, _ = element
    if start == stop:
        return
    if vr in BINARY:
        yield f"<InlineBinary>{base64.b64encode(data_set.buffer[start:stop]).decode('ascii')}</InlineBinary>"
        return
    found = values(data_set, element, character_set)
    if tag >> 16 & 1 and tag & 0xFF00 == 0 and found:
        creators[(tag >> 16) << 8 | tag & 0xFF] = str(found[0])
    for number, value in enumerate(found, 1):
        if vr == "PN":
            yield f'<PersonName number="{number}">{_person_name(value)}</PersonName>'
        else:
            yield f'<Value number="{number}">{_escaped(value)}</Value>'


def _person_name(value: str) -> str:
    return "".join(
        f"<{name}>{_components(group)}</{name}>" for name, group in zip(NAME_GROUPS, value.split("=")) if group
    )


def _components(group: str) -> str:
    return "".join(
        f"<{name}>{_escaped(component)}</{name}>"
        for name, component in zip(_NAME_COMPONENTS, group.split("^", len(_NAME_COMPONENTS) - 1))
        if component
    )


def _escaped(value: Any) -> str:
    return _SPECIAL.sub(lambda match: _MARKUP.get(match[0], "\ufffd"), str(value))
