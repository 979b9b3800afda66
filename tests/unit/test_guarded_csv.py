"""No cell is a formula, and each comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies

from orthanc_inventory.reports.guarded_csv import guard, unguard


@pytest.mark.parametrize("text", [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "＝1", "＋1", "－1", "＠1", "=", "\t", "'=1", "'", "''",
])
def test_what_could_be_computed_is_guarded(text: str) -> None:
    assert guard(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", " ", "Müller^山田", "20200101", "1.2.840", "a=b", "O'Neil", "http://h/?a=b", "\\-1"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guard(text) == text


@given(strategies.text() | strategies.text(alphabet="'=+-@\t\r\n a"))
@example("''=1")
def test_a_guard_can_be_taken_away(text: str) -> None:
    assert unguard(guard(text)) == text
    assert guard(text).lstrip()[:1] not in {"=", "+", "-", "@"}
