"""Values as their VR can hold them (PS3.5 Table 6.2-1).

An index holds what modalities sent: dates with dots, lower case code strings, control characters. ``legal_value``
brings such a value into a legal form, or answers an empty string where there is none.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable

# Control characters of both sets, and the surrogates that a JSON answer can hold but UTF-8 cannot.
_FORBIDDEN = "\x00-\x1f\x7f-\x9f\ud800-\udfff"
_FORBIDDEN_IN_LINE = re.compile(f"[{_FORBIDDEN}]")
_FORBIDDEN_IN_TEXT = re.compile(f"(?![\t\n\f\r])[{_FORBIDDEN}]")
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]++(?:\.[0-9]++)*+", re.ASCII)
_DATE = re.compile(r"([0-9]{4})([-./]?)([0-9]{2})\2([0-9]{2})", re.ASCII)
_TIME = re.compile(r"([01][0-9]|2[0-3])(?::?([0-5][0-9])(?::?([0-5][0-9]|60)(?:\.([0-9]+))?)?)?", re.ASCII)
_DATE_TIME = re.compile(
    r"[0-9]{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12][0-9]|3[01])(?:(?:[01][0-9]|2[0-3])"
    r"(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?)?)?)?(?:[+-](?:0[0-9]|1[0-4])[0-5][0-9])?",
    re.ASCII,
)
# What has more digits is no integer of 32 bits, and may be longer than Python converts.
_INTEGER = re.compile(r"([+-]?[0-9]{1,64})(?:\.0*)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?", re.ASCII)
_AGE = re.compile(r"[0-9]{3}[DWMY]", re.ASCII)
_URI = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]++", re.ASCII)


def _line(length: int | None) -> Callable[[str], str]:
    def legal(value: str) -> str:
        return _FORBIDDEN_IN_LINE.sub(" ", value).replace("\\", "/")[:length].rstrip(" ")

    return legal


def _text(length: int | None) -> Callable[[str], str]:
    def legal(value: str) -> str:
        return _FORBIDDEN_IN_TEXT.sub(" ", value)[:length].rstrip(" ")

    return legal


def _person_name(value: str) -> str:
    """At most three component groups of 64 characters (PS3.5 6.2.1)."""
    groups = _FORBIDDEN_IN_LINE.sub(" ", value).replace("\\", "/").split("=")[:3]
    return "=".join(group[:64].rstrip(" ") for group in groups).rstrip("=")


def _code_string(value: str) -> str:
    return re.sub(r"[^A-Z0-9_ ]", "_", value.strip(" ").upper())[:16].rstrip(" ")


def _uid(value: str) -> str:
    """Also with a zero in front of a component, which the standard forbids: the object has that name and no other."""
    return value if _UID.fullmatch(value) else ""


def _date(value: str) -> str:
    match = _DATE.fullmatch(value)
    if match is None:
        return ""
    year, _, month, day = match.groups()
    try:
        datetime.date(int(year), int(month), int(day))
    except ValueError:
        return ""
    return year + month + day


def _time(value: str) -> str:
    match = _TIME.fullmatch(value)
    if match is None:
        return ""
    hour, minute, second, fraction = match.groups()
    return hour + (minute or "") + (second or "") + (f".{fraction[:6]}" if fraction else "")


def _date_time(value: str) -> str:
    return value if _DATE_TIME.fullmatch(value) else ""


def _integer_string(value: str) -> str:
    match = _INTEGER.fullmatch(value.strip(" "))
    if match is None or not -(2**31) <= int(match[1]) < 2**31:
        return ""
    return match[1] if len(match[1]) <= 12 else str(int(match[1]))


def _decimal_string(value: str) -> str:
    value = value.strip(" ")
    if not _DECIMAL.fullmatch(value):
        return ""
    if len(value) <= 16:
        return value
    number = float(value)
    return f"{number:.10g}" if math.isfinite(number) else ""


def _age(value: str) -> str:
    return value if _AGE.fullmatch(value) else ""


def _application_entity(value: str) -> str:
    return re.sub(r"[^ -~]|\\", "_", value.strip(" "))[:16].rstrip(" ")


def _uri(value: str) -> str:
    return value if _URI.fullmatch(value) else ""


_LEGAL: dict[str, Callable[[str], str]] = {
    "AE": _application_entity,
    "AS": _age,
    "CS": _code_string,
    "DA": _date,
    "DS": _decimal_string,
    "DT": _date_time,
    "IS": _integer_string,
    "LO": _line(64),
    "LT": _text(10240),
    "PN": _person_name,
    "SH": _line(16),
    "ST": _text(1024),
    "TM": _time,
    "UC": _line(None),
    "UI": _uid,
    "UR": _uri,
    "UT": _text(None),
}

# Values that are legal as they stand; most are, and one match tells. What does not match is looked at more closely.
FITTING: dict[str, re.Pattern[str]] = {
    "UI": _UID,
    "UR": _URI,
    "LO": re.compile(f"[^{_FORBIDDEN}\\\\]{{0,63}}[^{_FORBIDDEN}\\\\ ]"),
    "SH": re.compile(f"[^{_FORBIDDEN}\\\\]{{0,15}}[^{_FORBIDDEN}\\\\ ]"),
    "CS": re.compile(r"[A-Z0-9_](?:[A-Z0-9_ ]{0,14}[A-Z0-9_])?"),
    "IS": re.compile(r"[0-9]{1,9}", re.ASCII),
}


def without_padding(value: str) -> str:
    """The value without what PS3.5 6.2 uses to fill up: trailing spaces and NULs carry no meaning."""
    return value.rstrip(" \0")


def legal_value(vr: str, value: str, multiple: bool = False) -> str:
    """The value in the form that its VR allows, several values joined by backslashes; empty where there is none."""
    legal = _LEGAL[vr]
    if not multiple:
        return legal(value)
    return "\\".join(filter(None, (legal(without_padding(part)) for part in value.split("\\"))))


def is_uid(value: str) -> bool:
    """Whether the text is a UID (PS3.5 9.1): digits and dots, at most 64, no leading zero in a component."""
    return bool(_UID.fullmatch(value)) and not re.search(r"(?:\A|\.)0[0-9]", value)
