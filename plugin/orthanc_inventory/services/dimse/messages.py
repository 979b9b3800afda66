"""DIMSE messages (PS3.7): command sets as dictionaries of keywords, and what a status means.

Values are integers, text, or for VR AT a list of tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import pack, unpack_from
from typing import Any, BinaryIO

from pydicom.datadict import dictionary_VR, tag_for_keyword

# Command Field (0000,0100) of requests, PS3.7 E.1-1
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
N_EVENT_REPORT, N_ACTION = 0x0100, 0x0130
C_CANCEL = 0x0FFF
# Set in those of responses.
RESPONSE = 0x8000
OPERATIONS = {
    C_STORE: "C-STORE",
    C_GET: "C-GET",
    C_FIND: "C-FIND",
    C_MOVE: "C-MOVE",
    C_ECHO: "C-ECHO",
    N_EVENT_REPORT: "N-EVENT-REPORT",
    N_ACTION: "N-ACTION",
}

# Status (0000,0900), PS3.7 C
SUCCESS = 0x0000
CANCELED = 0xFE00
PENDING, PENDING_WITH_WARNING = 0xFF00, 0xFF01
PROCESSING_FAILURE = 0x0110
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT_VALUE = 0x0115
MISSING_ATTRIBUTE, MISSING_ATTRIBUTE_VALUE = 0x0120, 0x0121
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORIZED = 0x0124
UNRECOGNIZED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
RESOURCE_LIMITATION = 0x0213
# PS3.4: of storage, query and retrieve
OUT_OF_RESOURCES = 0xA700
INVALID_PRIOR_RECORD_KEY = 0xA710
DOES_NOT_MATCH_SOP_CLASS = 0xA900
RESPONSE_LIMIT_REACHED = 0xB001
UNABLE_TO_PROCESS = 0xC000
# PS3.4 KK.2.2.3
ATTRIBUTE_LIST_WARNING = 0xB010

# Command Data Set Type (0000,0800)
_NO_DATA_SET, _DATA_SET = 0x0101, 0x0001
_KEYWORDS = (
    "AffectedSOPClassUID RequestedSOPClassUID CommandField MessageID MessageIDBeingRespondedTo MoveDestination Priority "
    "CommandDataSetType Status OffendingElement ErrorComment ErrorID AffectedSOPInstanceUID RequestedSOPInstanceUID "
    "EventTypeID AttributeIdentifierList ActionTypeID NumberOfRemainingSuboperations NumberOfCompletedSuboperations "
    "NumberOfFailedSuboperations NumberOfWarningSuboperations MoveOriginatorApplicationEntityTitle MoveOriginatorMessageID"
).split()
# In the order of their tags.
_ELEMENTS = sorted((tag_for_keyword(keyword) or 0, keyword, dictionary_VR(keyword)) for keyword in _KEYWORDS)
_BY_TAG = {tag: (keyword, vr) for tag, keyword, vr in _ELEMENTS}


class InvalidMessage(ValueError):
    """A peer sent what is no DIMSE message."""


@dataclass(slots=True)
class Message:
    """``data`` is the encoded data set, None if there is none; of one that is too large nothing is kept but ``size``."""

    context: int
    command: Mapping[str, Any]
    data: BinaryIO | None = None
    size: int = 0
    too_large: bool = False


def is_pending(status: int) -> bool:
    return status in (PENDING, PENDING_WITH_WARNING)


def is_warning(status: int) -> bool:
    """PS3.7 C.3: all that the standard gives to warnings."""
    return status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116)


def encode_command(command: Mapping[str, Any], has_data: bool) -> bytes:
    """A command set, in Implicit VR Little Endian (PS3.7 6.3.1)."""
    command = {**command, "CommandDataSetType": _DATA_SET if has_data else _NO_DATA_SET}
    elements = b"".join(
        pack("<HHI", 0, tag, len(value)) + value
        for tag, keyword, vr in _ELEMENTS
        if keyword in command
        for value in (_encoded(vr, command[keyword]),)
    )
    return pack("<HHII", 0, 0, 4, len(elements)) + elements


def _encoded(vr: str, value: Any) -> bytes:
    if vr == "US":
        return pack("<H", value)
    if vr == "AT":
        return b"".join(pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
    text = value.encode("ascii", "replace")
    return text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)


def decode_command(content: bytes) -> dict[str, Any]:
    """Raises: InvalidMessage."""
    command: dict[str, Any] = {}
    position = 0
    while position < len(content):
        if position + 8 > len(content):
            raise InvalidMessage("a command set ends in the header of an element")
        group, element, length = unpack_from("<HHI", content, position)
        position += 8
        value = content[position : position + length]
        position += length
        if group or len(value) != length:
            raise InvalidMessage("a command set is broken")
        if element in _BY_TAG:
            keyword, vr = _BY_TAG[element]
            command[keyword] = _decoded(vr, value)
    for keyword in ("CommandField", "CommandDataSetType"):
        if keyword not in command:
            raise InvalidMessage(f"a command set has no {keyword}")
    return command


def has_data_set(command: Mapping[str, Any]) -> bool:
    return command["CommandDataSetType"] != _NO_DATA_SET


def _decoded(vr: str, value: bytes) -> Any:
    if vr == "US":
        if len(value) != 2:
            raise InvalidMessage("a number in a command set has not two bytes")
        return int.from_bytes(value, "little")
    if vr == "AT":
        pairs = (unpack_from("<HH", value, at) for at in range(0, len(value) & ~3, 4))
        return [group << 16 | element for group, element in pairs]
    return value.decode("ascii", "replace").strip("\0 ")
