"""What the encoder writes is read back, what pydicom writes is read as pydicom reads it, what is broken is told."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UID,
)

from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY, Attribute
from orthanc_inventory.dicom.decoder import MAXIMUM_DEPTH, EncodedDataSet, InvalidInventory
from orthanc_inventory.dicom.elements import element_header, encode_attributes, item_header
from orthanc_inventory.dicom.records import StudyRecord
from orthanc_inventory.reader import Inventory

from .inventories import file, opened, study, uids, written
from .records import STUDIES

PATIENCE = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
ENCODINGS = pytest.mark.parametrize(
    ("syntax", "undefined"), [(syntax, undefined) for syntax in SYNTAXES for undefined in (False, True)]
)
MESSAGE = re.compile(r"[^\n]+, byte [0-9]+: [^\n]+ \((PS3\.[0-9]+ [A-Z0-9.-]+|limit of this reader)\)")


def rich_file() -> bytes:
    """One of each: series, instances, nested sequences, binary numbers, bytes, text of several scripts."""
    access = {
        "FileAccessURI": "./a", "ContainerFileType": "DICOM", "FileLengthInContainer": 2**40, "MACAlgorithm": "MD5",
        "MAC": "00112233445566778899aabbccddeeff", "LossyImageCompressionRatio": "1.5\\2.5",
    }
    record = study("1.5", {"1.5.1": ["1.5.1.1", "1.5.1.2"], "1.5.2": []}, ModalitiesInStudy="CT\\MR")
    record.series[0].instances[0].attributes = {
        **record.series[0].instances[0].attributes, "Rows": 512, "FileAccessSequence": [access],
    }
    scope = [{"RangeMatchingSequence": [{"StudyDate": "20200101"}, {"StudyDate": ""}]}]
    return file("1.2.3", [record, study("1.6", {"1.6.1": ["1.6.1.1"]})], ScopeOfInventorySequence=scope)


def records(inventory: Inventory) -> list[Any]:
    """Everything that can be read."""
    return [
        inventory.attributes,
        [(reference.depth, reference.uid, reference.attributes) for reference in inventory.references()],
        [
            (entry.uid, entry.attributes, [
                (series.uid, series.attributes, [
                    (instance.uid, instance.attributes, list(instance.files())) for instance in series.instances()
                ])
                for series in entry.series()
            ])
            for entry in inventory.studies()
        ],
    ]


def read(content: bytes) -> list[Any]:
    return records(opened({"1.2.3": content}, "1.2.3"))


def expected(table: tuple[Attribute, ...], record: Mapping[str, Any]) -> dict[str, Any]:
    """What is read of a record whose values are legal: bytes are of even length, what is required is there."""
    result: dict[str, Any] = {}
    for row in table:
        value = record.get(row.keyword, "")
        if value == "" and row.type not in ("1", "2"):
            continue
        if row.items:
            value = [expected(row.items, item) for item in value]
        elif row.vr == "OB" and len(value) % 4:
            value += "00"
        result[row.keyword] = row.default if value == "" else value
    return result


@PATIENCE
@given(studies=strategies.lists(STUDIES, max_size=3))
def test_what_was_encoded_is_decoded(studies: list[StudyRecord]) -> None:
    [_, _, found] = read(file("1.2.3", studies))
    assert [
        (attributes, [(series, [instance for _, instance, _ in instances]) for _, series, instances in below])
        for _, attributes, below in found
    ] == [
        (
            expected(STUDY, entry.attributes),
            [
                (expected(SERIES, series.attributes), [expected(INSTANCE, item.attributes) for item in series.instances])
                for series in entry.series
            ],
        )
        for entry in studies
    ]


def pydicom_values(data_set: Dataset, *without: str) -> dict[str, Any]:
    """A data set of pydicom as the decoder gives it."""
    result: dict[str, Any] = {}
    for element in data_set:
        value = element.value
        if element.keyword in without:
            continue
        if element.VR == "SQ":
            value = [pydicom_values(item) for item in value]
        elif isinstance(value, bytes):
            value = value.hex()
        elif isinstance(value, pydicom.multival.MultiValue):
            value = "\\".join(map(str, value))
        elif value is None:
            value = ""
        elif element.VR not in ("US", "UL", "UV"):
            value = str(value)
        result[element.keyword or f"{element.tag:08x}"] = value
    return result


@ENCODINGS
def test_values_are_those_that_pydicom_reads(syntax: UID, undefined: bool) -> None:
    content = written(pydicom.dcmread(BytesIO(rich_file())), syntax, undefined)
    data_set = pydicom.dcmread(BytesIO(content))
    attributes, _, studies = read(content)
    assert attributes == pydicom_values(data_set, "InventoriedStudiesSequence", "IncorporatedInventoryInstanceSequence")
    assert len(studies) == 2
    for (uid, found, series), item in zip(studies, data_set.InventoriedStudiesSequence):
        assert (uid, found) == (item.StudyInstanceUID, pydicom_values(item, "InventoriedSeriesSequence"))
        assert len(series) == len(item.InventoriedSeriesSequence)
        for (uid, found, instances), below in zip(series, item.InventoriedSeriesSequence):
            assert (uid, found) == (below.SeriesInstanceUID, pydicom_values(below, "InventoriedInstancesSequence"))
            assert [found for _, found, _ in instances] == list(map(pydicom_values, below.InventoriedInstancesSequence))


def test_values_of_every_vr_are_those_that_pydicom_reads() -> None:
    data_set = pydicom.dcmread(BytesIO(rich_file()))
    data_set.FrameIncrementPointer = [0x00181063, 0x00181065]
    data_set.ReferencePixelX0, data_set.RecommendedDisplayFrameRateInFloat = -5, 1.5
    data_set.EventTimeOffset = 2.5
    data_set.PatientAge, data_set.PixelSpacing, data_set.LongCodeValue = "030Y", ["0.5", "0.25"], "a\\b "
    data_set.add_new(0x00091001, "UN", b"ab")
    data_set.add_new(0x00090010, "LO", "SOMEBODY")
    attributes, *_ = read(written(data_set, ExplicitVRLittleEndian))
    assert attributes["FrameIncrementPointer"] == "00181063\\00181065"
    assert attributes["ReferencePixelX0"] == -5 and attributes["EventTimeOffset"] == 2.5
    assert attributes["RecommendedDisplayFrameRateInFloat"] == 1.5
    assert (attributes["PatientAge"], attributes["PixelSpacing"]) == ("030Y", "0.5\\0.25")
    assert (attributes["00090010"], attributes["00091001"]) == ("SOMEBODY", "6162")


NAMES = [
    ("ISO_IR 100", "Buc^Jérôme"),
    ("ISO_IR 101", "Wałęsa"),
    ("ISO_IR 144", "Люкceмбypг"),
    ("ISO_IR 126", "Διονυσιος"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 138", "שרון^דבורה"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小东="),
    ("GB18030", "Wang^XiaoDong=王^小东="),
    ("GBK", "Wang^XiaoDong=王^小东="),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO 2022 IR 100\\ISO 2022 IR 144", "Äneas^Люк"),
]


@pytest.mark.parametrize(("character_set", "name"), NAMES)
@pytest.mark.parametrize("inherited", [False, True], ids=["its own", "inherited"])
def test_character_sets(character_set: str, name: str, inherited: bool) -> None:
    data_set = pydicom.dcmread(BytesIO(rich_file()))
    [entry, other] = data_set.InventoriedStudiesSequence
    (data_set if inherited else entry).SpecificCharacterSet = character_set.split("\\")
    data_set.InventoryPurpose = other.PatientName = "plain"
    entry.PatientName = name
    entry.StudyDescription = name.split("=")[-1]
    content = written(data_set, ExplicitVRLittleEndian)
    first = next(opened({"1.2.3": content}, "1.2.3").studies())
    assert first.attributes["PatientName"] == name.rstrip("=")
    assert first.attributes["StudyDescription"] == name.split("=")[-1]


def test_a_series_and_an_instance_may_have_a_character_set_of_their_own() -> None:
    data_set = pydicom.dcmread(BytesIO(rich_file()))
    series = data_set.InventoriedStudiesSequence[0].InventoriedSeriesSequence[0]
    series.SpecificCharacterSet, series.SeriesDescription = "ISO_IR 144", "Люк"
    instance, inheriting = series.InventoriedInstancesSequence
    instance.SpecificCharacterSet, instance.ContentDescription = "ISO_IR 100", "Jérôme"
    inheriting.ContentDescription = "Люк"
    inventory = opened({"1.2.3": written(data_set, ImplicitVRLittleEndian)}, "1.2.3")
    found = next(next(inventory.studies()).series())
    assert found.attributes["SeriesDescription"] == "Люк"
    assert [entry.attributes["ContentDescription"] for entry in found.instances()] == ["Jérôme", "Люк"]


@pytest.mark.parametrize(
    ("character_set", "content", "name"),
    [
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang^XiaoDong=张^小东"),
        # In JIS X 0208 出 is 3D 50, 榿 is 5C 48: not an equals sign, not a backslash.
        ("\\ISO 2022 IR 87", b"\x1b$B\x3d\x50\x5c\x48\x1b(B^A", "出榿^A"),
    ],
)
def test_character_sets_that_pydicom_does_not_write(character_set: str, content: bytes, name: str) -> None:
    """Bytes of PS3.5 H and K."""
    content += b" " * (len(content) % 2)
    data_set = encode_attributes({"SpecificCharacterSet": character_set})
    data_set += element_header(0x00100010, "PN", len(content)) + content
    assert EncodedDataSet(data_set, "x").decode((0, len(data_set), True), "")["PatientName"] == name


def as_unknown(content: bytes, undefined: bool) -> bytes:
    """The file with its study records as UN, whose content is in Implicit VR (PS3.5 6.2.2)."""
    implicit = written(pydicom.dcmread(BytesIO(content)), ImplicitVRLittleEndian)
    [value, header] = [found.split(b"\x08\0\x23\x04", 1)[1] for found in (implicit, content)]
    length, old_length = int.from_bytes(value[:4], "little"), int.from_bytes(header[4:8], "little")
    items = value[4 : 4 + length] + (SEQUENCE_END if undefined else b"")
    element = element_header(0x00080423, "UN", 0xFFFFFFFF if undefined else length) + items
    return content.split(b"\x08\0\x23\x04", 1)[0] + element + header[8 + old_length :]


@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_that_a_relay_wrapped_as_unknown_are_read(undefined: bool) -> None:
    content = file("1.2.3", [study("1.5", {"1.5.1": ["1.5.1.1", "1.5.1.2"], "1.5.2": []}), study("1.6")])
    assert read(as_unknown(content, undefined)) == read(content)


@ENCODINGS
def test_a_file_that_is_cut_off_anywhere_is_told(syntax: UID, undefined: bool) -> None:
    content = written(pydicom.dcmread(BytesIO(rich_file())), syntax, undefined)
    whole = read(content)
    # What Deflate adds to make the length even means nothing; everything else does.
    last = len(content) - (content.endswith(b"\0") if syntax == DeflatedExplicitVRLittleEndian else 0)
    for length in range(last):
        with pytest.raises(InvalidInventory, match=MESSAGE):
            read(content[:length])
    assert read(content) == whole


@PATIENCE
@given(data=strategies.data(), syntax=strategies.sampled_from(SYNTAXES), undefined=strategies.booleans())
def test_damage_is_told_or_harmless(data: strategies.DataObject, syntax: UID, undefined: bool) -> None:
    content = bytearray(written(pydicom.dcmread(BytesIO(rich_file())), syntax, undefined))
    for place in data.draw(strategies.lists(strategies.integers(128, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= 1 << data.draw(strategies.integers(0, 7))
    try:
        read(bytes(content))
    except InvalidInventory as error:
        assert MESSAGE.fullmatch(str(error))
        assert "ller" not in str(error)


@PATIENCE
@given(garbage=strategies.binary(max_size=400), explicit=strategies.booleans())
def test_garbage_is_told(garbage: bytes, explicit: bool) -> None:
    encoded = EncodedDataSet(garbage, "x")
    try:
        encoded.decode((0, len(garbage), explicit), "")
    except InvalidInventory as error:
        assert MESSAGE.fullmatch(str(error))


def data_set_error(content: bytes, explicit: bool = True) -> str:
    with pytest.raises(InvalidInventory, match=MESSAGE) as caught:
        EncodedDataSet(content, "x.dcm").decode((0, len(content), explicit), "")
    return str(caught.value)


UNDEFINED = b"\xff\xff\xff\xff"
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
SEQUENCE = b"\x08\0\x00\x04SQ\0\0"
VALUE = b"\x10\0\x20\0LO\x06\0SECRET"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x10\0\x20\0LO\x05\0SECRE", "odd length"),
        (VALUE + VALUE, "out of order"),
        (b"\x10\0\x30\0DA\0\0" + VALUE, "byte 8: element 00100020 is out of order"),
        (VALUE[:-2], "longer than what is around it"),
        (b"\x10\0\x20\0Lo\x06\0SECRET", "unknown VR"),
        (b"\x10\0\x20\0UT\0\0" + UNDEFINED + b"SECRET", "only a sequence can have an undefined length"),
        (ITEM_END + VALUE, "outside a sequence"),
        (SEQUENCE + UNDEFINED + ITEM_END + SEQUENCE_END, "an item ends that has not begun"),
        (SEQUENCE + b"\x08\0\0\0" + SEQUENCE_END, "a delimiter stands where an item should begin"),
        (SEQUENCE + UNDEFINED + ITEM + UNDEFINED + SEQUENCE_END, "outside a sequence"),
        (SEQUENCE + UNDEFINED + ITEM + UNDEFINED + VALUE + ITEM_END, "the data ends in the header of an item"),
        (SEQUENCE + UNDEFINED + VALUE + SEQUENCE_END, "something else than items"),
        (SEQUENCE + UNDEFINED + SEQUENCE_END[:4] + b"\2\0\0\0", "a delimiter has a length"),
        (SEQUENCE + b"\x16\0\0\0" + ITEM + b"\x0f\0\0\0" + VALUE, "odd length"),
        (SEQUENCE + b"\x16\0\0\0" + ITEM + b"\x10\0\0\0" + VALUE, "longer than its sequence"),
        (b"\x10\0\x20\0LO", "ends in the header of an element"),
        (b"\x08\0\x05\0CS\x06\0KOI8-R" + VALUE, "Specific Character Set is unknown"),
        (b"\x08\0\x27\x04UL\x06\0SECRET", "does not fit its VR UL"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(content: bytes, problem: str) -> None:
    message = data_set_error(content)
    assert problem in message and message.startswith("x.dcm, byte ")
    assert "SECRET" not in message and "SECRE" not in message


def nested(levels: int, undefined: bool) -> bytes:
    if undefined:
        return (SEQUENCE + UNDEFINED + ITEM + UNDEFINED) * levels + (ITEM_END + SEQUENCE_END) * levels
    content = b""
    for _ in range(levels):
        content = item_header(len(content)) + content
        content = element_header(0x00080400, "SQ", len(content)) + content
    return content


@pytest.mark.parametrize("undefined", [False, True])
def test_nesting_has_a_limit(undefined: bool) -> None:
    content = nested(MAXIMUM_DEPTH, undefined)
    value: Any = EncodedDataSet(content, "x").decode((0, len(content), True), "")
    for _ in range(MAXIMUM_DEPTH):
        [value] = value["ScopeOfInventorySequence"]
    assert value == {}
    for levels in (MAXIMUM_DEPTH + 1, 20_000):
        assert "deep" in data_set_error(nested(levels, undefined))


def test_many_empty_items_do_not_fill_the_memory() -> None:
    content = ITEM + b"\0\0\0\0"
    content = element_header(0x00080400, "SQ", 8 * 4_000_000) + content * 4_000_000
    tracemalloc.start()
    try:
        assert "too many" in data_set_error(content)
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()


def file_error(content: bytes) -> str:
    with pytest.raises(InvalidInventory, match=MESSAGE) as caught:
        read(content)
    return str(caught.value)


def test_what_is_no_dicom_file_is_told() -> None:
    content = rich_file()
    assert "no DICM" in file_error(b"")
    assert "no DICM" in file_error(content[132:])
    without_meta = content[:132] + content[132 + 12 + int.from_bytes(content[140:144], "little") :]
    assert "(0002,0000) is missing" in file_error(without_meta)


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, JPEGBaseline8Bit, "1.2.3.4"])
def test_other_transfer_syntaxes_are_refused_by_name(syntax: str) -> None:
    old = encode_attributes({"TransferSyntaxUID": "1.2.840.10008.1.2.1"})
    new = encode_attributes({"TransferSyntaxUID": syntax})
    content = rich_file().replace(old, new)
    length = int.from_bytes(content[140:144], "little") + len(new) - len(old)
    message = file_error(content[:140] + length.to_bytes(4, "little") + content[144:])
    assert pydicom.uid.UID(syntax).name in message and "not read (PS3.5 A)" in message


def test_undefined_lengths_hold_the_same_records() -> None:
    content = rich_file()
    for syntax in SYNTAXES:
        assert uids(opened({"1.2.3": written(pydicom.dcmread(BytesIO(content)), syntax, True)}, "1.2.3")) == [
            ("1.5", [("1.5.1", ["1.5.1.1", "1.5.1.2"]), ("1.5.2", [])]), ("1.6", [("1.6.1", ["1.6.1.1"])]),
        ]
