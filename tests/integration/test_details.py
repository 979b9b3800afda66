"""``"Detail": "Files"``: the records hold what the headers of the objects say, for objects of all kinds and character sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, JPEGBaseline8Bit

from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY
from orthanc_inventory.dicom.macros import ANY, Attribute
from orthanc_inventory.dicom.terms import LEVELS

from . import archive
from .detailed_objects import KINDS, SERIES_VALUES, STUDY_VALUES, code, data_set, modified
from .other_software import check_files
from .server import Server

FILES = {"Detail": "Files"}


def expected(table: Sequence[Attribute], source: Dataset) -> Dataset:
    """What the table names of an object, as pydicom reads it; empty where it must be there."""
    result = Dataset()
    for row in table:
        element = source.get(row.keyword) if row.keyword not in source else source[row.keyword]
        if element is None or element.is_empty:
            if row.type in ("1", "2"):
                result.add(DataElement(row.tag, row.vr, [] if row.vr == "SQ" else None))
        elif row.items is ANY:
            result.add(element)
        elif row.vr == "SQ":
            result.add(DataElement(row.tag, "SQ", [expected(row.items, item) for item in element.value]))
        else:
            result.add(DataElement(row.tag, row.vr, element.value))
    return result


def read(file: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(file))


def records(server: Server, **body: Any) -> dict[str, tuple[Dataset, Dataset, Dataset]]:
    """Study, series and instance record of each object by its SOP Instance UID, from an inventory with details."""
    summary = server.make(**{**FILES, **body})
    assert summary["Detail"] == "Files" and summary["InventoryCompletionStatus"] == "COMPLETE"
    check_files(server, summary)
    return {
        instance.SOPInstanceUID: (study, series, instance)
        for study in server.studies(summary)
        for series in study.InventoriedSeriesSequence
        for instance in series.InventoriedInstancesSequence
    }


# What the archive says, not the object.
_OF_THE_ARCHIVE = {
    "InventoriedSeriesSequence", "InventoriedInstancesSequence", "FileAccessSequence", "InstanceAvailability",
    "RetrieveAETitle", "ItemInventoryDateTime", "StudyUpdateDateTime", "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances", "ModalitiesInStudy", "AnatomicRegionsInStudyCodeSequence",
}


def check(record: Dataset, table: Sequence[Attribute], source: Dataset) -> None:
    wanted = expected([row for row in table if row.keyword not in _OF_THE_ARCHIVE], source)
    assert plain(record, lambda keyword: keyword not in _OF_THE_ARCHIVE) == plain(wanted)


def plain(data: Dataset, wanted: Callable[[str], bool] = bool) -> dict[str, Any]:
    """Values that compare: numbers of numbers, text of the rest."""
    result: dict[str, Any] = {}
    for element in data:
        if not wanted(element.keyword):
            continue
        if element.VR == "SQ":
            result[element.keyword] = [plain(item) for item in element.value]
        else:
            values = [] if element.is_empty else list(element.value) if element.VM > 1 else [element.value]
            kind = float if element.VR in ("IS", "DS", "US", "FD") else str
            result[element.keyword] = list(map(kind, values))
    return result


@pytest.fixture(scope="module")
def detailed(shared_server: Server) -> Server:
    """Has one object of each kind besides those of other tests."""
    for make in KINDS.values():
        shared_server.store(archive.encode(make()))
    return shared_server


@pytest.mark.parametrize("kind", KINDS)
def test_records_hold_what_the_header_says(detailed: Server, kind: str) -> None:
    source = read(archive.encode(KINDS[kind]()))
    study, series, instance = records(detailed)[source.SOPInstanceUID]
    for record, table in ((study, STUDY), (series, SERIES), (instance, INSTANCE)):
        check(record, table, source)


def test_regions_of_a_study_are_those_of_its_series(server: Server) -> None:
    regions = [code("T-D1100", "Head"), code("T-D3000", "Chest")]
    server.store(
        archive.file(1, 1, 1, 1, AnatomicRegionSequence=regions[:1]),
        archive.file(1, 1, 2, 1, AnatomicRegionSequence=regions[1:]),
        archive.file(1, 1, 3, 1, AnatomicRegionSequence=regions[:1]),
        archive.file(1, 1, 4, 1),
    )
    for level in ("STUDY", "INSTANCE"):
        (study,) = server.studies(server.make(**FILES, Level=level))
        assert sorted(item.CodeValue for item in study.AnatomicRegionsInStudyCodeSequence) == ["T-D1100", "T-D3000"]


def test_a_lossy_ratio_stands_with_the_file(server: Server) -> None:
    data = archive.dataset(1, 1, 1, 1, LossyImageCompression="01", LossyImageCompressionRatio=["10.5", "2"])
    server.store(archive.encode(data))
    ((_, _, instance),) = records(server).values()
    (access,) = instance.FileAccessSequence
    assert list(access.LossyImageCompressionRatio) == [10.5, 2]


def test_a_lossy_jpeg_says_what_it_is(server: Server) -> None:
    file = Path(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm")).read_bytes()
    server.store(file)
    source = read(file)
    ((study, series, instance),) = records(server).values()
    for record, table in ((study, STUDY), (series, SERIES), (instance, INSTANCE)):
        check(record, table, source)
    (access,) = instance.FileAccessSequence
    assert access.LossyImageCompressionRatio == source.LossyImageCompressionRatio == 17.401
    assert access.StoredInstanceTransferSyntaxUID == JPEGBaseline8Bit


CHARACTER_SETS = sorted(Path(path).name for path in get_charset_files("*.dcm"))
# Orthanc itself reads text with escapes to a second character set as if it were all in the first, if that is named.
MISREAD = {"chrH32.dcm", "chrJapMultiExplicitIR6.dcm", "chrSQEncoding1.dcm"}


def test_every_character_set_is_read(shared_server: Server) -> None:
    sources = {}
    for file_name in CHARACTER_SETS:
        data = pydicom.dcmread(get_charset_files(file_name)[0])
        # Some lack what Orthanc must have; each has its name at other places too, among them one of several values.
        number = 100 + len(sources)
        data.SOPClassUID, data.SOPInstanceUID = BasicTextSRStorage, archive.uid(number, 1, 1, 1)
        data.StudyInstanceUID, data.SeriesInstanceUID = archive.uid(number, 1), archive.uid(number, 1, 1)
        data.PatientID, data.Modality = f"CHARSET {number}", "SR"
        name = data.get("PatientName") or data.RequestedProcedureCodeSequence[0].PatientName
        data.OtherPatientNames, data.ContentCreatorName = name if file_name in MISREAD else [name, name], name
        file = archive.encode(data)
        (identifier,) = shared_server.store(file)
        sources[data.SOPInstanceUID] = source = read(file)
        if "OtherPatientIDs" in source:  # which the sequence has replaced
            source.OtherPatientIDsSequence = [data_set(PatientID=other) for other in source.OtherPatientIDs]
        if file_name in MISREAD:
            tags = shared_server.get(f"/instances/{identifier}/simplified-tags")
            for keyword in ("PatientName", "ContentCreatorName", "OtherPatientNames"):
                assert keyword not in tags or source.get(keyword) != tags[keyword]
                setattr(source, keyword, tags.get(keyword))
    assert len(sources) > 15
    found = records(shared_server)
    for uid, source in sources.items():
        study, series, instance = found[uid]
        for record, table in ((study, STUDY), (series, SERIES), (instance, INSTANCE)):
            check(record, table, source)


def test_original_attributes_stand_at_their_level(server: Server) -> None:
    server.store(archive.encode(modified()))
    ((study, series, instance),) = records(server).values()
    names = []
    for record in (study, series, instance):
        (item,) = record.OriginalAttributesSequence
        assert (item.ModifyingSystem, item.ReasonForTheAttributeModification) == ("PACS", "COERCE")
        assert (item.SourceOfPreviousValues, item.AttributeModificationDateTime) == ("Modality", "20240131101530+0100")
        (values,) = item.ModifiedAttributesSequence
        names.append({element.keyword for element in values})
    assert names == [
        {"PatientName", "AccessionNumber", "ProcedureCodeSequence"}, {"SeriesDescription"}, {"InstanceNumber", "ImageComments"},
    ]
    (values,) = study.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert str(values.PatientName) == "Früher^Anna" and plain(values.ProcedureCodeSequence[0]) == plain(code())


@pytest.mark.parametrize("detail", ["Index", "Files"])
def test_what_orthanc_modified_tells_what_it_was(server: Server, detail: str) -> None:
    server.store(archive.file(1, 1, 1, 1), archive.file(1, 1, 1, 2))
    (original,) = server.get("/studies")
    server.post(f"/studies/{original}/modify", {"Replace": {"StudyDescription": "Abdomen"}})
    studies = {study.StudyInstanceUID: study for study in server.studies(server.make(Detail=detail))}
    before = studies.pop(archive.uid(1, 1))
    assert "OriginalAttributesSequence" not in before
    ((_, study),) = studies.items()
    (item,) = study.OriginalAttributesSequence
    assert item.ModifyingSystem == "TEST" and item.ReasonForTheAttributeModification == "CORRECT"
    assert item.AttributeModificationDateTime == study.StudyUpdateDateTime
    assert plain(item.ModifiedAttributesSequence[0]) == {
        "StudyDescription": ["Thorax"], "StudyInstanceUID": [archive.uid(1, 1)],
    }
    (series,) = study.InventoriedSeriesSequence
    assert series.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].SeriesInstanceUID == archive.uid(1, 1, 1)
    originals = {
        instance.InstanceNumber: instance.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].SOPInstanceUID
        for instance in series.InventoriedInstancesSequence
    }
    assert originals == {1: archive.uid(1, 1, 1, 1), 2: archive.uid(1, 1, 1, 2)}
    server.delete(f"/studies/{original}")
    (study,) = server.studies(server.make(Detail=detail))
    assert "OriginalAttributesSequence" not in study  # nobody knows any more


def test_what_was_anonymised_does_not_tell_of_whom(server: Server) -> None:
    server.store(archive.file(1, 1))
    (original,) = server.get("/studies")
    server.post(f"/studies/{original}/anonymize", {})
    for study in server.studies(server.make(**FILES)):
        assert not [element for element in study.iterall() if element.keyword == "OriginalAttributesSequence"]


def test_the_index_wins_where_objects_disagree(server: Server) -> None:
    server.store(archive.file(1, 1, 1, 1))
    server.store(*(archive.file(1, 1, number, 1, StudyDescription="Other", PatientName="X") for number in range(2, 6)))
    (study,) = server.studies(server.make(**FILES))
    assert (study.StudyDescription, str(study.PatientName)) == ("Thorax", "Family1^Given")


def test_a_header_that_cannot_be_read_is_counted_and_its_record_is_true(server: Server) -> None:
    server.store(archive.file(1, 1, 1, 1, Rows=512), archive.file(1, 1, 1, 2, Rows=512), archive.file(2, 1, 1, 1, Rows=512))
    (lost,) = server.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": archive.uid(2, 1, 1, 1)}})
    server.delete_file(lost)
    server.reset()  # so that nothing is left in Orthanc's cache
    for level in ("STUDY", "SERIES", "INSTANCE"):
        summary = server.make(**FILES, Level=level)
        transaction = server.transaction(summary["TransactionUID"])
        assert (transaction["UnreadHeaders"], transaction["Skipped"]) == (1, [])
        assert "1 headers could not be read" in transaction["TransactionStatusComment"]
        assert summary["Studies"] == 2 and summary["InventoryCompletionStatus"] == "COMPLETE"
    rows = {
        instance.SOPInstanceUID: instance.get("Rows")
        for study in server.studies(summary) for series in study.InventoriedSeriesSequence
        for instance in series.InventoriedInstancesSequence
    }
    assert rows == {archive.uid(1, 1, 1, 1): 512, archive.uid(1, 1, 1, 2): 512, archive.uid(2, 1, 1, 1): None}


@pytest.mark.parametrize("level", LEVELS)
def test_an_object_that_is_deleted_before_its_header_is_read_is_out(make_server: Callable[..., Server], level: str) -> None:
    text = """
