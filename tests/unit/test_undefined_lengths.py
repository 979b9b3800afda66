"""Sequences and items of undefined length end where their delimiters stand, and not where bytes of a value look like them."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, UID

import orthanc_inventory
from orthanc_inventory.dicom import decoder
from orthanc_inventory.dicom.decoder import MAXIMUM_DEPTH, EncodedDataSet, InvalidInventory, Place
from orthanc_inventory.dicom.elements import LONG_FORM, element_header, item_header

from .inventories import file, opened, study, written
from .test_decoder import ITEM, ITEM_END, SEQUENCE, SEQUENCE_END, UNDEFINED, nested, records, rich_file

PATIENCE = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))


class Items(NamedTuple):
    """A sequence: is its length undefined, is it wrapped as UN, and its items, each with the same question and its elements."""

    undefined: bool
    unknown: bool
    items: list[tuple[bool, Elements]]


Elements = list[tuple[int, str, "bytes | Items"]]

# Tags with their VRs; a private sequence is one that no data dictionary knows.
PLAIN = {
    0x00080016: "UI", 0x00080018: "UI", 0x00080060: "CS", 0x00080409: "UR", 0x0008040D: "UV", 0x00091000: "OB",
    0x00100020: "LO", 0x00280010: "US", 0x00FE1000: "LT", 0x7FE1FFFE: "UN",
}
SEQUENCES = (0x0008041A, 0x00080423, 0x00080424, 0x00080425, 0x00091001, 0x0040A043, 0x00FE1001)
FRAGMENTS = [
    ITEM_END, SEQUENCE_END, ITEM_END + SEQUENCE_END, ITEM + UNDEFINED, ITEM_END[:4], SEQUENCE_END[:6], SEQUENCE + UNDEFINED,
    b"\x08\0\x18\0UI\x04\x001.2\0", b"\x08\0\x18\0\x04\0\0\x001.2\0", b"CT", bytes(250), bytes(300),
]
FRAGMENT = strategies.sampled_from(FRAGMENTS) | strategies.binary(min_size=2, max_size=2)
VALUES = strategies.lists(FRAGMENT, max_size=4).map(b"".join)


def elements(depth: int) -> strategies.SearchStrategy[Elements]:
    kinds: strategies.SearchStrategy[Any] = strategies.sampled_from(sorted(PLAIN.items())).flatmap(
        lambda plain: VALUES.map(lambda value: (*plain, value))
    )
    if depth:
        item = strategies.tuples(strategies.booleans(), elements(depth - 1))
        often, seldom = strategies.sampled_from([True] * 3 + [False]), strategies.sampled_from([False] * 5 + [True])
        sequence = strategies.builds(Items, often, seldom, strategies.lists(item, max_size=3))
        kinds |= strategies.tuples(strategies.sampled_from(SEQUENCES), strategies.just("SQ"), sequence)
    return strategies.lists(kinds, max_size=5, unique_by=lambda element: element[0]).map(sorted)


def encoded(content: Elements, explicit: bool) -> bytes:
    result = b""
    for tag, vr, value in content:
        inner, undefined = explicit, False
        if isinstance(value, Items):
            # Without a VR only an undefined length makes an unknown element a sequence.
            undefined = value.undefined or value.unknown or (not explicit and tag in (0x00091001, 0x00FE1001))
            vr, inner = ("UN", False) if value.unknown else (vr, explicit)
            body = b"".join(_item(*entry, inner) for entry in value.items) + SEQUENCE_END * undefined
        else:
            body = value
        if not explicit:
            vr = "  "
        elif vr not in LONG_FORM:
            body = body[:0xFFFE]
        length = 0xFFFFFFFF if undefined else len(body)
        if explicit:
            result += element_header(tag, vr, length) + body
        else:
            result += element_header(tag, "UI", 0)[:4] + length.to_bytes(4, "little") + body
    return result


def _item(undefined: bool, content: Elements, explicit: bool) -> bytes:
    body = encoded(content, explicit)
    return ITEM + UNDEFINED + body + ITEM_END if undefined else item_header(len(body)) + body


def expected(content: Elements) -> list[Any]:
    return [
        (tag, [expected(below) for _, below in value.items] if isinstance(value, Items) else value) for tag, _, value in content
    ]


def found(data_set: EncodedDataSet, place: Place, ahead: bool) -> list[Any]:
    """What is read; ``ahead``: all elements of an item before any item in it."""
    result: list[Any] = []
    walk = data_set.elements(place)
    for element in list(walk) if ahead else walk:
        tag, vr, start, stop, _ = element
        if vr == "SQ":
            items = data_set.items(element)
            result.append((tag, [found(data_set, item, ahead) for item in (list(items) if ahead else items)]))
        else:
            result.append((tag, data_set.buffer[start:stop]))
    return result


def outcome(content: bytes, explicit: bool, ahead: bool) -> Any:
    """What is read, or what is told of it."""
    try:
        return found(EncodedDataSet(content, "x"), (0, len(content), explicit), ahead)
    except InvalidInventory as error:
        return str(error)


@contextmanager
def element_by_element() -> Iterator[None]:
    """The decoder without regular expressions: nothing is usual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "usual_elements", lambda explicit: re.compile(b"").match)
        patch.setattr(decoder, "usual_item", lambda explicit: lambda *place: None)
        yield


