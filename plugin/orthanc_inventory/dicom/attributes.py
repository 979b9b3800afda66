"""The attributes of the Inventory Module (PS3.3 Table C.38.1-1) as data, one table a level.

The order of rows is that of the standard; the encoder sorts by tag. Sequences that the index of a PACS cannot
fill are not listed.
"""

from __future__ import annotations

from typing import NamedTuple


class Attribute(NamedTuple):
    """One row: what the attribute is called, how it is encoded and whether it must be there.

    ``type`` is that of the standard (1, 1C, 2, 2C, 3). ``multiple`` tells that more than one value is allowed.
    ``items`` is the table of the items of a sequence; a sequence without one takes items that are already encoded.
    ``default`` replaces a missing value where the standard forbids an empty one. ``identifying`` marks what is left
    out when patients must not be recognised.
    """

    keyword: str
    tag: int
    vr: str
    type: str
    multiple: bool = False
    items: tuple["Attribute", ...] = ()
    default: str = ""
    identifying: bool = False


# Stored File Access Macro (Table C.38.2-2). File Length in Container is allowed for a plain file too.
STORED_FILE_ACCESS = (
    Attribute("FileAccessURI", 0x00080409, "UR", "1C"),
    Attribute("ContainerFileType", 0x0008040A, "CS", "1C"),
    Attribute("FilenameInContainer", 0x0008040B, "UR", "1C"),
    Attribute("FileOffsetInContainer", 0x0008040C, "UV", "1C"),
    Attribute("FileLengthInContainer", 0x0008040D, "UV", "1C"),
    Attribute("StoredInstanceTransferSyntaxUID", 0x0008040E, "UI", "1C"),
    Attribute("LossyImageCompressionRatio", 0x00282112, "DS", "3", multiple=True),
    Attribute("MACAlgorithm", 0x04000015, "CS", "1C"),
    Attribute("MAC", 0x04000404, "OB", "3"),
)

FILE_ACCESS_ITEM = STORED_FILE_ACCESS + (Attribute("ExpirationDateTime", 0x00080416, "DT", "3"),)

OTHER_PATIENT_ID_ITEM = (
    Attribute("PatientID", 0x00100020, "LO", "2", identifying=True),
    Attribute("IssuerOfPatientID", 0x00100021, "LO", "3", identifying=True),
)

INSTANCE = (
    Attribute("SOPClassUID", 0x00080016, "UI", "1"),
    Attribute("SOPInstanceUID", 0x00080018, "UI", "1"),
    Attribute("InstanceNumber", 0x00200013, "IS", "2"),
    Attribute("RelatedGeneralSOPClassUID", 0x0008001A, "UI", "3", multiple=True),
    Attribute("ContentDate", 0x00080023, "DA", "3"),
    Attribute("ContentTime", 0x00080033, "TM", "3"),
    Attribute("TimezoneOffsetFromUTC", 0x00080201, "SH", "3"),
    Attribute("Rows", 0x00280010, "US", "3"),
    Attribute("Columns", 0x00280011, "US", "3"),
    Attribute("NumberOfFrames", 0x00280008, "IS", "3"),
    Attribute("BitsAllocated", 0x00280100, "US", "3"),
    Attribute("ObservationDateTime", 0x0040A032, "DT", "3"),
    Attribute("ContainerIdentifier", 0x00400512, "LO", "3", identifying=True),
    Attribute("ContentLabel", 0x00700080, "CS", "3"),
    Attribute("ContentDescription", 0x00700081, "LO", "3", identifying=True),
    Attribute("PresentationCreationDate", 0x00700082, "DA", "3"),
    Attribute("PresentationCreationTime", 0x00700083, "TM", "3"),
    Attribute("ContentCreatorName", 0x00700084, "PN", "3", identifying=True),
    Attribute("RemovedFromOperationalUse", 0x00080405, "CS", "1C"),
    Attribute("InstanceAvailability", 0x00080056, "CS", "3"),
    Attribute("FileAccessSequence", 0x0008041A, "SQ", "3", items=FILE_ACCESS_ITEM),
    Attribute("StorageMediaFileSetID", 0x00880130, "SH", "3"),
)

