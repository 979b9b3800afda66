"""After kill -9 at any moment of a harvest nothing of it is lost, doubled or half visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration import archive
from tests.integration.killing import AT_CALLS, LEAF, Doomed, each_store
from tests.integration.server import Server, object_uids

from . import test_harvest, test_harvest_dicomweb
from .test_harvest import difference

_STUDIES, _LEAVES = 9, 5
# And before and after each question to the other archive.
_STEPS = AT_CALLS + """
from orthanc_inventory.sources.remote.source import RemoteSource
at(RemoteSource, '_ask', always, lambda *arguments: step("before a question"))
at(RemoteSource, '_ask', always, lambda *arguments: step("after a question"), after=True)
"""


@each_store
@pytest.mark.parametrize("by", [test_harvest, test_harvest_dicomweb], ids=["DIMSE", "DICOMweb"])
@pytest.mark.parametrize("moments", [3, pytest.param(20, marks=pytest.mark.long)])
def test_a_harvest_that_is_killed_at_random_goes_on_by_itself(
    make_server: Callable[..., Server], store: str, by: Any, moments: int
) -> None:
    other, own = by.start(make_server, *archive.files(_STUDIES))
    own.configuration["Inventory"] |= {"MaxRecordsPerInstance": LEAF, "StoreIn": store, "ThrottleDelay": 5}
    doomed = Doomed(own, _STEPS)
    expected = sorted(
        (f"P{number:04}", archive.uid(number, 1), archive.uid(number, 1, 1), archive.uid(number, 1, 1, 1))
        for number in range(1, _STUDIES + 1)
    )
    for _ in doomed.at_random(moments, _STUDIES, _LEAVES, Source=by.SOURCE):
        [root] = own.get("/inventories?expand")
        assert object_uids(own.studies(root)) == expected
    doomed.arm(0)
    _, summary = test_harvest.harvest(own, Source=by.SOURCE)
    assert "before a question" in doomed.steps()
    assert difference(other, own, summary) == []
