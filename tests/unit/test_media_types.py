"""Which representation a request selects (PS3.18 8.7.8, RFC 9110 12.5.1)."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from orthanc_inventory.host import Request, RestError
from orthanc_inventory.services.dicomweb.media_types import media_types, select
from orthanc_inventory.services.dicomweb.retrieve import OFFERS

JSON, FILE, XML = "application/dicom+json", "application/dicom", "application/dicom+xml"
EXPLICIT, DEFLATED, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2"


def selected(accept: str, parameter: str = "") -> tuple[str, bool, str]:
    query = {"accept": parameter} if parameter else {}
    offer, transfer_syntax = select(Request("GET", "/", query, {"accept": accept}, b""), OFFERS)
    return offer.type, offer.multipart, transfer_syntax


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", (JSON, False, "")),
        ("*/*", (JSON, False, "")),
        (FILE, (FILE, False, EXPLICIT)),
        (f"{FILE};transfer-syntax=*", (FILE, False, "*")),
        (f"{FILE};transfer-syntax={DEFLATED}", (FILE, False, DEFLATED)),
        (f"{FILE};transfer-syntax={EXPLICIT};q=0.5, {FILE};transfer-syntax={DEFLATED};q=0.9", (FILE, False, DEFLATED)),
        (f"{FILE};transfer-syntax={DEFLATED};q=0.5, {FILE};q=0.9", (FILE, False, EXPLICIT)),
        (f"{FILE};transfer-syntax={IMPLICIT}, {FILE};transfer-syntax={DEFLATED};q=0.1", (FILE, False, DEFLATED)),
        (f"{FILE};transfer-syntax={EXPLICIT};q=0, {FILE}, {XML};q=0.1", (XML, False, "")),
        (f"{JSON};q=0, application/*", (FILE, False, EXPLICIT)),
        (f"*/*, {JSON};q=0, {FILE};q=0", (FILE, True, EXPLICIT)),
        ("multipart/*", (FILE, True, EXPLICIT)),
        (f'multipart/related;type="{XML}"', (XML, True, "")),
        (f"multipart/related; type={FILE}; transfer-syntax={DEFLATED}", (FILE, True, DEFLATED)),
        (f'multipart/related; type="{FILE}";q=0.2, multipart/related; type="{XML}";q=0.3', (XML, True, "")),
        (f'text/html;x="{JSON}, {FILE}", {XML}', (XML, False, "")),
        (f"{XML};q=0.001, {FILE};q=0.0", (XML, False, "")),
        ("application/json;q=0.9, application/dicom+json;q=0.8", ("application/json", False, "")),
    ],
)
def test_the_one_that_is_accepted_most(accept: str, expected: tuple[str, bool, str]) -> None:
    assert selected(accept) == expected


@pytest.mark.parametrize("accept", ["text/html", f"{FILE};transfer-syntax=1.2.3", "*/*;q=0", f"{JSON};q=1.5", "a", '"', ";;"])
def test_none(accept: str) -> None:
    with pytest.raises(RestError) as error:
        selected(accept)
    assert error.value.status == 406


def test_the_parameter_comes_before_the_header() -> None:
    assert selected(JSON, "application/dicom+xml") == selected(JSON, "application%2Fdicom%2Bxml;q=0.1") == (XML, False, "")
    assert selected(JSON, "text/html") == (JSON, False, "")


@given(strategies.text(alphabet='application/dicom+json*;,="\\ q.01', max_size=80))
def test_any_text_selects_something_or_nothing(text: str) -> None:
    assert all(entry.type for entry in media_types(text))
    try:
        assert selected(text)[0].startswith("application/")
    except RestError as error:
        assert error.status == 406


def test_a_type_of_many_parameters_is_read_in_time_that_grows_with_their_number() -> None:
    number = 100_000
    [found] = media_types(f"{FILE}{''.join(f';p{place}={place}' for place in range(number))}")
    assert len(found.parameters) == number
