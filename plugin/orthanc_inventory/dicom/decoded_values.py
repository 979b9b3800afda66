"""The value fields of data elements as values (PS3.5 6.2): what ``values`` brings into form and the encoder writes."""

from __future__ import annotations

import re
from functools import lru_cache
from struct import Struct

from pydicom.charset import decode_bytes, python_encoding
from pydicom.charset import convert_encodings as convert

from .values import without_padding

_NUMBERS = {
    vr: Struct(f"<{code}")
    for vr, code in {"US": "H", "UL": "I", "UV": "Q", "SS": "h", "SL": "i", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}.items()
}
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
# The text of these is written in the Specific Character Set (PS3.5 6.1.2.3), the others in the default repertoire.
_WITH_CHARACTER_SET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})
# What leads back to the first character set (PS3.5 6.1.2.5.3).
_DELIMITERS = {0x09, 0x0A, 0x0C, 0x0D, 0x5C}
_NAME_DELIMITERS = {0x3D, 0x5C, 0x5E}
# Escape sequences that pydicom leaves in the text, as those of ISO 2022 IR 58: they are no part of it.
_ESCAPE = re.compile("\x1b[ -/]+[0-~]")


def kind(vr: str) -> str:
    """What values of a VR are: "items", "bytes", "number" or "text"."""
    if vr == "SQ":
        return "items"
    if vr in _BYTES:
        return "bytes"
    return "number" if vr in _NUMBERS and vr != "AT" else "text"


class UnknownCharacterSet(ValueError):
    """A Specific Character Set that PS3.3 C.12.1.1.2 does not define."""


@lru_cache(maxsize=64)
def character_sets(terms: str) -> list[str]:
    """Python's names for a value of Specific Character Set (0008,0005).

    Raises:
        UnknownCharacterSet
    """
    given = [term.strip() for term in terms.split("\\")]
    if not all(term in python_encoding for term in given):
        raise UnknownCharacterSet("a term of Specific Character Set is unknown")
    return convert(given)


def decoded_value(vr: str, content: bytes, character_set: str) -> str | int | float:
    """Text (several values joined by backslashes), a number, or hexadecimal text for bytes; empty text for no value.

    Bytes that mean nothing in the character set become U+FFFD.

    Raises:
        ValueError: the length does not fit the VR.
    """
    if not content:
        return ""
    if vr in _WITH_CHARACTER_SET:
        text = _text(content, character_set, _NAME_DELIMITERS if vr == "PN" else _DELIMITERS)
    elif vr in _BYTES:
        return content.hex()
    elif vr in _NUMBERS:
        return _number(vr, content)
    else:
        text = content.decode("ascii", "replace")
    if "\\" in text and vr not in _ONE_VALUE:
        return "\\".join(map(without_padding, text.split("\\")))
    return without_padding(text)


def _text(content: bytes, character_set: str, delimiters: set[int]) -> str:
    encodings = character_sets(character_set)
    if b"\x1b" in content:
        return _ESCAPE.sub("", decode_bytes(content, encodings, delimiters))
    return content.decode(encodings[0], "replace")


def _number(vr: str, content: bytes) -> str | int | float:
    number = _NUMBERS[vr]
    if len(content) % number.size:
        raise ValueError
    values = list(number.iter_unpack(content))
    if vr == "AT":
        return "\\".join(f"{group:04x}{element:04x}" for group, element in values)
    return values[0][0] if len(values) == 1 else "\\".join(str(value) for (value,) in values)
