"""Records from the DICOM JSON Model (PS3.18 F), in which DICOMweb servers answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

_TAG = re.compile("[0-9A-Fa-f]{8}")
# Levels of sequences that are read.
_DEEPEST = 16
# The groups of a person name in their order (PS3.5 6.2.1.2).
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def record_from_json(data_set: Mapping[str, Any], deepest: int = _DEEPEST) -> dict[str, Any]:
    """The attributes that the data dictionary knows, see ``records``; what is not as the model has it is left out."""
    attributes: dict[str, Any] = {}
    for tag, element in data_set.items():
        keyword = _keyword(tag)
        if not keyword or not isinstance(element, dict):
            continue
        values = element.get("Value", [])
        is_sequence = dictionary_VR(int(tag, 16)) == "SQ"
        if not isinstance(values, list) or is_sequence != (element.get("vr") == "SQ"):
            continue
        if is_sequence:
            if deepest:
                items = (item for item in values if isinstance(item, dict))
                attributes[keyword] = [record_from_json(item, deepest - 1) for item in items]
        elif isinstance(binary := element.get("InlineBinary"), str):
            attributes[keyword] = _hexadecimal(binary)
        else:
            attributes[keyword] = "\\".join(map(_text, values))
    return attributes


def _keyword(tag: str) -> str:
    return keyword_for_tag(int(tag, 16)) if _TAG.fullmatch(tag) else ""


def _hexadecimal(binary: str) -> str:
    try:
        return base64.b64decode(binary, validate=True).hex()
    except ValueError:
        return ""


def _text(value: Any) -> str:
    if isinstance(value, dict):
        groups = [str(value.get(group) or "") for group in _NAME_GROUPS]
        return _encodable("=".join(groups).rstrip("="))
    return "" if value is None or isinstance(value, list) else _encodable(str(value))


def _encodable(text: str) -> str:
    """Without the surrogates that JSON can hold but UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
