"""The section ``Inventory`` of Orthanc's configuration: defaults, and checks whose messages name the key.

Each key has a default and a check that says what is allowed. A key that is unknown, of a wrong type or impossible
makes the whole section invalid: the plugin never runs with a configuration that it understood by half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .dicom.scope import InvalidScope, Scope
from .dicom.terms import LEVELS
from .production.schedule import FULL, INCREMENTAL, read_days, read_hours

SECTION = "Inventory"


class InvalidConfiguration(ValueError):
    """One line that names the key and the allowed values."""


@dataclass(frozen=True)
class Key:
    """A configuration key: its default, whether a value is allowed, and the words for what is allowed."""

    default: Any
    accepts: Callable[[Any], bool]
    allowed: str


def _boolean(default: bool) -> Key:
    return Key(default, lambda value: isinstance(value, bool), "true or false")


def _integer(default: int, lowest: int, highest: int) -> Key:
    return Key(
        default,
        lambda value: type(value) is int and lowest <= value <= highest,
        f"an integer from {lowest} to {highest}",
    )


def _choice(default: str, *choices: str) -> Key:
    return Key(default, lambda value: value in choices, " or ".join(f'"{choice}"' for choice in choices))


def _pattern(default: str, pattern: str, allowed: str) -> Key:
    return Key(default, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)), allowed)


def _text(default: str) -> Key:
    return Key(default, lambda value: isinstance(value, str) and "\0" not in value, "text")


def _is_base_uri(value: Any) -> bool:
    """An absolute http, https, nfs, smb or file URI without user or password, ending in a slash (RFC 3986 5.2.3)."""
    if value == "":
        return True
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._~:/\[\]@!$&'()*+,;=%-]+/", value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(re.fullmatch(r"[a-z][a-z0-9+.-]*", parts.scheme)) and "@" not in parts.netloc and (
        bool(parts.hostname) or parts.scheme == "file"
    )


def _base_uri() -> Key:
    return Key("", _is_base_uri, 'an absolute URI that ends in "/", without user, password, query or fragment')


def _can_be_read(value: Any, read: Callable[[Any], object]) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def _is_url(value: Any) -> bool:
    """An http or https URL without user, password or fragment."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[A-Za-z0-9._~:/?\[\]!$&'()*+,;=%-]+", value):
        return value == ""
    return _can_be_read(value, lambda url: urlsplit(url).port) and bool(urlsplit(value).hostname)


def _users() -> Key:
    return Key(
        [],
        lambda value: isinstance(value, list) and all(isinstance(user, str) and user for user in value),
        "a list of user names",
    )


AE_TITLE = r"(?=.*[!-~])[ -\[\]-~]{1,16}"

KEYS: Mapping[str, Key | Mapping[str, Key]] = {
    "Enable": _boolean(True),
    "StateDirectory": Key("", lambda value: isinstance(value, str) and "\0" not in value, "the path of a folder"),
    "StoreIn": _choice("Orthanc", "Orthanc", "Directory"),
    "Level": _choice("INSTANCE", *LEVELS),
    "Detail": _choice("Index", "Index", "Files"),
    "MaxRecordsPerInstance": _integer(2000, 1, 100_000),
    "Checksums": _boolean(True),
    "FileAccess": {"BaseUri": _base_uri()},
    "RetrieveAeTitle": _pattern("", f"({AE_TITLE})?", "an AE title of at most 16 characters"),
    "RetrieveUrl": _base_uri(),
    "Timezone": _pattern("", r"([+-](0[0-9]|1[0-4])[0-5][0-9])?", 'an offset from UTC such as "+0100"'),
    "PatientIdentifiers": _boolean(True),
    "Users": {"Read": _users(), "Manage": _users()},
    "MaximumPendingRuns": _integer(10, 0, 1000),
    "MaximumImportSize": _integer(64, 1, 4096),
    "ThrottleDelay": _integer(0, 0, 60_000),
    "Throttle": _choice("Delay", "Delay", "Auto"),
    "Retention": {"Keep": _integer(0, 0, 1_000_000), "Days": _integer(0, 0, 36_500)},
    "Notify": {"Url": Key("", _is_url, "an http or https URL without user, password or fragment")},
    "Schedules": Key([], lambda value: isinstance(value, list), "a list of schedules"),
    "Dimse": {
        "Enable": _boolean(False),
        "AeTitle": _pattern("INVENTORY", AE_TITLE, "an AE title of at most 16 characters"),
        "Port": _integer(11113, 1, 65535),
        "BindAddress": _pattern("127.0.0.1", r"[0-9A-Fa-f.:]+", "an IP address"),
        "MaximumRecords": _integer(10_000, 1, 10_000_000),
        "MaximumAssociations": _integer(10, 1, 1000),
    },
    "DicomWeb": {"Enable": _boolean(True)},
    "SharedJournal": {
        "Enable": _boolean(False),
        "Folder": Key("", lambda value: isinstance(value, str) and "\0" not in value, "the path of a folder"),
        "LeaseSeconds": _integer(30, 2, 3600),
    },
    "PostgreSQL": Key(
        False,
        lambda value: isinstance(value, bool | dict),
        "true for what Orthanc's own section PostgreSQL says, false, or an object with keys of that section",
    ),
}


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _is_days(value: Any) -> bool:
    return (isinstance(value, str) or _is_list_of_text(value)) and _can_be_read(value, read_days)


