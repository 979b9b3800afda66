"""Values as their VR can hold them (PS3.5 Table 6.2-1)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies
from pydicom.config import RAISE
from pydicom.valuerep import validate_value

from orthanc_inventory.dicom.values import FITTING, is_uid, legal_value, without_padding

_VRS = ["AE", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "TM", "UI", "UR"]
# Characters near to what each VR allows find more than text of any kind.
_NEAR = strategies.text("0123456789.:-+eEAZaz_ ^=\\/*\0\n\u00e4\u5c71\ud800", max_size=80)


@pytest.mark.parametrize("vr", _VRS)
@settings(deadline=None, max_examples=500)
@given(value=_NEAR | strategies.text(strategies.characters(), max_size=80))
def test_a_legal_value_is_legal_and_stays_as_it_is(vr: str, value: str) -> None:
    legal = legal_value(vr, without_padding(value))
    # Objects keep the UID that they have, even one with a zero in front of a component.
    validate_value(vr, re.sub(r"(^|\.)0+(?=[0-9])", r"\1", legal) if vr == "UI" else legal, RAISE)
    assert legal_value(vr, legal) == legal
    legal.encode()
    if vr in FITTING and FITTING[vr].fullmatch(value):
        assert legal == value


@pytest.mark.parametrize(
    ("vr", "value", "legal"),
    [
        ("DA", "20240131", "20240131"),
        ("DA", "2024-01-31", "20240131"),
        ("DA", "2024/01-31", ""),
        ("DA", "20240000", ""),
        ("DA", "00000101", ""),
        ("TM", "10", "10"),
        ("TM", "101530.1234567", "101530.123456"),
        ("TM", "10:15", "1015"),
        ("TM", "24", ""),
        ("TM", "235960", "235960"),
        ("DT", "20240131101530.5+0100", "20240131101530.5+0100"),
        ("DT", "2024-01-31", ""),
        ("IS", " 12 ", "12"),
        ("IS", "12.0", "12"),
        ("IS", "12.5", ""),
        ("IS", "-2147483648", "-2147483648"),
        ("IS", "2147483648", ""),
        ("IS", "\u0661", ""),
        ("DS", "1.23456789012345678", "1.23456789"),
        ("DS", "abc", ""),
        ("CS", "mr", "MR"),
        ("CS", "M-R", "M_R"),
        ("LO", "a\tb", "a b"),
        ("LT", "a\nb\x07c\\d", "a\nb c\\d"),
        ("PN", "Doe^John   ", "Doe^John"),
        ("PN", "Doe^John==", "Doe^John"),
        ("SH", "1234567890123456789", "1234567890123456"),
        ("UI", "1.2.840", "1.2.840"),
        ("UI", "1.2.", ""),
        ("UI", "1." + "2" * 63, ""),
        ("UR", "http://pacs/a?b=1", "http://pacs/a?b=1"),
        ("UR", "http://pacs/\u00e4", ""),
        ("AE", " ORTHANC ", "ORTHANC"),
        ("IS", "007", "007"),
        ("IS", "9" * 5000, ""),
        ("IS", "2147483648", ""),
        ("DS", "9" * 5000, ""),
        ("DS", "12.", "12."),
        ("DS", ".", ""),
        ("DS", "0." + "3" * 300_000, "0.3333333333"),
        # In time that grows with the square of the digits, this would take an hour.
        ("DS", "1" * 300_000 + "x", ""),
    ],
)
def test_values_are_brought_into_form(vr: str, value: str, legal: str) -> None:
    assert legal_value(vr, value) == legal


def test_parts_of_multiple_values_are_looked_at_one_by_one() -> None:
    assert legal_value("CS", "ct\\\\MR ", multiple=True) == "CT\\MR"
    assert legal_value("PN", "A^B\\C^D", multiple=True) == "A^B\\C^D"
    assert legal_value("PN", "A^B\\C^D") == "A^B/C^D"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.2.840.10008", True), ("2.25.0", True), ("1.02", False), ("01.2", False), ("1..2", False), (".1", False),
     ("", False), ("1.2\n", False), ("1." + "2" * 62, True), ("1." + "2" * 63, False), ("\u0661.2", False)],
)
def test_uids_are_recognised(text: str, expected: bool) -> None:
    assert is_uid(text) is expected
