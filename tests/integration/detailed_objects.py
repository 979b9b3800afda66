"""Objects whose headers say all that a record can hold: a report, a presentation state, a slide, a multi-frame image."""

from __future__ import annotations

import copy
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage, EnhancedCTImageStorage, GrayscaleSoftcopyPresentationStateStorage,
    VLWholeSlideMicroscopyImageStorage,
)

from . import archive


def data_set(**attributes: Any) -> Dataset:
    result = Dataset()
    for keyword, value in attributes.items():
        setattr(result, keyword, value)
    return result


def code(value: str = "121181", meaning: str = "Befund: Schädel", **more: Any) -> Dataset:
    return data_set(CodeValue=value, CodingSchemeDesignator="99TEST", CodeMeaning=meaning, **more)


REQUEST = {
    "AccessionNumber": "ACC-1", "StudyInstanceUID": archive.uid(9, 9), "RequestedProcedureID": "RP1",
    "IssuerOfAccessionNumberSequence": [
        data_set(LocalNamespaceEntityID="RIS", UniversalEntityID="1.2.3", UniversalEntityIDType="ISO"),
    ],
    "RequestedProcedureDescription": "Kopf nativ", "RequestedProcedureCodeSequence": [code("P1", "CT Kopf")],
    "ReferencedStudySequence": [data_set(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID="1.2.3.4")],
    "ReasonForTheRequestedProcedure": "Kontrolle",
}
PERSON = data_set(
    PersonIdentificationCodeSequence=[code("D1", "Dr. Müller")], PersonAddress="Straße 1\r\n80331 München",
    PersonTelephoneNumbers=["+49 89 1", "+49 89 2"], PersonTelecomInformation="mailto:" + "m" * 400, InstitutionName="Klinik",
    InstitutionCodeSequence=[code("I1", "Klinik")], InstitutionalDepartmentName="Radiologie",
)
ISSUER = data_set(
    UniversalEntityID="2.16.756", UniversalEntityIDType="ISO", IdentifierTypeCode="MR",
    AssigningFacilitySequence=[data_set(LocalNamespaceEntityID="ADT")],
    AssigningJurisdictionCodeSequence=[code("CH", "Schweiz")],
)
STUDY_VALUES: dict[str, Any] = {
    "ProcedureCodeSequence": [code(EquivalentCodeSequence=[code("E1", "gleich")]), code("2", "zweiter")],
    "NameOfPhysiciansReadingStudy": ["Weiß^Eva", "Šimek^Jan"],
    "PhysiciansReadingStudyIdentificationSequence": [PERSON, PERSON],
    "ConsultingPhysicianName": ["Berger^Ida"], "ConsultingPhysicianIdentificationSequence": [PERSON],
    "PhysiciansOfRecord": ["Record^One"], "PhysiciansOfRecordIdentificationSequence": [PERSON],
    "ReferringPhysicianIdentificationSequence": [PERSON],
    "IssuerOfAccessionNumberSequence": [data_set(LocalNamespaceEntityID="RIS")],
    "IssuerOfPatientID": "Klinik", "IssuerOfPatientIDQualifiersSequence": [ISSUER],
    "OtherPatientIDsSequence": [
        data_set(PatientID="OTHER-1", IssuerOfPatientID="Anderswo", IssuerOfPatientIDQualifiersSequence=[ISSUER]),
        data_set(PatientID="OTHER-2"),
    ],
    "OtherPatientNames": ["Früher^Anna", "Noch^Früher"],
}
SERIES_VALUES: dict[str, Any] = {
    "BodyPartExamined": "HEAD", "Laterality": "L", "SeriesTime": "101112.5",
    "RequestAttributesSequence": [
        data_set(
            **REQUEST, ScheduledProcedureStepID="S1", ScheduledProcedureStepDescription="Schritt",
            ScheduledProtocolCodeSequence=[
                code("SP", "Protokoll", ProtocolContextSequence=[
                    data_set(ValueType="NUMERIC", ConceptNameCodeSequence=[code("N", "Dicke")], NumericValue=["1.5"],
                             FloatingPointValue=1.5, MeasurementUnitsCodeSequence=[code("mm", "mm")]),
                ]),
            ],
        ),
        data_set(RequestedProcedureID="RP2", ScheduledProcedureStepID="S2"),
    ],
}
REGIONS = [code("T-D1100", "Head")]


