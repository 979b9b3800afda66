"""Which inventories are to go: too many of a kind, or too old."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest

from orthanc_inventory.production.journal_rows import KeptInventory
from orthanc_inventory.production.retention import outdated

NOW = datetime.datetime(2026, 3, 31, 12, tzinfo=datetime.timezone.utc)
_NUMBERS = itertools.count(1)


def inventory(created: str = "20260331T000000", **document: Any) -> KeptInventory:
    number = next(_NUMBERS)
    values = {"InventoryLevel": "STUDY", "Scope": {}, "InventoryCompletionStatus": "COMPLETE", "CreationTime": created}
    return KeptInventory(f"1.{number}", f"2.{number}", {**values, **document}, number)


def test_without_limits_all_stay() -> None:
    assert outdated([inventory("19990101T000000") for _ in range(5)], 0, 0, NOW, {}) == []


def test_the_newest_of_each_level_and_scope_stay() -> None:
    kinds = [{}, {"InventoryLevel": "INSTANCE"}, {"Scope": {"PatientID": "P*", "StudyDate": "2020-"}}]
    old, middle, new = ([inventory(**kind) for kind in kinds] for _ in range(3))
    assert outdated([*old, *middle, *new], 2, 0, NOW, {}) == old[::-1]
    assert outdated([*old, *middle, *new], 1, 0, NOW, {}) == [*middle[::-1], *old[::-1]]
    assert outdated([*old, *middle, *new], 3, 0, NOW, {}) == []


def test_the_order_of_the_keys_of_a_scope_means_nothing() -> None:
    scopes = {"PatientID": "P", "StudyDate": "20200101"}, {"StudyDate": "20200101", "PatientID": "P"}
    one, other = (inventory(Scope=scope) for scope in scopes)
    assert outdated([one, other], 1, 0, NOW, {}) == [one]


def test_the_newest_that_is_complete_stays() -> None:
    older, complete = inventory(), inventory()
    partial = [inventory(InventoryCompletionStatus="PARTIAL") for _ in range(3)]
    assert outdated([older, complete, *partial], 2, 0, NOW, {}) == [partial[0], older]


@pytest.mark.parametrize(
    ("created", "goes"), [("20260301T115959", True), ("20260301T120001", False), ("20251231T235959", True)]
)
def test_what_is_too_old_goes(created: str, goes: bool) -> None:
    entry = inventory(created)
    assert outdated([entry], 0, 30, NOW, {}) == ([entry] if goes else [])
    assert outdated([entry], 5, 30, NOW, {}) == ([entry] if goes else [])


@pytest.mark.parametrize("whose", [{"Origin": "Import"}, {"Shared": True}], ids=str)
def test_what_came_from_elsewhere_or_may_be_anothers_stays_and_does_not_count(whose: dict[str, Any]) -> None:
    foreign = [inventory("19990101T000000", **whose) for _ in range(3)]
    own = inventory()
    assert outdated([own, *foreign], 1, 30, NOW, {}) == []


def test_a_schedule_that_says_how_many_stay_is_a_kind_of_its_own() -> None:
    nightly = [inventory(Schedule="nightly") for _ in range(4)]
    weekly = [inventory(Schedule="weekly", Scope={"PatientID": "P*"}) for _ in range(3)]
    other = [inventory(Schedule="other") for _ in range(2)]
    by_hand = [inventory(Schedule=None), inventory()]
    every = [*nightly, *weekly, *other, *by_hand]
    assert outdated(every, 0, 0, NOW, {"nightly": 2, "weekly": 1}) == [*weekly[1::-1], *nightly[1::-1]]
    # Retention.Keep holds for the others, among which those of the two schedules do not count.
    assert outdated(every, 3, 0, NOW, {"nightly": 2, "weekly": 3}) == [other[0], *nightly[1::-1]]
    assert outdated(every, 9, 0, NOW, {}) == []


def test_the_newest_complete_one_of_a_schedule_stays() -> None:
    complete = inventory(Schedule="nightly")
    partial = [inventory(Schedule="nightly", InventoryCompletionStatus="PARTIAL") for _ in range(3)]
    assert outdated([complete, *partial], 0, 0, NOW, {"nightly": 1}) == partial[1::-1]
