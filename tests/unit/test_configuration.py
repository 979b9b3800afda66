"""The section Inventory: defaults, and one line for each thing that is not allowed."""

from __future__ import annotations

from typing import Any

import pytest

from orthanc_inventory.config import KEYS, SCHEDULE_KEYS, InvalidConfiguration, Key, read_configuration


def test_without_a_section_all_is_default() -> None:
    configuration = read_configuration({})
    assert configuration["Enable"] is True and configuration["StoreIn"] == "Orthanc" and configuration["Level"] == "INSTANCE"
    assert configuration["Users"] == {"Read": [], "Manage": []} and configuration["Dimse"]["Port"] == 11113
    assert set(configuration) == set(KEYS) and configuration == read_configuration({"Inventory": {}})


def test_each_default_is_allowed() -> None:
    def check(keys: Any) -> None:
        for name, key in keys.items():
            if isinstance(key, Key):
                assert key.accepts(key.default) or (keys is SCHEDULE_KEYS and name == "Name"), name
            else:
                check(key)

    check(KEYS)
    check(SCHEDULE_KEYS)


def test_defaults_are_not_shared() -> None:
    read_configuration({})["Users"]["Read"].append("alice")
    assert read_configuration({})["Users"]["Read"] == []


@pytest.mark.parametrize(
    "section",
    [
        {"StateDirectory": "inventory", "StoreIn": "Directory", "Level": "STUDY", "MaxRecordsPerInstance": 1},
        {"FileAccess": {"BaseUri": "https://pacs.example/orthanc/"}, "RetrieveUrl": "http://[::1]:8042/dicom-web/"},
        {"FileAccess": {"BaseUri": "file:///archive/"}, "RetrieveAeTitle": "MY PACS", "Timezone": "-0330"},
        {"Users": {"Read": ["alice"], "Manage": ["bob"]}, "ThrottleDelay": 10, "PatientIdentifiers": False},
        {"Schedules": [{"Name": "nightly", "Days": ["Monday-Friday", "Sunday"], "Hours": ["22-24", "0-5"], "Every": "1d",
                        "Mode": "Incremental", "Scope": {"ModalitiesInStudy": "CT"}, "Keep": 7}]},
        {"Schedules": [{"Name": "a.b-c_1", "Days": "Saturday-Monday", "Hours": ["22-4", "12-13"], "Every": "12h"}]},
        {"Notify": {"Url": "https://hooks.example:8443/inventory?token=x"}},
        {"Notify": {"Url": "http://[::1]:8080"}},
        {"Dimse": {"Enable": True, "AeTitle": "INV", "Port": 104, "BindAddress": "::1"}, "DicomWeb": {"Enable": False}},
    ],
)
def test_what_is_allowed_is_taken(section: dict[str, Any]) -> None:
    configuration = read_configuration({"Inventory": section, "AuthenticationEnabled": True})
    for name, value in section.items():
        if name == "Schedules":
            assert value[0].items() <= configuration[name][0].items()
        elif isinstance(value, dict):
            assert value.items() <= configuration[name].items()
        else:
            assert configuration[name] == value


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ([], ["Inventory", "object"]),
        ({"Enabled": True}, ["Inventory.Enabled", "unknown", "Enable"]),
        ({"a\nb": True}, ["Inventory.a?b", "unknown"]),
        ({"Enable": 1}, ["Inventory.Enable", "true or false"]),
        ({"Enable": "true"}, ["Inventory.Enable", "true or false"]),
        ({"StateDirectory": 1}, ["Inventory.StateDirectory", "folder"]),
        ({"StoreIn": "Disk"}, ["Inventory.StoreIn", '"Orthanc" or "Directory"']),
        ({"Level": "PATIENT"}, ["Inventory.Level", "STUDY", "SERIES", "INSTANCE"]),
        ({"Level": []}, ["Inventory.Level", "STUDY"]),
        ({"MaxRecordsPerInstance": 0}, ["Inventory.MaxRecordsPerInstance", "from 1"]),
        ({"MaxRecordsPerInstance": True}, ["Inventory.MaxRecordsPerInstance", "integer"]),
        ({"MaxRecordsPerInstance": 2.5}, ["Inventory.MaxRecordsPerInstance", "integer"]),
        ({"FileAccess": "http://x/"}, ["Inventory.FileAccess", "object"]),
        ({"FileAccess": {"BaseUri": "http://x"}}, ["Inventory.FileAccess.BaseUri", "/"]),
        ({"FileAccess": {"BaseUri": "x/"}}, ["Inventory.FileAccess.BaseUri", "absolute"]),
        ({"FileAccess": {"BaseUri": "http://alice:secret@x/"}}, ["Inventory.FileAccess.BaseUri", "password"]),
        ({"FileAccess": {"Uri": "x"}}, ["Inventory.FileAccess.Uri", "BaseUri"]),
        ({"RetrieveAeTitle": "A" * 17}, ["Inventory.RetrieveAeTitle", "16"]),
        ({"RetrieveAeTitle": "A\\B"}, ["Inventory.RetrieveAeTitle"]),
        ({"Timezone": "CET"}, ["Inventory.Timezone", "+0100"]),
        ({"Users": {"Read": "alice"}}, ["Inventory.Users.Read", "list"]),
        ({"Users": {"Write": []}}, ["Inventory.Users.Write", "Read", "Manage"]),
        ({"ThrottleDelay": -1}, ["Inventory.ThrottleDelay", "from 0"]),
        ({"Retention": {"Keep": "7"}}, ["Inventory.Retention.Keep", "integer"]),
        ({"Schedules": {}}, ["Inventory.Schedules", "list"]),
        ({"Schedules": ["nightly"]}, ["Inventory.Schedules[0]", "object"]),
        ({"Schedules": [{}]}, ["Inventory.Schedules[0].Name", "missing"]),
        ({"Schedules": [{"Name": "a"}, {"Name": "a"}]}, ["Inventory.Schedules[1].Name", "twice"]),
        ({"Schedules": [{"Name": "a", "Hours": ["25-26"]}]}, ["Inventory.Schedules[0].Hours"]),
        ({"Schedules": [{"Name": "a", "Hours": ["5-5"]}]}, ["Inventory.Schedules[0].Hours", "0 to 24"]),
        ({"Schedules": [{"Name": "a", "Hours": ["05-5"]}]}, ["Inventory.Schedules[0].Hours"]),
        ({"Schedules": [{"Name": "a", "Hours": ["1-5", "25-3"]}]}, ["Inventory.Schedules[0].Hours"]),
        ({"Schedules": [{"Name": "a", "Hours": []}]}, ["Inventory.Schedules[0].Hours"]),
        ({"Schedules": [{"Name": "a", "Hours": "1-5"}]}, ["Inventory.Schedules[0].Hours", "list"]),
        ({"Schedules": [{"Name": "a", "Hours": [1, 5]}]}, ["Inventory.Schedules[0].Hours"]),
        ({"Schedules": [{"Name": "a", "Days": []}]}, ["Inventory.Schedules[0].Days"]),
        ({"Schedules": [{"Name": "a", "Days": 5}]}, ["Inventory.Schedules[0].Days"]),
        ({"Schedules": [{"Name": "a", "Every": "0d"}]}, ["Inventory.Schedules[0].Every"]),
        ({"Schedules": [{"Name": ".."}]}, ["Inventory.Schedules[0].Name", "letters"]),
        ({"Schedules": [{"Name": "a/b"}]}, ["Inventory.Schedules[0].Name", "letters"]),
        ({"Notify": {"Url": "hooks.example"}}, ["Inventory.Notify.Url", "http"]),
        ({"Notify": {"Url": "file:///etc/passwd"}}, ["Inventory.Notify.Url", "http"]),
        ({"Notify": {"Url": "http://"}}, ["Inventory.Notify.Url", "http"]),
        ({"Notify": {"Url": "http://host:99999/"}}, ["Inventory.Notify.Url", "http"]),
        ({"Notify": {"Url": "http://host/\r\nX: y"}}, ["Inventory.Notify.Url", "http"]),
        ({"Notify": {"Url": "https://alice:secret@host/"}}, ["Inventory.Notify.Url", "password"]),
        ({"Notify": "http://host/"}, ["Inventory.Notify", "object"]),
        ({"Schedules": [{"Name": "a", "Days": "Mon"}]}, ["Inventory.Schedules[0].Days", "Monday"]),
        ({"Schedules": [{"Name": "a", "Every": "daily"}]}, ["Inventory.Schedules[0].Every", "1d"]),
        ({"Schedules": [{"Name": "a", "Scope": {"Nonsense": "x"}}]}, ["Inventory.Schedules[0].Scope.Nonsense", "keyword"]),
        ({"Dimse": {"Port": 70000}}, ["Inventory.Dimse.Port", "65535"]),
        ({"Dimse": {"BindAddress": "localhost"}}, ["Inventory.Dimse.BindAddress", "IP address"]),
        ({"DicomWeb": {"Enable": None}}, ["Inventory.DicomWeb.Enable", "true or false"]),
    ],
)
def test_what_is_not_allowed_is_named(section: Any, words: list[str]) -> None:
    with pytest.raises(InvalidConfiguration) as refusal:
        read_configuration({"Inventory": section})
    message = str(refusal.value)
    assert all(word in message for word in words) and "\n" not in message
    assert "secret" not in message


@pytest.mark.parametrize("role", ["Read", "Manage"])
def test_users_need_that_orthanc_checks_their_passwords(role: str) -> None:
    section = {"Users": {role: ["alice"]}}
    for checked in ({"AuthenticationEnabled": True}, {"RemoteAccessAllowed": True}):
        assert read_configuration({"Inventory": section, **checked})["Users"][role] == ["alice"]
    for unchecked in ({}, {"AuthenticationEnabled": False, "RemoteAccessAllowed": True}):
        with pytest.raises(InvalidConfiguration, match="^Inventory.Users needs Orthanc's AuthenticationEnabled"):
            read_configuration({"Inventory": section, **unchecked})
