"""What parses text and data sets of strangers: a result, or an error of its own kind, in bounded time."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from orthanc_inventory.config import KEYS, SCHEDULE_KEYS, InvalidConfiguration, read_configuration
from orthanc_inventory.dicom.answers import record_of
from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY
from orthanc_inventory.dicom.decoder import InvalidInventory
from orthanc_inventory.dicom.elements import element_header, encode_attributes
from orthanc_inventory.dicom.file_format import read_data_set
from orthanc_inventory.dicom.inventory_query import InventoryQuery, Mechanisms
from orthanc_inventory.dicom.inventory_query import InvalidQuery as InvalidInventoryQuery
from orthanc_inventory.dicom.json_records import record_from_json
from orthanc_inventory.dicom.keys import TABLES
from orthanc_inventory.dicom.repository_query import InvalidQuery, RepositoryQuery
from orthanc_inventory.dicom.scope import InvalidScope, Scope
from orthanc_inventory.dicom.terms import MECHANISMS
from orthanc_inventory.host import Request, RestError
from orthanc_inventory.services.dicomweb.media_types import select
from orthanc_inventory.services.dicomweb.parts import InvalidMultipart, parts_of
from orthanc_inventory.services.dicomweb.retrieve import OFFERS
from orthanc_inventory.services.remote_dicomweb import WebError, listed
from tests.integration import foreign

from . import mutator
from .mutator import Mutator

Cases = Callable[[str, int, int], range]
_PATIENCE = 20.0

KEYWORDS = [row.keyword for table in (STUDY, SERIES, INSTANCE) for row in table] + [
    "ExtendedMatchingMechanisms", "QueryRetrieveLevel", "TimezoneOffsetFromUTC", "Labels", "ScopeOfInventorySequence", "Rows",
    "SpecificCharacterSet", "FileAccessURI", "LossyImageCompressionRatio", "CodeValue", "00100010", "0010,0010", "x",
]
GENERAL = f"{tag_for_keyword('GeneralMatchingSequence'):08X}"
VALUES = [
    "DOE*", "D?E", "A\\B", '""', "CT\\MR", "20240101-20241231", "20240101", "-120000", "1.2.3\\1.2.4", "1.2.3", "ISO_IR 192",
    "RELATIONAL", "FUZZY\\DATETIME", "TIMEZONE_ADJUST", "+0100", "IMAGE", "STUDY", 5, ["a", "b"], "20240101120000.123456+0100",
    {"PatientName": "x"}, {"vr": "PN", "Value": [{"Alphabetic": "Doe"}]}, {"vr": "SQ", "Value": [{"00100010": {"vr": "PN"}}]},
]
RECORDS: dict[str, dict[str, Any]] = {
    "STUDY": {"StudyInstanceUID": "1.2.3", "PatientName": "Doe^John=山", "StudyDate": "20240102", "StudyTime": "1200"},
    "SERIES": {"SeriesInstanceUID": "1.2.3.4", "Modality": "CT", "SeriesNumber": "7"},
    "INSTANCE": {"SOPInstanceUID": "1.2.3.4.5", "FileAccessSequence": [{"LossyImageCompressionRatio": "1.5"}]},
}


def scope_of(written: Any) -> Scope | None:
    """Parsed, written in both forms and read again, and matched; None for one that is refused."""
    begin = time.process_time()
    try:
        scope = Scope.parse(written)
    except InvalidScope as error:
        assert "\n" not in str(error) and time.process_time() - begin < _PATIENCE
        return None
    assert Scope.parse(scope.simple()).keys == scope.keys
    # Of a name, delimiters at the end are no part (PS3.5 6.2.1.1), and JSON has none.
    if not any(value.endswith("=") for key in scope.keys for value in key.values):
        assert set(Scope.parse({"ScopeOfInventorySequence": scope.json_sequence(), **_labels(scope)}).keys) == set(scope.keys)
    encode_attributes({"ScopeOfInventorySequence": scope.sequence()})
    json.dumps(scope.simple())
    scope.matches_study(RECORDS["STUDY"]), scope.matches_series(RECORDS["SERIES"])
    scope.matches_instance(RECORDS["INSTANCE"]), scope.matches_labels([])
    assert time.process_time() - begin < _PATIENCE
    return scope


def _labels(scope: Scope) -> dict[str, Any]:
    return {"Labels": list(scope.labels)} if scope.labels else {}


def test_each_key_with_each_text(cases: Cases) -> None:
    pairs = list(itertools.product(dict.fromkeys(KEYWORDS), mutator.TEXTS))
    for number in cases("scopes of one key", len(pairs), len(pairs)):
        keyword, text = pairs[number]
        scope_of({keyword: text})
        tag = f"{tag_for_keyword(keyword) or 0x00091001:08X}"
        element = {"vr": dictionary_VR(tag) if keyword_for_tag(tag) else "LO", "Value": [text]}
        scope_of({"ScopeOfInventorySequence": [{GENERAL: {"vr": "SQ", "Value": [{tag: element}]}}]})


def test_scopes(cases: Cases) -> None:
    taken = 0
    for number in cases("scopes, written by chance", 500, 30_000):
        chance = random.Random(f"scope {number}")
        taken += scope_of(mutator.some_object(chance, KEYWORDS, VALUES)) is not None
    assert taken > 10


def test_scopes_by_hypothesis(cases: Cases) -> None:
    number = len(cases("scopes, by hypothesis", 150, 5_000))
    texts = strategies.sampled_from([value for value in VALUES if isinstance(value, str)]) | strategies.text(max_size=100)
    values = strategies.recursive(
        texts | strategies.integers() | strategies.none(),
        lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.sampled_from(KEYWORDS), inner),
        max_leaves=10,
    )

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategies.dictionaries(strategies.sampled_from(KEYWORDS), values, max_size=5))
    def check(written: dict[str, Any]) -> None:
        scope_of(written)

    check()


def test_configurations(cases: Cases) -> None:
    keys = [*KEYS, *SCHEDULE_KEYS, "Read", "Url", "Port", "BaseUri", "Password", "ConnectionUri", "Keep", "Days"]
    values = [{}, [], "", "secret", True, 5, "1d", ["1-5"], "Monday-Friday", "nightly", "http://x/", "http://[", {"Name": "a"}]
    for number in cases("configurations", 300, 5_000):
        chance = random.Random(f"configuration {number}")
        try:
            read_configuration({"Inventory": mutator.some_object(chance, keys, values), "AuthenticationEnabled": True})
        except InvalidConfiguration as error:
            assert "\n" not in str(error) and "secret" not in str(error), number


def identifiers() -> list[bytes]:
    item = foreign.item(PatientName="Doe*", StudyDate="20240101-", ModalitiesInStudy="CT\\MR", StudyInstanceUID="1.2.3")
    item.QueryRetrieveLevel, item.SpecificCharacterSet, item.MaximumNumberOfRecords = "STUDY", "ISO_IR 100", 5
    item.OriginalAttributesSequence = [foreign.item(ModifyingSystem="x")]
    inventory = foreign.item(InventoryLevel="STUDY", ContentDate="20240101-", SOPInstanceUID="1.2\\1.3", InventoryPurpose="a*")
    inventory.ScopeOfInventorySequence = [foreign.item(GeneralMatchingSequence=[foreign.item(PatientName="x")])]
    syntaxes = ExplicitVRLittleEndian, ImplicitVRLittleEndian
    return [_data_set(data, syntax) for data in (item, inventory) for syntax in syntaxes]


def _data_set(data: Any, syntax: str) -> bytes:
    """Without the file around it."""
    file = foreign.encode(data, syntax)
    start = 144 + int.from_bytes(file[140:144], "little")
    return file[start:]


def test_identifiers_of_queries_and_answers(cases: Cases) -> None:
    """Queries of a peer, and answers of an archive that is harvested over DICOM."""
    mutated = Mutator("identifiers", identifiers(), [b"\\", b"*", b"-", b'""', b"1" * 5000 + b"x", b"SQ\0\0\xff\xff\xff\xff"])
    known = {level: frozenset(table) for level, table in TABLES.items()}
    queries = 0
    for number in cases("identifiers of queries, and of answers that are harvested", 800, 20_000):
        content = mutated.case(number)
        begin = time.process_time()
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, foreign.DEFLATED):
            try:
                data_set, place = read_data_set(content, syntax, "the data set")
                record_of(data_set, place)
                written = data_set.decode(place, "")
            except InvalidInventory as error:
                assert "\n" not in str(error), number
                continue
            for mechanisms in (frozenset(), frozenset(MECHANISMS)):
                try:
                    queries += bool(RepositoryQuery(written, mechanisms, known, "+0000").used)
                except InvalidQuery as error:
                    assert "\n" not in str(error), number
            written.pop("QueryRetrieveLevel", "")
            try:
                InventoryQuery(written, Mechanisms(True, True, True, True, True)).matches({"InventoryPurpose": "a b c"})
            except InvalidInventoryQuery as error:
                assert "\n" not in str(error), number
        assert time.process_time() - begin < _PATIENCE, number
    assert queries > 10


def test_many_elements_take_time_that_grows_with_their_number() -> None:
    tags = [(0x0009, number) for number in range(0x1000, 0x9000)]
    many = b"".join(element_header(group << 16 | number, "LO", 0) for group, number in tags)
    begin = time.process_time()
    with pytest.raises(InvalidInventory, match="too many elements"):
        record_of(*read_data_set(element_header(0x00080020, "US", 4) + b"abcd" + many, ExplicitVRLittleEndian, "an answer"))
    item = Dataset()
    item.GeneralMatchingSequence = [read_dataset(BytesIO(many), False, True)]
    unmatchable: list[int] = []
    Scope.from_data_set([item], unmatchable=unmatchable)
    assert unmatchable == [group << 16 | number for group, number in tags]
    assert time.process_time() - begin < _PATIENCE


def test_answers_of_dicomweb_servers(cases: Cases) -> None:
    tags = ["00100010", "0020000D", "00080020", "00080423", "vr", "Value", "InlineBinary", "Alphabetic", "x"]
    values = ["PN", "SQ", "UI", "CT", "1.2.3", {"vr": "PN", "Value": [{"Alphabetic": "A"}]}, {"vr": "SQ", "Value": [{}]}, ["a"]]
    for number in cases("answers of DICOMweb servers that are harvested", 400, 10_000):
        chance = random.Random(f"answer {number}")
        content = mutator.body(chance, lambda chance: [mutator.some_object(chance, tags, values)])
        try:
            answer = listed(content)
        except WebError:
            continue
        for entry in answer if isinstance(answer, list) else ():
            if isinstance(entry, dict):
                record_from_json(entry)


def test_what_was_found_in_answers() -> None:
    """A number that is no tag, text that is no base 64 or no UTF-8, and sequences that are none."""
    data_set = {
        "1e999999999": {"vr": "UI", "Value": ["x"]}, "-1": {}, "0x100010": {"vr": "PN", "Value": ["x"]},
        "00420011": {"vr": "OB", "InlineBinary": "ä山"}, "0020000D": {"vr": "UI", "Value": ["1.2"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "\ud800山"}]}, "00100020": {"vr": "LO", "Value": ["\udfff"]},
        "00080018": {"vr": "SQ", "Value": [{}]}, "00081140": {"vr": "UI", "Value": ["1.2"]},
    }
    expected = {"EncapsulatedDocument": "", "StudyInstanceUID": "1.2", "PatientName": "?山", "PatientID": "?"}
    assert record_from_json(data_set) == expected


def test_media_types_and_parts(cases: Cases) -> None:
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\nabc\r\n--x\r\n\r\ndef\r\n--x--\r\n"
    accept = b'multipart/related; type="application/dicom"; transfer-syntax=*, application/dicom+json; q=0.5, */*'
    bodies = Mutator("parts", [body], [b"--x", b"\r\n", b"\r\n\r\n", b": ", b"--"])
    accepts = Mutator("accept", [accept], [b",", b";", b'"', b"\\", b"q=1", b"*/*", b"type=", b"=" * 1000, b";a=b" * 5000])
    for number in cases("media types and multipart bodies", 500, 10_000):
        begin = time.process_time()
        header = accepts.case(number).decode("latin-1")
        try:
            select(Request("GET", "/", {"accept": header} if number % 2 else {}, {"accept": header}, b""), OFFERS)
        except RestError as error:
            assert error.status == 406
        try:
            for part in parts_of(bodies.case(number), "x" if number % 3 else header):
                assert part.start <= part.stop
        except InvalidMultipart:
            pass
        assert time.process_time() - begin < _PATIENCE, number


