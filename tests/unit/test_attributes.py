"""The attribute tables are those of the standard; the oracle is the copy of its tables in highdicom."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import given, strategies
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY
from orthanc_inventory.dicom.elements import InvalidRecord, encode_attributes
from orthanc_inventory.dicom.encoder import Corrections, ItemEncoder
from orthanc_inventory.dicom.macros import ANY, FILE_ACCESS_ITEM, Attribute, row

from .records import attributes
from .test_encoder import PATIENCE
from .test_module import INSTANCES_OF, SERIES_OF, STUDIES, standard_rows

LEVELS = {STUDIES: STUDY, SERIES_OF: SERIES, INSTANCES_OF: INSTANCE}
# The whole object is in UTF-8, which it says at the top.
NOT_THERE = {path + ("SpecificCharacterSet",) for path in LEVELS}
Path = tuple[str, ...]


def rows(path: Path, table: Sequence[Attribute]) -> Iterator[tuple[Path, Attribute]]:
    for entry in table:
        yield path + (entry.keyword,), entry
        if entry.items is not ANY:
            yield from rows(path + (entry.keyword,), entry.items)


def test_each_row_of_the_standard_is_there_with_its_type_and_no_other() -> None:
    ours = {path: entry.type for level, table in LEVELS.items() for path, entry in rows(level, table)}
    standard = {path + (keyword,): kind for path, keyword, kind in standard_rows("inventory") if path[:1] == STUDIES}
    assert len(standard) > 1300
    assert {path: kind for path, kind in standard.items() if path not in NOT_THERE} == ours


def test_each_row_has_tag_vr_and_multiplicity_of_the_data_dictionary() -> None:
    for level, table in LEVELS.items():
        for _, entry in rows(level, table):
            assert entry.tag == pydicom.datadict.tag_for_keyword(entry.keyword)
            assert entry.vr == pydicom.datadict.dictionary_VR(entry.tag)
            assert entry.multiple == (pydicom.datadict.dictionary_VM(entry.tag) != "1")
            # Items that are encoded already are those of the levels.
            assert bool(entry.items) == (entry.vr == "SQ") or entry.keyword in (SERIES_OF[-1], INSTANCES_OF[-1])
    with pytest.raises(ValueError, match="NoSuchThing"):
        row("NoSuchThing", "3")


def read(encoded: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(encode_attributes({"SpecificCharacterSet": "ISO_IR 192"}) + encoded[8:]), force=True)


def encode(table: Sequence[Attribute], record: dict[str, Any], identifying: bool = True) -> tuple[Dataset, int]:
    """The record as pydicom reads it, and the number of values that were corrected."""
    corrections = Corrections()
    (encoded,) = ItemEncoder(table, corrections, identifying).items([record])
    return read(encoded), corrections.count


INSTANCE_KEYS = {"SOPClassUID": "1.2", "SOPInstanceUID": "1.3"}
STUDY_KEYS = {"StudyInstanceUID": "1.2", "ItemInventoryDateTime": "20260101"}
CODE = {"CodeValue": "121", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Thorax"}


# What nobody may be recognised by when PatientIdentifiers is false.
_PERSONAL = (
    "Name", "Physician", "PatientID", "IssuerOf", "Accession", "Description", "Identifier", "Address", "Telephone", "Telecom",
    "Institution", "ProcedureID", "OrderNumber", "StepID", "Original", "BirthDate", "Sex", "ContentLabel", "StudyID", "Reason",
)
# Codes and names of things, and texts about the inventory itself.
_IMPERSONAL = {"ConceptNameCodeSequence", "MappingResourceName", "FilenameInContainer", "TemplateIdentifier",
               "ContextIdentifier", "ReasonForRemovalCodeSequence"}


def test_whatever_sounds_personal_is_marked_or_stands_in_something_marked() -> None:
    for level, table in LEVELS.items():
        marked = {path for path, entry in rows(level, table) if entry.identifying}
        for path, entry in rows(level, table):
            if entry.keyword not in _IMPERSONAL and any(word in entry.keyword for word in _PERSONAL):
                assert any(path[:length] in marked for length in range(len(path) + 1)), path


def with_secrets(table: Sequence[Attribute], record: dict[str, Any], inside: bool = False) -> dict[str, Any]:
    """The record with a word that can be found again in each text that identifies, at any depth."""
    if table is ANY:
        return {"PatientID": "SECRET", "PatientName": "SECRET"}
    result = {}
    for entry in table:
        if entry.keyword in record:
            value, marked = record[entry.keyword], inside or entry.identifying
            if entry.items:
                value = [with_secrets(entry.items, item, marked) for item in value]
            elif marked and entry.vr in ("CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"):
                value = "SECRET"
            result[entry.keyword] = value
    return result


@pytest.mark.parametrize("table", LEVELS.values(), ids=["study", "series", "instance"])
@PATIENCE
@given(data=strategies.data())
def test_what_identifies_patients_is_withheld_at_any_depth(table: Sequence[Attribute], data: strategies.DataObject) -> None:
    record = with_secrets(table, data.draw(attributes(table)))
    (open_item,) = ItemEncoder(table, Corrections()).items([record])
    (encoded,) = ItemEncoder(table, Corrections(), identifying=False).items([record])
    assert b"SECRET" not in encoded and len(encoded) <= len(open_item)


def test_original_attributes_hold_attributes_of_any_kind() -> None:
    modified = {
        "PatientName": "Müller^Zoë", "Rows": "512", "PixelSpacing": "0.5\\0.25", "PatientAge": "034Y", "AccessionNumber": "",
        "ProcedureCodeSequence": [{**CODE, "EquivalentCodeSequence": [CODE]}], "OffsetOfNoSuchThing": "x",
    }
    item = {
        "AttributeModificationDateTime": "20260101101530+0000", "ModifyingSystem": "PACS", "SourceOfPreviousValues": "",
        "ReasonForTheAttributeModification": "CORRECT", "ModifiedAttributesSequence": [modified],
    }
    data, corrections = encode(STUDY, {**STUDY_KEYS, "OriginalAttributesSequence": [item]})
    (original,) = data.OriginalAttributesSequence
    (values,) = original.ModifiedAttributesSequence
    assert corrections == 0 and original["SourceOfPreviousValues"].is_empty
    assert (str(values.PatientName), values.Rows, list(values.PixelSpacing), values.PatientAge) == (
        "Müller^Zoë", 512, [0.5, 0.25], "034Y",
    )
    assert "AccessionNumber" in values and len(values) == 6
    assert values.ProcedureCodeSequence[0].EquivalentCodeSequence[0].CodeMeaning == "Thorax"


def test_equivalent_codes_do_not_nest() -> None:
    code: dict[str, Any] = {**CODE, "EquivalentCodeSequence": [{**CODE, "EquivalentCodeSequence": [CODE]}]}
    data, _ = encode(INSTANCE, {**INSTANCE_KEYS, "ConceptNameCodeSequence": [code]})
    assert "EquivalentCodeSequence" not in data.ConceptNameCodeSequence[0].EquivalentCodeSequence[0]


def test_an_item_that_lacks_what_it_must_have_is_left_out_and_counted() -> None:
    code = {"CodeValue": "1", "CodingSchemeDesignator": "99X"}  # without a meaning
    data, corrections = encode(STUDY, {**STUDY_KEYS, "ProcedureCodeSequence": [code, CODE, code]})
    assert [entry.CodeValue for entry in data.ProcedureCodeSequence] == ["121"] and corrections == 2
    # Where an item must be, that which it stands in cannot be either.
    person = {"PersonIdentificationCodeSequence": [code], "InstitutionName": "Hospital"}
    data, corrections = encode(STUDY, {**STUDY_KEYS, "ReferringPhysicianIdentificationSequence": [person]})
    assert "ReferringPhysicianIdentificationSequence" not in data and corrections == 2
    with pytest.raises(InvalidRecord, match="SOPInstanceUID"):
        encode(INSTANCE, {"SOPClassUID": "1.2"})


@pytest.mark.parametrize(
    ("table", "keyword", "type_2_keywords"),
    [
        (INSTANCE, "ReferencedRequestSequence", {"AccessionNumber", "RequestedProcedureID", "ReferencedStudySequence"}),
        (STUDY, "OtherPatientIDsSequence", {"PatientID"}),
    ],
)
def test_items_have_what_is_required_even_without_a_value(
    table: Sequence[Attribute], keyword: str, type_2_keywords: set[str]
) -> None:
    data, _ = encode(table, {**INSTANCE_KEYS, **STUDY_KEYS, keyword: [{"StudyInstanceUID": "1.4"}]})
    assert all(required in data[keyword].value[0] for required in type_2_keywords)


CONFORMANCE = (pathlib.Path(__file__).parents[2] / "CONFORMANCE.md").read_text()


def documented(title: str) -> str:
    return CONFORMANCE.split(f"\n### {title}\n", 1)[1].split("\n#", 1)[0]


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("Study records", STUDY), ("Series records", SERIES), ("Instance records", INSTANCE),
        ("File Access Sequence", FILE_ACCESS_ITEM),
    ],
)
def test_each_row_has_its_line_in_the_conformance_statement(title: str, table: Sequence[Attribute]) -> None:
    lines = re.findall(r"^\| ([^|]+) \| (\(\w{4},\w{4}\)) \| (\w+) \| ([^|]{5,}) \|$", documented(title), re.MULTILINE)
    sources = {(name, tag, kind): source for name, tag, kind, source in lines}
    rows = [*table, row("SpecificCharacterSet", "1C")] if title.endswith("records") else table
    wanted = {
        (pydicom.datadict.dictionary_description(entry.tag), f"({entry.tag >> 16:04X},{entry.tag & 0xFFFF:04X})", entry.type)
        for entry in rows
    }
    assert wanted == set(sources)


def test_each_attribute_of_an_item_is_named_in_the_conformance_statement() -> None:
    text = documented("Items of other sequences")
    for level, table in LEVELS.items():
        for path, entry in rows(level, table):
            if len(path) > len(level) + 1 and "FileAccessSequence" not in path:
                assert pydicom.datadict.dictionary_description(entry.tag) in text, path