SERIES = (
    Attribute("SeriesInstanceUID", 0x0020000E, "UI", "1"),
    Attribute("Modality", 0x00080060, "CS", "1", default="OT"),
    Attribute("RemovedFromOperationalUse", 0x00080405, "CS", "1C"),
    Attribute("SeriesNumber", 0x00200011, "IS", "2"),
    Attribute("SeriesDescription", 0x0008103E, "LO", "3", identifying=True),
    Attribute("SeriesDate", 0x00080021, "DA", "3"),
    Attribute("SeriesTime", 0x00080031, "TM", "3"),
    Attribute("BodyPartExamined", 0x00180015, "CS", "3"),
    Attribute("Laterality", 0x00200060, "CS", "3"),
    Attribute("StoredInstanceBaseURI", 0x00080407, "UR", "3"),
    Attribute("InstanceAvailability", 0x00080056, "CS", "3"),
    Attribute("StorageMediaFileSetID", 0x00880130, "SH", "3"),
    Attribute("InventoriedInstancesSequence", 0x00080425, "SQ", "2C"),
)

STUDY = (
    Attribute("StudyInstanceUID", 0x0020000D, "UI", "1"),
    Attribute("ModalitiesInStudy", 0x00080061, "CS", "2", multiple=True),
    Attribute("ItemInventoryDateTime", 0x00080404, "DT", "1"),
    Attribute("RemovedFromOperationalUse", 0x00080405, "CS", "1C"),
    Attribute("NumberOfStudyRelatedSeries", 0x00201206, "IS", "2"),
    Attribute("NumberOfStudyRelatedInstances", 0x00201208, "IS", "2"),
    Attribute("StudyUpdateDateTime", 0x0008041F, "DT", "2"),
    Attribute("StudyID", 0x00200010, "SH", "2", identifying=True),
    Attribute("StudyDate", 0x00080020, "DA", "2"),
    Attribute("StudyTime", 0x00080030, "TM", "2"),
    Attribute("StudyDescription", 0x00081030, "LO", "2", identifying=True),
    Attribute("NameOfPhysiciansReadingStudy", 0x00081060, "PN", "3", multiple=True, identifying=True),
    Attribute("ConsultingPhysicianName", 0x0008009C, "PN", "3", multiple=True, identifying=True),
    Attribute("PhysiciansOfRecord", 0x00081048, "PN", "3", multiple=True, identifying=True),
    Attribute("RetrieveAETitle", 0x00080054, "AE", "1C", multiple=True),
    Attribute("RetrieveURL", 0x00081190, "UR", "1C"),
    Attribute("StoredInstanceBaseURI", 0x00080407, "UR", "3"),
    Attribute("InstanceAvailability", 0x00080056, "CS", "3"),
    Attribute("StorageMediaFileSetID", 0x00880130, "SH", "3"),
    Attribute("AccessionNumber", 0x00080050, "SH", "2", identifying=True),
    Attribute("ReferringPhysicianName", 0x00080090, "PN", "3", identifying=True),
    Attribute("PatientName", 0x00100010, "PN", "2", identifying=True),
    Attribute("PatientID", 0x00100020, "LO", "2", identifying=True),
    Attribute("IssuerOfPatientID", 0x00100021, "LO", "3", identifying=True),
    Attribute("OtherPatientIDsSequence", 0x00101002, "SQ", "3", items=OTHER_PATIENT_ID_ITEM, identifying=True),
    Attribute("PatientBirthDate", 0x00100030, "DA", "2", identifying=True),
    Attribute("PatientSex", 0x00100040, "CS", "2", identifying=True),
    Attribute("OtherPatientNames", 0x00101001, "PN", "3", multiple=True, identifying=True),
    Attribute("InventoriedSeriesSequence", 0x00080424, "SQ", "2C"),
)
