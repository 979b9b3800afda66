"""After kill -9 at any moment of a harvest nothing of it is lost, doubled or half visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration import archive
from tests.integration.killing import AT_CALLS, AT_STEPS, LEAF, Doomed, each_store
from tests.integration.server import Server, object_uids

from . import test_harvest, test_harvest_dicomweb
from .test_harvest import difference

# And before and after each question to the other archive.
_STEPS = AT_CALLS + """
from orthanc_inventory.sources.remote.source import RemoteSource
at(RemoteSource, '_ask', always, lambda *arguments: step("before a question"))
at(RemoteSource, '_ask', always, lambda *arguments: step("after a question"), after=True)
"""

by_each_way = pytest.mark.parametrize("by", [test_harvest, test_harvest_dicomweb], ids=["DIMSE", "DICOMweb"])


@pytest.fixture
def make_doomed(make_server: Callable[..., Server], store: str, by: Any) -> Callable[..., tuple[Server, Doomed]]:
    """The archive that is harvested, and who harvests it."""

    def make(text: str, studies: int, **inventory: Any) -> tuple[Server, Doomed]:
        other, own = by.start(make_server, *archive.files(studies))
        own.configuration["Inventory"] |= {"MaxRecordsPerInstance": LEAF, "StoreIn": store, **inventory}
        return other, Doomed(own, text)

    return make


@pytest.mark.long
@each_store
@by_each_way
def test_a_harvest_that_is_killed_at_any_of_its_steps_goes_on_by_itself(
    make_doomed: Callable[..., tuple[Server, Doomed]], by: Any
) -> None:
    _, doomed = make_doomed(AT_STEPS, 3)
    passed = doomed.run_at_each_step(3, 2, Source=by.SOURCE)
    assert passed.count("before a study is read") == 3
    assert passed.count("after an instance is stored") + passed.count("after a file has its name") == 3


@each_store
@by_each_way
@pytest.mark.parametrize("moments", [3, pytest.param(20, marks=pytest.mark.long)])
def test_a_harvest_that_is_killed_at_random_goes_on_by_itself(
    make_doomed: Callable[..., tuple[Server, Doomed]], by: Any, moments: int
) -> None:
    other, doomed = make_doomed(_STEPS, 9, ThrottleDelay=5)
    own = doomed.server
    expected = sorted(
        (f"P{number:04}", archive.uid(number, 1), archive.uid(number, 1, 1), archive.uid(number, 1, 1, 1))
        for number in range(1, 10)
    )
    for _ in doomed.at_random(moments, studies=9, leaves=5, Source=by.SOURCE):
        [root] = own.get("/inventories?expand")
        assert object_uids(own.studies(root)) == expected
    doomed.arm(0)
    _, summary = test_harvest.harvest(own, Source=by.SOURCE)
    assert "before a question" in doomed.steps()
    assert difference(other, own, summary) == []