@PATIENCE
@given(content=elements(4), explicit=strategies.booleans(), ahead=strategies.booleans())
def test_whatever_the_values_hold_every_element_is_found(content: Elements, explicit: bool, ahead: bool) -> None:
    assert outcome(encoded(content, explicit), explicit, ahead) == expected(content)


@PATIENCE
@given(data=strategies.data(), content=elements(3), explicit=strategies.booleans(), ahead=strategies.booleans())
def test_damage_is_found_as_it_is_element_by_element(
    data: strategies.DataObject, content: Elements, explicit: bool, ahead: bool
) -> None:
    damaged = bytearray(encoded(content, explicit) or b"\0\0")
    for place in data.draw(strategies.lists(strategies.integers(0, len(damaged) - 1), max_size=3)):
        damaged[place] = data.draw(strategies.sampled_from([0, 2, 0xFE, 0xFF, damaged[place] ^ 1, damaged[place] ^ 0x80]))
    damaged = damaged[: data.draw(strategies.integers(0, len(damaged)))] if data.draw(strategies.booleans()) else damaged
    read = outcome(bytes(damaged), explicit, ahead)
    with element_by_element():
        assert outcome(bytes(damaged), explicit, ahead) == read


DELIMITERS = ITEM_END + SEQUENCE_END
PLAIN_ELEMENT = b"\x10\0\x20\0LO\x02\0AB"


@pytest.mark.parametrize(
    ("element", "explicit", "problem"),
    [
        (b"\x08\0\x18\0UI\x05\x001.2.3", True, "odd length"),
        (b"\x08\0\x18\0UD\x04\x001.2\0", True, "unknown VR"),
        (b"\xfe\xff\x18\0UI\x04\x001.2\0", True, "outside a sequence"),
        (b"\x08\0\x18\0UT\0\0" + UNDEFINED + ITEM + UNDEFINED + DELIMITERS, True, "only a sequence"),
        (SEQUENCE + UNDEFINED + ITEM + UNDEFINED + SEQUENCE_END, True, "outside a sequence"),
        (SEQUENCE + UNDEFINED + PLAIN_ELEMENT + SEQUENCE_END, True, "something else than items"),
        (SEQUENCE + UNDEFINED + ITEM_END + SEQUENCE_END, True, "an item ends that has not begun"),
        (b"\x08\0\x18\0\x05\0\0\x001.2.3", False, "odd length"),
        (b"\xfe\xff\x18\0\x04\0\0\x001.2\0", False, "outside a sequence"),
        (b"\x08\0\x18\0" + UNDEFINED + ITEM + UNDEFINED + DELIMITERS, False, "only a sequence"),
    ],
)
def test_what_is_refused_is_not_walked_past(element: bytes, explicit: bool, problem: str) -> None:
    following = PLAIN_ELEMENT if explicit else b"\x10\0\x20\0\x02\0\0\0AB"
    sequence = SEQUENCE if explicit else SEQUENCE[:4]
    content = sequence + UNDEFINED + ITEM + UNDEFINED + element + following + DELIMITERS
    with pytest.raises(InvalidInventory, match=problem):
        list(EncodedDataSet(content, "x").elements((0, len(content), explicit)))


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("length", [len(DELIMITERS), 254, 256, 70_000])
def test_delimiters_in_values_mean_nothing(explicit: bool, length: int) -> None:
    value = (DELIMITERS * 5000)[:length]
    access = Items(True, False, [(True, [(0x00080409, "UR", value)]), (True, [(0x00080409, "UR", b"")])])
    instance: Elements = [(0x00080018, "UI", b"1.2\0"), (0x0008041A, "SQ", access), (0x00091000, "OB", value)]
    instances = Items(True, False, [(True, instance), (True, instance)])
    content: Elements = [(0x00080425, "SQ", instances), (0x00100020, "LO", b"AB")]
    for ahead in (True, False):
        assert outcome(encoded(content, explicit), explicit, ahead) == expected(content)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@PATIENCE
