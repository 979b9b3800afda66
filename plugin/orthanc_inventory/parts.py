"""What the configuration and the abilities of this Orthanc make of the parts of the plugin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import __version__
from .config import SECTION, InvalidConfiguration
from .dicom.scope import InvalidScope, Scope
from .dicom.terms import LEVELS
from .dicom.values import legal_value
from .host import Host
from .production.damage import opened
from .production.instance_writer import MANUFACTURER, Settings
from .production.journal import Journal
from .production.leases import SharedLeases
from .production.schedule import Schedule
from .production.shared_database import SharedDatabase
from .production.shared_folder import shared_folder
from .production.state_directory import StateDirectory
from .production.throttle import Throttle
from .sources import Source, key_objects
from .sources.details import Details
from .sources.find import Find
from .sources.resources import BulkResources, FindResources
from .sources.index import IndexSource
from .sources.matches import Records
from .sources.objects import Objects
from .sources.originals import Originals
from .sources.query import IndexQuery, recorded_tags
from .sources.rejections import Rejections
from .sources.repository import Repository
from .sources.study_order import StudyOrder
from .sources.snapshots import Snapshots
from .sources.tables import Tables
from .sources.walk import Walk
from .stores.orthanc import PSEUDO_PATIENT


def state_folder(host: Host, configured: str) -> Path:
    """Relative paths begin at the folder of Orthanc's configuration, as its own do."""
    if configured:
        return host.folder_of_configuration / configured
    configuration = host.configuration
    index = configuration.get("IndexDirectory") or configuration.get("StorageDirectory") or "OrthancStorage"
    return host.folder_of_configuration / index / "inventory"


def make_journal(host: Host, configuration: Mapping[str, Any], state_directory: StateDirectory) -> tuple[Journal, Path]:
    """The journal, and the folder of the inventories that are kept as files.

    Raises:
        NotUsable
    """
    shared = configuration["SharedJournal"]
    if not shared["Enable"]:
        return opened(state_directory.journal, Journal, host.log_error), state_directory.instances
    section = postgresql_section(host, configuration)
    database = SharedDatabase(section)
    try:
        journal = Journal(database, SharedLeases(SharedDatabase(section), shared["LeaseSeconds"]))
    except BaseException:
        database.close()
        raise
    try:
        return journal, shared_folder(host.folder_of_configuration / shared["Folder"], database)
    except BaseException:
        journal.close()
        raise


def is_alone(host: Host, system: Mapping[str, Any]) -> bool:
    """Whether no other Orthanc can change the index: on what a plugin keeps, several can work, unless it locks it."""
    backend = system.get("DatabaseBackendPlugin")
    return not backend or ("PostgreSQL" in backend and host.configuration.get("PostgreSQL", {}).get("Lock") is True)


def make_source(
    host: Host,
    configuration: Mapping[str, Any],
    system: Mapping[str, Any],
    detail: str,
    snapshots: Snapshots | None = None,
) -> IndexSource:
    """Orthanc tells whether it has the extended find: with it reading by ID is slow, without it nothing else is fast."""
    objects = _objects(host, configuration)
    strategy = Find(host, objects) if _has_extended_find(system) else Walk(host, objects)
    details = Details(host) if detail == "Files" else None
    query = IndexQuery(host, system, files=detail == "Files")
    access = _study_access(configuration, system)
    originals = _originals(host, system)
    return IndexSource(
        host, strategy, query, PSEUDO_PATIENT, access, objects, originals, _rejections(host, system), details, snapshots
    )


def make_repository(
    host: Host, configuration: Mapping[str, Any], system: Mapping[str, Any], alone: bool, snapshots: Snapshots | None
) -> Repository:
    """``alone`` is whether no other Orthanc works on the index."""
    base_uri = configuration["FileAccess"]["BaseUri"]
    query = IndexQuery(host, system, files=False)
    access = _study_access(configuration, system)
    records = Records(_objects(host, configuration), _originals(host, system), query, access, base_uri)
    resources = FindResources(host) if _has_extended_find(system) else BulkResources(host)
    return Repository(
        host, resources, StudyOrder(host, alone), query, records, PSEUDO_PATIENT, lambda: _rejections(host, system), snapshots
    )


