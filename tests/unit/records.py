"""Records of any shape, made by hypothesis from the attribute tables, and the same records as pydicom data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY
from orthanc_inventory.dicom.elements import NUMBERS
from orthanc_inventory.dicom.macros import ANY, Attribute, any_table
from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord, StudyRecord
from orthanc_inventory.dicom.values import FITTING

# Letters of many scripts, spaces inside, no backslash: what modalities send, and what nobody expects.
_LETTERS = strategies.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\\=")


def _text(longest: int) -> strategies.SearchStrategy[str]:
    return strategies.text(_LETTERS, min_size=1, max_size=longest).filter(lambda text: not text.endswith(" "))


_LEGAL: dict[str, strategies.SearchStrategy[Any]] = {
    "AS": strategies.from_regex(r"[0-9]{3}[DWMY]", fullmatch=True),
    "AT": strategies.from_regex(r"[0-9A-F]{8}", fullmatch=True),
    "AE": strategies.from_regex(r"[!-\[\]-~]{1,16}", fullmatch=True),
    "CS": strategies.from_regex(FITTING["CS"], fullmatch=True),
    "DA": strategies.dates().map(lambda date: f"{date.year:04}{date.month:02}{date.day:02}"),
    "DS": strategies.decimals(min_value=-99999, max_value=99999, places=4).map(lambda number: f"{number:f}"),
    "DT": strategies.from_regex(r"20[0-9]{2}(0[1-9]1[0-9]([01][0-9]([0-5][0-9])?)?)?(\+0100)?", fullmatch=True),
    "FD": strategies.floats(allow_nan=False).map(repr),
    "IS": strategies.integers(-(2**31), 2**31 - 1).map(str),
    "LO": _text(64),
    "LT": _text(200),
    "OB": strategies.binary(min_size=1, max_size=32).map(bytes.hex),
    "PN": strategies.lists(_text(64), min_size=1, max_size=3).map("=".join),
    "SH": _text(16),
    "SL": strategies.integers(-(2**31), 2**31 - 1),
    "ST": _text(200),
    "TM": strategies.from_regex(r"[01][0-9]([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?", fullmatch=True),
    "UC": _text(200),
    "UI": strategies.from_regex(r"[12]\.(0|[1-9][0-9]{0,9})(\.(0|[1-9][0-9]{0,9})){0,4}", fullmatch=True),
    "UR": strategies.from_regex(r"\./[A-Za-z0-9/._~-]{1,200}", fullmatch=True),
    "UL": strategies.integers(0, 2**32 - 1),
    "US": strategies.integers(0, 2**16 - 1),
    "UT": _text(2000),
    "UV": strategies.integers(0, 2**64 - 1),
}
# Among those that Modified Attributes Sequence (0400,0550) may hold: of each kind one.
_ANY = any_table(("PatientName", "PatientID", "PatientAge", "Rows", "StudyDate", "PixelSpacing", "ProcedureCodeSequence"))
# The attributes of one record that are not required. All that there are would be thousands, with those in sequences.
_MOST = 8


def attributes(table: Sequence[Attribute]) -> strategies.SearchStrategy[dict[str, Any]]:
    """Legal values for any choice of the table's keywords, in any order; what must have a value has one."""
    rows = {row.keyword: row for row in (_ANY if table is ANY else table) if row.vr != "SQ" or row.items}
    required = [keyword for keyword, row in rows.items() if row.type == "1"]
    optional = [keyword for keyword in rows if keyword not in required]
    chosen = strategies.lists(strategies.sampled_from(optional or [""]), unique=True, max_size=_MOST if optional else 0)
    return chosen.flatmap(lambda keywords: strategies.permutations(required + keywords)).flatmap(
        lambda keywords: strategies.fixed_dictionaries({keyword: _possible(rows[keyword]) for keyword in keywords})
    )


def _possible(row: Attribute) -> strategies.SearchStrategy[Any]:
    return _value(row) if row.type == "1" else _value(row) | _empty(row)


def _value(row: Attribute) -> strategies.SearchStrategy[Any]:
    if row.items:
        return strategies.lists(attributes(row.items), min_size=int(row.type == "1"), max_size=2)
    if row.multiple:
        return strategies.lists(_LEGAL[row.vr].map(str), min_size=1, max_size=3).map("\\".join)
    return _LEGAL[row.vr]


def _empty(row: Attribute) -> strategies.SearchStrategy[Any]:
    return strategies.just([] if row.items else "")


INSTANCES = strategies.builds(InstanceRecord, strategies.just("instance"), attributes(INSTANCE))
SERIES_RECORDS = strategies.builds(
    SeriesRecord, strategies.just("series"), attributes(SERIES), strategies.lists(INSTANCES, max_size=3)
)
STUDIES = strategies.builds(
    StudyRecord, strategies.just("study"), attributes(STUDY), strategies.lists(SERIES_RECORDS, max_size=3)
)


def study_data_set(study: StudyRecord, level: str) -> Dataset:
    """The item of the Inventoried Studies Sequence for a record whose values are legal, as pydicom has it."""
    item = data_set(STUDY, study.attributes)
    if level != "STUDY":
        item.InventoriedSeriesSequence = [data_set(SERIES, series.attributes) for series in study.series]
    if level == "INSTANCE":
        for series, series_item in zip(study.series, item.InventoriedSeriesSequence):
            series_item.InventoriedInstancesSequence = [data_set(INSTANCE, entry.attributes) for entry in series.instances]
    return item


def data_set(table: Sequence[Attribute], record: Mapping[str, Any]) -> Dataset:
    """Without what is not required and has no value: zero length and absence mean the same there (PS3.5 7.4.5)."""
    result = Dataset()
    for row in any_table(record) if table is ANY else table:
        value = record.get(row.keyword) or ("" if row.vr not in NUMBERS else record.get(row.keyword, ""))
        if value == "":
            if row.type in ("1", "2") or (row.type == "2C" and row.keyword in record):
                result.add(DataElement(row.tag, row.vr, [] if row.vr == "SQ" else row.default or None))
        elif row.items:
            result.add(DataElement(row.tag, "SQ", [data_set(row.items, item) for item in value]))
        elif row.vr == "OB":
            content = bytes.fromhex(value)
            result.add(DataElement(row.tag, row.vr, content + b"\0" * (len(content) % 2)))
        elif row.vr in NUMBERS or row.vr == "AT":
            number = {"FD": float, "AT": lambda text: int(text, 16)}.get(row.vr, int)
            values = [number(part) for part in str(value).split("\\")]
            result.add(DataElement(row.tag, row.vr, values if row.multiple else values[0]))
        else:
            result.add(DataElement(row.tag, row.vr, value))
    return result
