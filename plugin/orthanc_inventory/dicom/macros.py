"""Rows of the standard's tables as data, and the macros that the tables of the Inventory Module (PS3.3 C.38.1) include.

``identifying`` is marked where a sequence or an attribute begins to tell of a patient or of a person: what is below an
identifying sequence is withheld with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword


class Attribute(NamedTuple):
    """One row: what the attribute is called, how it is encoded and whether it must be there.

    ``type`` is that of the standard (1, 1C, 2, 2C, 3). ``multiple`` tells that more than one value is allowed.
    ``items`` is the table of the items of a sequence; with ``ANY`` they hold attributes of any keyword, and a sequence
    without a table takes items that are already encoded. ``default`` replaces a missing value where the standard forbids
    an empty one. ``identifying`` marks what is left out when patients must not be recognised.
    """

    keyword: str
    tag: int
    vr: str
    type: str
    multiple: bool = False
    items: tuple["Attribute", ...] = ()
    default: str = ""
    identifying: bool = False


def row(
    keyword: str, type: str, items: tuple[Attribute, ...] = (), default: str = "", identifying: bool = False
) -> Attribute:
    """A row with tag, VR and multiplicity of the data dictionary (PS3.6); of several VRs the first.

    Raises:
        ValueError: the dictionary does not know the keyword.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is not a keyword of the DICOM data dictionary")
    vr = dictionary_VR(tag).split(" ")[0]
    return Attribute(keyword, tag, vr, type, dictionary_VM(tag) != "1", items, default, identifying)


# Stands for the table of all attributes that there are: the items of Modified Attributes Sequence (0400,0550).
ANY = (Attribute("any", 0, "", "3"),)


def any_table(keywords: Iterable[str]) -> tuple[Attribute, ...]:
    """Rows for the keywords that the data dictionary knows: each is written, even if it has no value."""
    rows = (row(keyword, "2") for keyword in keywords if tag_for_keyword(keyword) is not None)
    return tuple(entry._replace(items=ANY) if entry.vr == "SQ" else entry for entry in rows)


# Code Sequence Macro (Table 8.8-1) without the codes that mean the same: those do not nest.
_CODE = (
    row("CodeValue", "1C"),
    row("CodingSchemeDesignator", "1C"),
    row("CodingSchemeVersion", "1C"),
    row("CodeMeaning", "1"),
    row("LongCodeValue", "1C"),
    row("URNCodeValue", "1C"),
    row("ContextIdentifier", "3"),
    row("ContextUID", "3"),
    row("MappingResource", "1C"),
    row("MappingResourceUID", "3"),
    row("MappingResourceName", "3"),
    row("ContextGroupVersion", "1C"),
    row("ContextGroupExtensionFlag", "3"),
    row("ContextGroupLocalVersion", "1C"),
    row("ContextGroupExtensionCreatorUID", "1C"),
)
CODE = _CODE + (row("EquivalentCodeSequence", "3", _CODE),)

# Person Identification Macro (Table 10-1)
PERSON_IDENTIFICATION = (
    row("PersonIdentificationCodeSequence", "1", CODE),
    row("PersonAddress", "3"),
    row("PersonTelephoneNumbers", "3"),
    row("PersonTelecomInformation", "3"),
    row("InstitutionName", "1C"),
    row("InstitutionAddress", "3"),
    row("InstitutionCodeSequence", "1C", CODE),
    row("InstitutionalDepartmentName", "3"),
    row("InstitutionalDepartmentTypeCodeSequence", "3", CODE),
)

# HL7v2 Hierarchic Designator Macro (Table 10-17)
HIERARCHIC_DESIGNATOR = (
    row("LocalNamespaceEntityID", "1C"),
    row("UniversalEntityID", "1C"),
    row("UniversalEntityIDType", "1C"),
)

# Issuer of Patient ID Macro (Table 10-18)
ISSUER_OF_PATIENT_ID = (
    row("IssuerOfPatientID", "3", identifying=True),
    row(
        "IssuerOfPatientIDQualifiersSequence",
        "3",
        (
            row("UniversalEntityID", "3"),
            row("UniversalEntityIDType", "1C"),
            row("IdentifierTypeCode", "3"),
            row("AssigningFacilitySequence", "3", HIERARCHIC_DESIGNATOR),
            row("AssigningJurisdictionCodeSequence", "3", CODE),
            row("AssigningAgencyOrDepartmentCodeSequence", "3", CODE),
        ),
        identifying=True,
    ),
)

# SOP Instance Reference Macro (Table 10-11), and with frames, channels and segments (Table 10-3)
REFERENCE = (
    row("ReferencedSOPClassUID", "1"),
    row("ReferencedSOPInstanceUID", "1"),
)
IMAGE_REFERENCE = REFERENCE + (
    row("ReferencedFrameNumber", "1C"),
    row("ReferencedSegmentNumber", "1C"),
    row("ReferencedWaveformChannels", "1C"),
)