@given(data=strategies.data())
def test_lengths_may_be_defined_or_not_at_each_level(syntax: UID, data: strategies.DataObject) -> None:
    data_set = pydicom.dcmread(BytesIO(rich_file()))
    content = written(data_set, syntax, lambda: data.draw(strategies.booleans()))
    assert records(opened({"1.2.3": content}, "1.2.3")) == records(opened({"1.2.3": rich_file()}, "1.2.3"))


def test_what_lies_behind_the_records_is_known_before_and_after_them() -> None:
    content = written(pydicom.dcmread(BytesIO(rich_file())), ExplicitVRLittleEndian, undefined=True)
    for before in (True, False):
        inventory = opened({"1.2.3": content}, "1.2.3")
        if before:
            assert (inventory.completion_status, inventory.total_study_records) == ("COMPLETE", 2)
        assert [entry.uid for entry in inventory.studies()] == ["1.5", "1.6"]
        assert (inventory.completion_status, inventory.total_study_records) == ("COMPLETE", 2)
    for broken, problem in (
        (content.replace(b"COMPLETE", b"        "), "Completion Status is missing"),
        (content[:-2], "longer than what is around it"),
    ):
        inventory = opened({"1.2.3": broken}, "1.2.3")
        with pytest.raises(InvalidInventory, match=problem):
            list(inventory.studies())


def test_what_lies_behind_records_of_defined_length_is_checked_at_once() -> None:
    with pytest.raises(InvalidInventory, match="longer than what is around it"):
        opened({"1.2.3": rich_file()[:-2]}, "1.2.3")


@pytest.mark.parametrize("levels", [MAXIMUM_DEPTH, MAXIMUM_DEPTH + 1, 20_000])
def test_the_limit_of_nesting_holds_for_what_is_walked_past(levels: int) -> None:
    content = nested(levels, undefined=True)
    walk = EncodedDataSet(content, "x").elements((0, len(content), True))
    if levels == MAXIMUM_DEPTH:
        assert len(list(walk)) == 1
    else:
        with pytest.raises(InvalidInventory, match="nested deeper than 64"):
            list(walk)


ELEMENT = b"\x08\0\x18\0UI\x04\x001.2\0"
LONG = b"\x08\0\x20\0LO\0\x01" + b" " * 256
# Contents of an item that seem usual for long, and are not.
TEDIOUS = {
    "unusual at its end": ELEMENT * 50_000 + LONG,
    "often unusual": (ELEMENT + LONG) * 5_000,
    "sequences that are unusual at their end": (
        (SEQUENCE + UNDEFINED + ITEM + UNDEFINED + ELEMENT * 20 + LONG + DELIMITERS) * 2_000
    ),
    "nested sequences that are": (
        (SEQUENCE + UNDEFINED + ITEM + UNDEFINED + ELEMENT * 20) * 50 + LONG + DELIMITERS * 50
    ) * 50,
    "sequences without an end": (SEQUENCE + UNDEFINED + ITEM + UNDEFINED + ELEMENT * 1000) * 60,
}


@pytest.mark.parametrize("what", TEDIOUS)
def test_reading_takes_no_longer_for_what_seems_usual(what: str) -> None:
    content = SEQUENCE + UNDEFINED + ITEM + UNDEFINED + TEDIOUS[what] + DELIMITERS

    def seconds() -> float:
        start = time.perf_counter()
        try:
            list(EncodedDataSet(content, "x").elements((0, len(content), True)))
        except InvalidInventory:
            pass
        return time.perf_counter() - start

    with element_by_element():
        plain = min(seconds() for _ in range(3))
    assert min(seconds() for _ in range(3)) < 3 * plain


def test_memory_does_not_grow_with_records_of_undefined_length(tmp_path: Path) -> None:
    small = written(pydicom.dcmread(BytesIO(file("1.0", [study(f"2.{number}", {"3": ["4"]}) for number in range(250)]))),
                    ExplicitVRLittleEndian, undefined=True)
    head, records_and_tail = small.split(b"\x08\0\x23\x04SQ\0\0" + UNDEFINED, 1)
    end = records_and_tail.rindex(SEQUENCE_END)
    tail = records_and_tail[end:].replace((250).to_bytes(4, "little"), (20_000).to_bytes(4, "little"))
    large = head + b"\x08\0\x23\x04SQ\0\0" + UNDEFINED + records_and_tail[:end] * 80 + tail

    def peak(content: bytes, count: int) -> int:
        (tmp_path / "file").write_bytes(content)
        tracemalloc.start()
        try:
            inventory = orthanc_inventory.open(tmp_path / "file")
            assert inventory.total_study_records == count
            walk = (1 for entry in inventory.studies() for series in entry.series() for _ in series.instances())
            assert sum(walk) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # 20,000 ends are remembered, of whatever is walked past.
    assert peak(large, 20_000) < peak(small, 250) + 3_000_000