def sr() -> Dataset:
    return archive.dataset(
        1, 1, 1, 1, **STUDY_VALUES, **SERIES_VALUES, SOPClassUID=BasicTextSRStorage, Modality="SR",
        AnatomicRegionSequence=REGIONS, ContentDate="20240131", ContentTime="101530.123",
        TimezoneOffsetFromUTC="+0100", ObservationDateTime="20240131101530+0100",
        ConceptNameCodeSequence=[data_set(LongCodeValue="L" * 400, CodingSchemeDesignator="99TEST", CodeMeaning="Bericht")],
        ContentTemplateSequence=[data_set(MappingResource="DCMR", TemplateIdentifier="2000")],
        ReferencedRequestSequence=[
            data_set(**REQUEST, PlacerOrderNumberImagingServiceRequest="PO1", FillerOrderNumberImagingServiceRequest="FO1",
                     OrderPlacerIdentifierSequence=[data_set(UniversalEntityID="U" * 300, UniversalEntityIDType="URI")],
                     OrderFillerIdentifierSequence=[data_set(LocalNamespaceEntityID="RIS")]),
        ],
        ContentSequence=[data_set(ValueType="TEXT", TextValue="t" * 70_000) for _ in range(50)],
    )


def presentation_state() -> Dataset:
    return archive.dataset(
        1, 2, 1, 1, SOPClassUID=GrayscaleSoftcopyPresentationStateStorage, Modality="PR", ContentLabel="LUNG WINDOW",
        ContentDescription="Fenster für die Lunge", PresentationCreationDate="20240131", PresentationCreationTime="101530",
        ContentCreatorName="Weiß^Eva", RelatedGeneralSOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
    )


def slide() -> Dataset:
    return archive.dataset(
        1, 3, 1, 1, SOPClassUID=VLWholeSlideMicroscopyImageStorage, Modality="SM", ContainerIdentifier="Block Ä/1",
        SpecimenDescriptionSequence=[
            data_set(SpecimenIdentifier="S-1", SpecimenUID="1.2.3.1", SpecimenShortDescription="not in the record"),
            data_set(SpecimenIdentifier="S-2", SpecimenUID="1.2.3.2"),
        ],
        Rows=256, Columns=300, BitsAllocated=8, NumberOfFrames="1200", ContentDate="20240131", ContentTime="1015",
    )


def enhanced() -> Dataset:
    frame = data_set(
        FrameContentSequence=[data_set(FrameReferenceDateTime="20240131")],
        PixelMeasuresSequence=[data_set(PixelSpacing=["1", "1"])],
    )
    return archive.dataset(
        1, 4, 1, 1, SOPClassUID=EnhancedCTImageStorage, Modality="CT", Rows=4, Columns=4, BitsAllocated=16,
        NumberOfFrames="500",
        PerFrameFunctionalGroupsSequence=[copy.deepcopy(frame) for _ in range(500)], SamplesPerPixel=1, PixelRepresentation=0,
        BitsStored=16, HighBit=15, PhotometricInterpretation="MONOCHROME2", PixelData=bytes(500 * 32),
    )


def modified() -> Dataset:
    return archive.dataset(
        1, 5, 1, 1,
        OriginalAttributesSequence=[
            data_set(
                SourceOfPreviousValues="Modality", AttributeModificationDateTime="20240131101530+0100", ModifyingSystem="PACS",
                ReasonForTheAttributeModification="COERCE",
                ModifiedAttributesSequence=[
                    data_set(PatientName="Früher^Anna", SeriesDescription="old series", InstanceNumber="7",
                             ImageComments="was this", AccessionNumber="", ProcedureCodeSequence=[code()]),
                ],
            )
        ],
    )


KINDS = {"SR": sr, "presentation state": presentation_state, "slide": slide, "enhanced multi-frame": enhanced}