def postgresql_section(host: Host, configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    own = configuration["PostgreSQL"]
    return {"EnableIndex": False, **host.configuration.get("PostgreSQL", {})} if own is True else own


def make_snapshots(host: Host, configuration: Mapping[str, Any], system: Mapping[str, Any]) -> Snapshots | None:
    """None: the administrator gave no connection to PostgreSQL."""
    if not configuration["PostgreSQL"]:
        return None
    section = postgresql_section(host, configuration)
    tags = {level: recorded_tags(level, system.get("MainDicomTags")) for level in LEVELS}
    tables = Tables(tags, labels=bool(system.get("HasLabels")))
    backend = system.get("DatabaseBackendPlugin") or ""
    return Snapshots(host, section, backend, tables)


def _objects(host: Host, configuration: Mapping[str, Any]) -> Objects:
    return Objects(host, bool(configuration["FileAccess"]["BaseUri"]), configuration["Checksums"])


def make_schedules(configuration: Mapping[str, Any], source: Source) -> list[Schedule]:
    """Raises: InvalidConfiguration, where the index cannot answer a scope."""
    schedules = []
    for position, configured in enumerate(configuration["Schedules"]):
        try:
            scope = Scope.parse(configured["Scope"], configuration["Timezone"])
            source.check(scope)
        except InvalidScope as error:
            raise InvalidConfiguration(f"{SECTION}.Schedules[{position}].{error}") from None
        schedules.append(Schedule(configured, scope))
    return schedules


def _has_extended_find(system: Mapping[str, Any]) -> bool:
    return system.get("Capabilities", {}).get("HasExtendedFind", False)


def _rejections(host: Host, system: Mapping[str, Any]) -> Rejections:
    # Its pages overlap by one series, so there must be two on each.
    has_pages = _has_extended_find(system) and host.configuration.get("LimitFindResults", 0) != 1
    return Rejections(host, key_objects.in_pages if has_pages else key_objects.one_by_one)


def _originals(host: Host, system: Mapping[str, Any]) -> Originals:
    return Originals(host, legal_value("LO", system.get("Name", "")) or "Orthanc")


def _study_access(configuration: Mapping[str, Any], system: Mapping[str, Any]) -> dict[str, str]:
    """From where studies can be fetched: Retrieve AE Title and Retrieve URL."""
    access = {"RetrieveAETitle": configuration["RetrieveAeTitle"] or system["DicomAet"]}
    if configuration["RetrieveUrl"]:
        access["RetrieveURL"] = configuration["RetrieveUrl"]
    return access


def make_throttle(host: Host, configuration: Mapping[str, Any]) -> Throttle:
    delay = configuration["ThrottleDelay"] / 1000
    if configuration["Throttle"] == "Delay":
        return Throttle(delay)
    # It waits for the index as all that others ask for does, and costs the same in any archive.
    return Throttle(delay, lambda: host.get("/changes?last"), host.log)


def make_settings(configuration: Mapping[str, Any], system: Mapping[str, Any], throttle: Throttle) -> Settings:
    base_uri = configuration["FileAccess"]["BaseUri"]
    base = {"StoredInstanceBaseURI": base_uri} if base_uri else {}
    attributes: dict[str, Any] = {
        "Manufacturer": MANUFACTURER,
        "ManufacturerModelName": "Orthanc",
        "SoftwareVersions": f"orthanc-inventory {__version__}\\Orthanc {legal_value('LO', system['Version'])}",
        "StudyAccessEndPointsSequence": [{**_study_access(configuration, system), **base}],
    }
    if station := legal_value("SH", system.get("Name", "")):
        attributes["StationName"] = station
    retrieval = {"RetrieveAETitle": configuration["Dimse"]["AeTitle"]} if configuration["Dimse"]["Enable"] else {}
    if configuration["RetrieveUrl"] and configuration["DicomWeb"]["Enable"]:
        # Both services of DICOMweb have one base.
        retrieval["RetrieveURL"] = configuration["RetrieveUrl"]
    if base or retrieval:
        attributes["InventoryAccessEndPointsSequence"] = [{**retrieval, **base}]
    return Settings(
        store=configuration["StoreIn"],
        records_per_instance=configuration["MaxRecordsPerInstance"],
        throttle=throttle,
        timezone=configuration["Timezone"],
        attributes=attributes,
        days=configuration["Retention"]["Days"],
        reference_access={"FileAccessURI": "./inventories/{uid}/file", "ContainerFileType": "DICOM"} if base else {},
    )


def facts(
    host: Host, configuration: Mapping[str, Any], system: Mapping[str, Any], source: Source, throttle: Throttle
) -> dict[str, Any]:
    return {
        "Version": __version__,
        "OrthancVersion": system["Version"],
        "Source": source.name,
        "Capabilities": {
            "ExtendedFind": _has_extended_find(system),
            "StreamedAnswers": host.can_stream,
        },
        "StoreIn": configuration["StoreIn"],
        "Level": configuration["Level"],
        "Detail": configuration["Detail"],
        "Throttle": configuration["Throttle"],
        "Resting": round(100 * throttle.share),
    }
