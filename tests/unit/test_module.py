"""What is written has what PS3.3 Table C.38.1-1 demands; the oracle is the copy of the standard's tables in highdicom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.terms import LEVELS

from .memory import MemorySource, MemoryStore, study

STUDIES = ("InventoriedStudiesSequence",)
SERIES_OF = STUDIES + ("InventoriedSeriesSequence",)
INSTANCES_OF = SERIES_OF + ("InventoriedInstancesSequence",)


def standard_rows(*modules: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Path, keyword and type of each row."""
    tables = json.loads(files("highdicom").joinpath("_standard/module_attribute_map.json").read_text())
    for module in modules:
        for row in tables[module]:
            yield tuple(row["path"]), row["keyword"], row["type"]


def test_the_modules_are_those_of_the_iod() -> None:
    iods = json.loads(files("highdicom").joinpath("_standard/iod_module_map.json").read_text())
    assert {row["key"] for row in iods["inventory"]} == {"general-equipment", "inventory", "sop-common"}


def items(data_set: Dataset, path: tuple[str, ...]) -> list[Dataset]:
    """All items at a path; none where a sequence on the way is absent or empty."""
    found = [data_set]
    for keyword in path:
        found = [item for entry in found for item in (entry.get(keyword) or [])]
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("scope", [{}, {"PatientID": "P*", "ModalitiesInStudy": "CT\\MR"}])
def test_each_instance_has_what_is_required(
    level: str, leaves: bool, scope: dict[str, str], add_transaction: Callable[..., Any], make_producer: Callable[..., Any]
) -> None:
    source, store = MemorySource(*(study(number, 2, 2) for number in range(4))), MemoryStore()
    transaction = add_transaction(level, scope=scope)
    make_producer(transaction, source, store, records_per_instance=1 if leaves else 1000).run(lambda: None)
    assert len(store.files) == (5 if leaves else 1)
    seen = set()
    for file in store.files.values():
        data_set = pydicom.dcmread(BytesIO(file))
        for path, keyword, kind in standard_rows("inventory", "general-equipment", "sop-common"):
            for item in items(data_set, path):
                seen.add(path)
                if kind in ("1", "2"):
                    assert keyword in item, (path, keyword)
                if kind == "1":
                    assert not item[keyword].is_empty, (path, keyword)
    # The check is no better than what it looked at.
    expected = {(), STUDIES, ("StudyAccessEndPointsSequence",), ("InventoryAccessEndPointsSequence",)}
    expected |= {SERIES_OF} if level != "STUDY" else set()
    expected |= {INSTANCES_OF, INSTANCES_OF + ("FileAccessSequence",)} if level == "INSTANCE" else set()
    expected |= {("IncorporatedInventoryInstanceSequence",)} if leaves else set()
    expected |= {("ScopeOfInventorySequence",)} if scope else set()
    assert expected <= seen


def test_only_the_levels_asked_for_are_there(
    add_transaction: Callable[..., Any], make_producer: Callable[..., Any]
) -> None:
    for level, below in (("STUDY", set()), ("SERIES", {SERIES_OF}), ("INSTANCE", {SERIES_OF, INSTANCES_OF})):
        store = MemoryStore()
        make_producer(add_transaction(level), MemorySource(study(1)), store).run(lambda: None)
        [file] = store.files.values()
        data_set = pydicom.dcmread(BytesIO(file))
        assert {path for path in (SERIES_OF, INSTANCES_OF) if items(data_set, path)} == below
        # Type 2C: present where the level demands the items, and only there.
        assert ("InventoriedSeriesSequence" in data_set.InventoriedStudiesSequence[0]) is bool(below)