def _is_hours(value: Any) -> bool:
    return _is_list_of_text(value) and _can_be_read(value, read_hours)


# Design section 7. A schedule without a name cannot be started by hand, so a name is the only key without a default.
SCHEDULE_KEYS: Mapping[str, Key] = {
    "Name": _pattern(
        "", r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 letters, digits, dots, hyphens or underscores, no sign first"
    ),
    "Mode": _choice(FULL, INCREMENTAL, FULL),
    "Days": Key("Monday-Sunday", _is_days, 'days such as "Monday-Friday" or ["Sunday"]'),
    "Hours": Key(["0-24"], _is_hours, 'a list of hours such as ["1-5"] or ["22-4"], from 0 to 24, the two different'),
    "Every": _pattern("1d", r"[1-9][0-9]{0,4}[hdw]", 'an interval such as "12h", "1d" or "1w"'),
    "Level": _choice("INSTANCE", *LEVELS),
    "Scope": Key({}, lambda value: isinstance(value, dict), "an object of keywords and matching values"),
    "Keep": _integer(0, 0, 1_000_000),
}


# Orthanc's own keys, with its own defaults.
POSTGRESQL_KEYS: Mapping[str, Key] = {
    "Host": _text("localhost"),
    "Port": _integer(5432, 1, 65535),
    "Database": _text(""),
    "Username": _text(""),
    "Password": _text(""),
    "EnableSsl": _boolean(False),
    "ConnectionUri": _text(""),
}


def read_configuration(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The section with all defaults filled in.

    Args:
        configuration: Orthanc's whole configuration, as the user wrote it.

    Raises:
        InvalidConfiguration: the message names the key and the allowed values.
    """
    section = configuration.get(SECTION, {})
    result = _read(section, KEYS, SECTION)
    if isinstance(result["PostgreSQL"], dict):
        result["PostgreSQL"] = _read(result["PostgreSQL"], POSTGRESQL_KEYS, f"{SECTION}.PostgreSQL")
    if result["SharedJournal"]["Enable"]:
        if not result["PostgreSQL"]:
            raise InvalidConfiguration(f"{SECTION}.PostgreSQL is false; with SharedJournal.Enable allowed: true or an object")
        if not result["SharedJournal"]["Folder"]:
            raise InvalidConfiguration(f"{SECTION}.SharedJournal.Folder is missing; allowed: a folder that all Orthancs share")
    names: set[str] = set()
    for position, schedule in enumerate(result["Schedules"]):
        path = f"{SECTION}.Schedules[{position}]"
        result["Schedules"][position] = filled = _read(schedule, SCHEDULE_KEYS, path)
        if not filled["Name"]:
            raise InvalidConfiguration(f"{path}.Name is missing; allowed: {SCHEDULE_KEYS['Name'].allowed}")
        if filled["Name"] in names:
            raise InvalidConfiguration(f"{path}.Name stands twice; allowed: a name that no other schedule has")
        names.add(filled["Name"])
        try:
            Scope.parse(filled["Scope"])
        except InvalidScope as error:
            raise InvalidConfiguration(f"{path}.{error}") from None
    if any(result["Users"].values()) and not _checks_passwords(configuration):
        raise InvalidConfiguration(
            f"{SECTION}.Users needs Orthanc's AuthenticationEnabled, as without it any name is believed; allowed: true there"
        )
    return result


def _checks_passwords(configuration: Mapping[str, Any]) -> bool:
    """Where it is not said, Orthanc does so as soon as others than its own machine may ask."""
    return bool(configuration.get("AuthenticationEnabled", configuration.get("RemoteAccessAllowed", False)))


def _read(section: Any, keys: Mapping[str, Key | Mapping[str, Key]], path: str) -> dict[str, Any]:
    if not isinstance(section, Mapping):
        raise InvalidConfiguration(f"{path} must be an object")
    unknown = [key for key in section if key not in keys]
    if unknown:
        raise InvalidConfiguration(f"{path}.{_printable(unknown[0])} is unknown; allowed keys: {', '.join(keys)}")
    result: dict[str, Any] = {}
    for name, key in keys.items():
        if not isinstance(key, Key):
            result[name] = _read(section.get(name, {}), key, f"{path}.{name}")
        elif name not in section:
            result[name] = list(key.default) if isinstance(key.default, list) else key.default
        elif key.accepts(section[name]):
            result[name] = section[name]
        else:
            raise InvalidConfiguration(f"{path}.{name} has an impossible value; allowed: {key.allowed}")
    return result


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:64]
