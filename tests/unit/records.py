"""Records of any shape, made by hypothesis from the attribute tables, and the same records as pydicom data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY, Attribute
from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord, StudyRecord
from orthanc_inventory.dicom.values import FITTING

# Letters of many scripts, spaces inside, no backslash: what modalities send, and what nobody expects.
_LETTERS = strategies.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\\=")


def _text(longest: int) -> strategies.SearchStrategy[str]:
    return strategies.text(_LETTERS, min_size=1, max_size=longest).filter(lambda text: not text.endswith(" "))


_LEGAL: dict[str, strategies.SearchStrategy[Any]] = {
    "AE": strategies.from_regex(r"[!-\[\]-~]{1,16}", fullmatch=True),
    "CS": strategies.from_regex(FITTING["CS"], fullmatch=True),
    "DA": strategies.dates().map(lambda date: f"{date.year:04}{date.month:02}{date.day:02}"),
    "DS": strategies.decimals(min_value=-99999, max_value=99999, places=4).map(lambda number: f"{number:f}"),
    "DT": strategies.from_regex(r"20[0-9]{2}(0[1-9]1[0-9]([01][0-9]([0-5][0-9])?)?)?(\+0100)?", fullmatch=True),
    "IS": strategies.integers(-(2**31), 2**31 - 1).map(str),
    "LO": _text(64),
    "OB": strategies.binary(min_size=1, max_size=32).map(bytes.hex),
    "PN": strategies.lists(_text(64), min_size=1, max_size=3).map("=".join),
    "SH": _text(16),
    "TM": strategies.from_regex(r"[01][0-9]([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?", fullmatch=True),
    "UI": strategies.from_regex(r"[12]\.(0|[1-9][0-9]{0,9})(\.(0|[1-9][0-9]{0,9})){0,4}", fullmatch=True),
    "UR": strategies.from_regex(r"\./[A-Za-z0-9/._~-]{1,200}", fullmatch=True),
    "US": strategies.integers(0, 2**16 - 1),
    "UV": strategies.integers(0, 2**64 - 1),
}


def attributes(table: Sequence[Attribute]) -> strategies.SearchStrategy[dict[str, Any]]:
    """Legal values for any choice of the table's keywords, in any order; what must have a value has one."""
    rows = {row.keyword: row for row in table if row.vr != "SQ" or row.items}
    required = {keyword: _value(row) for keyword, row in rows.items() if row.type == "1"}
    optional = {keyword: _value(row) | _empty(row) for keyword, row in rows.items() if row.type != "1"}
    return strategies.fixed_dictionaries(required, optional=optional).flatmap(
        lambda record: strategies.permutations(list(record.items())).map(dict)
    )


def _value(row: Attribute) -> strategies.SearchStrategy[Any]:
    if row.items:
        return strategies.lists(attributes(row.items), max_size=2)
    if row.multiple:
        return strategies.lists(_LEGAL[row.vr], min_size=1, max_size=3).map("\\".join)
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
    result = Dataset()
    for row in table:
        value = record.get(row.keyword, "")
        if row.items:
            if row.keyword in record:
                setattr(result, row.keyword, [data_set(row.items, item) for item in value])
        elif value == "":
            if row.type in ("1", "2"):
                result.add(DataElement(row.tag, row.vr, row.default or None))
        elif row.vr == "OB":
            content = bytes.fromhex(value)
            result.add(DataElement(row.tag, row.vr, content + b"\0" * (len(content) % 2)))
        else:
            result.add(DataElement(row.tag, row.vr, value))
    return result