from orthanc_inventory.sources.headers import Headers
def delete(self, identifier):
    orthanc.RestApiDelete("/instances/" + identifier)
at(Headers, "read", [1], delete)
"""
    server = make_server().start_with(text)
    server.store(archive.file(1, 1, 1, 1, Rows=512), archive.file(1, 1, 1, 2, Rows=512))
    summary = server.make(**FILES, Level=level)
    (study,) = server.studies(summary)
    assert study.NumberOfStudyRelatedInstances == 1
    assert server.transaction(summary["TransactionUID"])["UnreadHeaders"] == 0


def test_headers_of_kept_inventories_are_not_read(make_server: Callable[..., Server]) -> None:
    text = """
from orthanc_inventory.sources.headers import Headers
at(Headers, "read", always, lambda self, identifier: open(folder + "/read", "a").write(identifier + "\\n"))
"""
    server = make_server().start_with(text)
    (identifier,) = server.store(archive.file(1, 1))
    for _ in range(2):
        server.make(**FILES)
    assert len(server.get("/instances")) == 3
    assert (server.folder / "read").read_text().split() == [identifier, identifier]


def test_odd_values_are_brought_into_form_or_left_out(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
        data = archive.dataset(
            1, 1, 1, 1, ContentDate="2024.01.31", ContentTime="noon", ObservationDateTime="tomorrow", ContentLabel="lower case",
            ContentDescription="line\nfeed " + "x" * 100, TimezoneOffsetFromUTC="+0100", ContentCreatorName="A^B=C=D=E",
            ProcedureCodeSequence=[data_set(CodeValue="1", CodingSchemeDesignator="X"), code(), Dataset()],
            SpecimenDescriptionSequence=[data_set(SpecimenIdentifier="S", SpecimenUID="not a UID")],
            ReferencedRequestSequence=[], PhysiciansOfRecord="", AccessionNumber=None, RequestAttributesSequence=[Dataset()],
            IssuerOfPatientIDQualifiersSequence=[data_set(UniversalEntityID="U" * 70_000, UniversalEntityIDType="ISO")],
            PatientComments="c" * 70_000, RelatedGeneralSOPClassUID=["1.2.3", "1.2.x"],
        )
        data.add_new(0x00090010, "LO", "ACME")
        data.add_new(0x00091001, "LO", "private")
        data.add_new(0x00091002, "UN", bytes(70_000))
        server.store(archive.encode(data))
        pydicom.config.settings.writing_validation_mode = None
    ((study, _, instance),) = records(server).values()
    assert (instance.ContentDate, instance.get("ContentTime"), instance.get("ObservationDateTime")) == ("20240131", None, None)
    assert (instance.ContentLabel, instance.ContentDescription[:10]) == ("LOWER CASE", "line feed ")
    assert len(instance.ContentDescription) == 64 and instance.RelatedGeneralSOPClassUID == "1.2.3"
    assert str(instance.ContentCreatorName) == "A^B=C=D" and "SpecimenDescriptionSequence" not in instance
    assert [item.CodeMeaning for item in study.ProcedureCodeSequence] == ["Befund: Schädel"]
    assert study.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "U" * 70_000
    (transaction,) = server.get("/inventories/transactions?expand")
    assert transaction["CorrectedValues"] >= 8


def test_identifiers_can_be_left_out_of_details_too(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"PatientIdentifiers": False, **FILES}).start()
    server.store(*(archive.encode(make()) for make in (*KINDS.values(), modified)))
    summary = server.make()
    assert summary["Detail"] == "Files"
    file = server.request("GET", f"/inventories/{summary['SOPInstanceUID']}/file").content
    words = (
        "Müller", "Straße", "Weiß", "Klinik", "OTHER-1", "Früher", "ACC-1", "RP1", "PO1", "S-1", "Block", "Lunge", "Kopf",
        "was this", "LUNG",
    )
    assert not [word for word in words if word.encode() in file]
    assert b"Bericht" in file  # the title of a report is no name


def test_detail_is_a_key_of_the_configuration_and_of_the_request(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory=FILES).start()
    server.store(archive.file(1, 1, Rows=512))
    for body, wanted in (({}, "Files"), ({"Detail": "Index"}, "Index")):
        summary = server.make(**body)
        (study,) = server.studies(summary)
        instance = study.InventoriedSeriesSequence[0].InventoriedInstancesSequence[0]
        assert ("Rows" in instance) == (wanted == "Files") and summary["Detail"] == wanted
        assert server.transaction(summary["TransactionUID"])["Detail"] == wanted
    status = server.get("/inventories/status")
    assert status["Detail"] == "Files" and "headers by" in status["Source"]
    message = server.error("POST", "/inventories", 400, json={"Detail": "Pixels"})
    assert message == "Detail must be one of Index, Files"


def test_a_run_keeps_its_detail_over_a_restart(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"ThrottleDelay": 100, "MaxRecordsPerInstance": 3}).start()
    server.store(*(archive.file(number, 1, Rows=512) for number in range(1, 9)))
    uid = server.begin(**FILES)
    server.wait_until(uid, Studies=2)
    server.kill()
    server.start()
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Detail"]) == ("Success", "Files")
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    rows = [study.InventoriedSeriesSequence[0].InventoriedInstancesSequence[0].Rows for study in server.studies(summary)]
    assert rows == [512] * 8


def test_sequences_among_the_main_dicom_tags_are_records_too(make_server: Callable[..., Server]) -> None:
    extra = {
        "Study": ["ProcedureCodeSequence", "IssuerOfPatientID", "NameOfPhysiciansReadingStudy", "OtherPatientIDsSequence"],
        "Series": ["RequestAttributesSequence", "Laterality"],
        "Instance": ["Rows", "ConceptNameCodeSequence", "ContentDate", "LossyImageCompressionRatio"],
    }
    server = make_server(configuration={"ExtraMainDicomTags": extra}).start()
    data = archive.dataset(
        1, 1, 1, 1, Rows=512, ContentDate="20240131", ConceptNameCodeSequence=[code()], LossyImageCompressionRatio="5",
        **STUDY_VALUES, **SERIES_VALUES,
    )
    server.store(archive.encode(data))
    (study,) = server.studies(server.make())
    (series,) = study.InventoriedSeriesSequence
    (instance,) = series.InventoriedInstancesSequence
    if "MainDicomTags" not in server.get("/system"):  # Orthanc before 1.11
        assert "Rows" not in instance and "ProcedureCodeSequence" not in study
        return
    source = read(archive.encode(data))
    levels = (
        (study, STUDY, extra["Study"]), (series, SERIES, extra["Series"]), (instance, INSTANCE, extra["Instance"][:3]),
    )
    for record, table, keywords in levels:
        rows = [row for row in table if row.keyword in keywords]
        assert plain(record, set(keywords).__contains__) == plain(expected(rows, source))
    assert instance.FileAccessSequence[0].LossyImageCompressionRatio == 5


def test_what_can_be_fetched_is_online(server: Server) -> None:
    server.store(archive.file(1, 1))
    (study,) = server.studies(server.make())
    assert study.InstanceAvailability == study.InventoriedSeriesSequence[0].InstanceAvailability == "ONLINE"