# Content Item Macro (Table 10-2)
CONTENT_ITEM = (
    row("ValueType", "1"),
    row("ObservationDateTime", "3"),
    row("ObservationStartDateTime", "3"),
    row("ConceptNameCodeSequence", "1", CODE),
    row("DateTime", "1C"),
    row("Date", "1C"),
    row("Time", "1C"),
    row("PersonName", "1C"),
    row("UID", "1C"),
    row("TextValue", "1C"),
    row("ConceptCodeSequence", "1C", CODE),
    row("NumericValue", "1C"),
    row("FloatingPointValue", "1C"),
    row("RationalNumeratorValue", "1C"),
    row("RationalDenominatorValue", "1C"),
    row("MeasurementUnitsCodeSequence", "1C", CODE),
    row("ReferencedSOPSequence", "1C", IMAGE_REFERENCE),
)

# Request Attributes Macro (Table 10-9)
REQUEST_ATTRIBUTES = (
    row("RequestedProcedureID", "1C"),
    row("AccessionNumber", "3"),
    row("IssuerOfAccessionNumberSequence", "3", HIERARCHIC_DESIGNATOR),
    row("StudyInstanceUID", "3"),
    row("ReferencedStudySequence", "3", REFERENCE),
    row("RequestedProcedureDescription", "3"),
    row("RequestedProcedureCodeSequence", "3", CODE),
    row("ReasonForTheRequestedProcedure", "3"),
    row("ReasonForRequestedProcedureCodeSequence", "3", CODE),
    row("ScheduledProcedureStepID", "1C"),
    row("ScheduledProcedureStepDescription", "3"),
    row(
        "ScheduledProtocolCodeSequence",
        "3",
        CODE
        + (
            row(
                "ProtocolContextSequence",
                "3",
                CONTENT_ITEM + (row("ContentItemModifierSequence", "3", CONTENT_ITEM),),
            ),
        ),
    ),
)

# Referenced Request Macro (Table C.17-3c)
REFERENCED_REQUEST = (
    row("StudyInstanceUID", "1"),
    row("ReferencedStudySequence", "2", REFERENCE),
    row("AccessionNumber", "2"),
    row("IssuerOfAccessionNumberSequence", "3", HIERARCHIC_DESIGNATOR),
    row("PlacerOrderNumberImagingServiceRequest", "2"),
    row("OrderPlacerIdentifierSequence", "3", HIERARCHIC_DESIGNATOR),
    row("FillerOrderNumberImagingServiceRequest", "2"),
    row("OrderFillerIdentifierSequence", "3", HIERARCHIC_DESIGNATOR),
    row("RequestedProcedureID", "2"),
    row("RequestedProcedureDescription", "2"),
    row("RequestedProcedureCodeSequence", "2", CODE),
    row("ReasonForTheRequestedProcedure", "3"),
    row("ReasonForRequestedProcedureCodeSequence", "3", CODE),
)

# Original Attributes Macro (Table C.12.1.1.9-1): earlier values can be anything that identified a patient.
ORIGINAL_ATTRIBUTES = (
    row(
        "OriginalAttributesSequence",
        "3",
        (
            row("SourceOfPreviousValues", "2"),
            row("AttributeModificationDateTime", "1"),
            row("ModifyingSystem", "1"),
            row("ReasonForTheAttributeModification", "1"),
            row("ModifiedAttributesSequence", "1", ANY),
            row(
                "NonconformingModifiedAttributesSequence",
                "3",
                (
                    row("SelectorAttribute", "1C"),
                    row("SelectorValueNumber", "1C"),
                    row("SelectorSequencePointer", "1C"),
                    row("SelectorSequencePointerPrivateCreator", "1C"),
                    row("SelectorSequencePointerItems", "1C"),
                    row("SelectorAttributePrivateCreator", "1C"),
                    row("NonconformingDataElementValue", "1"),
                ),
            ),
        ),
        identifying=True,
    ),
)

# Stored File Access Macro (Table C.38.2-2). File Length in Container is allowed for a plain file too.
STORED_FILE_ACCESS = (
    row("FileAccessURI", "1C"),
    row("ContainerFileType", "1C"),
    row("FilenameInContainer", "1C"),
    row("FileOffsetInContainer", "1C"),
    row("FileLengthInContainer", "1C"),
    row("StoredInstanceTransferSyntaxUID", "1C"),
    row("LossyImageCompressionRatio", "3"),
    row("MACAlgorithm", "1C"),
    row("MAC", "3"),
)
FILE_ACCESS_ITEM = STORED_FILE_ACCESS + (row("ExpirationDateTime", "3"),)

# What study and series items say alike: withdrawal (C.38.1.2), and how to reach all files at once.
REMOVAL = (
    row("RemovedFromOperationalUse", "1C"),
    row("ReasonForRemovalCodeSequence", "2C", CODE),
)
FILE_SET_ACCESS = (
    row(
        "FileSetAccessSequence",
        "3",
        (
            row("FolderAccessURI", "3"),
            row("FileAccessURI", "3"),
            row("ContainerFileType", "1C"),
        ),
    ),
)
