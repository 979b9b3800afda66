"""The README names what there is, all of it, and nothing else: configuration, commands, options, variables, metrics."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orthanc_inventory import cli
from orthanc_inventory.config import KEYS, Key
from orthanc_inventory.services.metrics import METRICS, SCHEDULE_METRICS

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
CODE = "\n".join(path.read_text() for path in (REPOSITORY / "plugin").rglob("*.py"))


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def parsers() -> dict[str, argparse.ArgumentParser]:
    [commands] = [action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(commands.choices)


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings if option.startswith("--")}


def test_every_key_of_the_configuration_has_a_row() -> None:
    def names(keys: Any, above: str = "") -> Iterator[str]:
        for name, key in keys.items():
            if isinstance(key, Key):
                yield above + name
            else:
                yield from names(key, f"{above}{name}.")

    rows = re.findall(r"^\| (`[^|]*) \|", section("Configuration"), re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row)) == sorted(names(KEYS))


def test_keys_that_the_text_names_exist() -> None:
    known = {name for name, key in KEYS.items() if not isinstance(key, Key)}
    for name, key in re.findall(r"`(?:Inventory\.)?([A-Z]\w+)\.([A-Z]\w+)`", README):
        # Orthanc's own section of that name has this one.
        if name in known and (name, key) != ("DicomWeb", "Root"):
            assert key in KEYS[name], f"{name}.{key}"
    for text in re.findall(r'"Inventory": \{("\w+)"', README):
        assert text[1:] in KEYS


def test_every_metric_has_a_row_and_no_other_is_named() -> None:
    rows = re.findall(r"^\| `(orthanc_inventory_\w+)` \| ([^|]+) \|$", section("Routes"), re.MULTILINE)
    assert dict(rows) == METRICS | SCHEDULE_METRICS
    assert set(re.findall(r"\borthanc_inventory_\w+", README)) == METRICS.keys() | SCHEDULE_METRICS.keys()


def test_every_command_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)[^`]*` \|", section("Command line"), re.MULTILINE)
    assert rows == list(parsers())


def test_every_option_is_named_and_no_other() -> None:
    # curl, and tests/run.sh.
    of_others = {"--data-binary", "--long"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) - of_others
    known = set().union(*map(options, parsers().values()))
    assert named - known == set() and known - named == set()


@pytest.mark.parametrize("command", parsers())
def test_the_options_in_the_row_of_a_command_are_its_own(command: str) -> None:
    [row] = re.findall(rf"^\| `{command}\b.*$", section("Command line"), re.MULTILINE)
    assert set(re.findall(r"--[a-z][a-z-]*", row)) <= options(parsers()[command])


def test_variables_of_the_environment_are_those_that_are_read() -> None:
    pattern = r"\bORTHANC_INVENTORY_[A-Z]+\b"
    assert set(re.findall(pattern, README)) == set(re.findall(pattern, CODE)) != set()
