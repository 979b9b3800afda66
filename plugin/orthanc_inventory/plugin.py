"""The plugin as a whole: made from its parts when Orthanc has started, taken apart when it stops.

There is no state outside ``Plugin``, so that ``POST /tools/reset``, which loads the plugin anew in the same process, finds
nothing of its former life.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from . import __version__
from .config import InvalidConfiguration, read_configuration
from .host import Answer, Host, Request, RestError, describe
from .parts import (
    facts, is_alone, make_journal, make_repository, make_schedules, make_settings, make_snapshots, make_source,
    make_throttle, state_folder,
)
from .production.catalogue import Catalogue
from .production.changes import Changes
from .production.damage import opened
from .production.database import NewerVersion
from .production.events import Events
from .production.findings import Findings
from .production.imports import Imports
from .production.increment import Increment
from .production.instance_attributes import InstanceAttributes
from .production.journal import Journal
from .production.producer import Producer
from .production.recovery import Recovery
from .production.retention import Retention
from .production.run_queue import Work
from .production.runs import Runs
from .production.schedules import Schedules
from .production.journal_database import trouble
from .production.search import Search
from .production.shared_database import NotUsable
from .production.shared_folder import KEY
from .production.state_directory import StateDirectory, StateDirectoryError
from .production.transaction import CHECKS, DETAILS, Kind, Transaction
from .production.verification import Verification
from .services.dicomweb.routes import DicomWebRoutes, InvalidRoot, root_of
from .services.dicomweb.store import InstanceStore
from .services.dimse.event_reports import EventReports
from .services.dimse.inventory_creation import InventoryCreation
from .services.dimse.inventory_find import InventoryFind
from .services.dimse.inventory_retrieve import InventoryGet, InventoryMove
from .services.dimse.inventory_storage import InventoryStorage
from .services.dimse.repository_query import RepositoryFind
from .services.dimse.server import Dimse
from .services.dimse.verification import Echo
from .services.explorer import EXTENSION
from .services.metrics import observe, observe_schedules
from .services.notifications import Notifications
from .services.other_archives import OtherArchives
from .services.rest.app import AppRoutes
from .services.rest.comparisons import ComparisonRoutes
from .services.rest.exports import ExportRoutes
from .services.rest.imports import ImportRoutes
from .services.rest.inventories import InventoryRoutes
from .services.rest.openapi import OpenApiRoutes
from .services.rest.preview import PreviewRoutes, scope_reader
from .services.rest.router import Router
from .services.rest.schedules import ScheduleRoutes
from .services.rest.status import StatusRoutes
from .services.rest.studies import StudyRoutes
from .services.rest.transactions import TransactionRoutes, public
from .services.rest.verification import VerificationRoutes
from .services.storage import InventoryStore
from .sources.index import IndexSource
from .sources.index_state import IndexState
from .sources.stored_files import StoredFiles
from .stores import Store
from .stores.directory import DirectoryStore
from .stores.orthanc import OrthancStore

# The room that a store must have for a run to begin (bytes); each instance is checked again before it is put there.
_SMALL = 64 * 1024


def register(orthanc: Any, on_change: Callable[[int, int, str], None] | None = None) -> None:
    """Adds the inventory to an Orthanc.

    Args:
        orthanc: the module of that name, which only a PythonScript can import.
        on_change: your own callback for changes. Orthanc allows a single one, so it is called from here.
    """
    # Their warnings tell values of what they read, patient data or whole lines, and would stand in Orthanc's log.
    warnings.filterwarnings("ignore", module="pydicom|pynetdicom")
    Plugin(Host(orthanc), on_change)


class Plugin:
    def __init__(self, host: Host, on_change: Callable[[int, int, str], None] | None) -> None:
        self._host = host
        self._unavailable = "Orthanc is starting, try again"
        self._router: Router | None = None
        self._previews: PreviewRoutes | None = None
        self._comparisons: ComparisonRoutes | None = None
        self._runs: Runs | None = None
        self._changes: Changes | None = None
        self._retention: Retention | None = None
        self._schedules: Schedules | None = None
        self._notifications: Notifications | None = None
        self._journal: Journal | None = None
        self._state_directory: StateDirectory | None = None
        self._attributes: InstanceAttributes | None = None
        self._dimse: Dimse | None = None
        self._dicom_web_root = ""
        self._event_reports: EventReports | None = None
        try:
            self._configuration = read_configuration(host.configuration)
        except InvalidConfiguration as error:
            self._configuration = {}
            self._unavailable = str(error)
            host.log_error(str(error))
        if self._configuration.get("Enable") is False:
            host.on_change(lambda: None, lambda: None, lambda *change: None, on_change)
            return
        host.on_change(self._start, self._stop, self._note, on_change)
        host.register_route("/inventories(/.*)?", self._serve)
        self._dicom_web_root = _dicom_web_root(host, self._configuration)
        if self._dicom_web_root:
            host.register_route(f"{re.escape(self._dicom_web_root)}inventories(/.*)?", self._serve)
        host.extend_explorer(EXTENSION)

    def _serve(self, request: Request) -> Answer:
        if self._router is None:
            raise RestError(503, self._unavailable)
        try:
            return self._router.serve(request)
        except sqlite3.Error as error:
            raise RestError(503, trouble(error)) from None

    def _start(self) -> None:
        if not self._configuration:
            return
        try:
            self._assemble()
        except NotUsable as error:
            self._give_up(f"Inventory.SharedJournal: {error}")
        except (StateDirectoryError, InvalidConfiguration, NewerVersion) as error:
            self._give_up(str(error))
        except sqlite3.Error as error:
            self._give_up(trouble(error))
        except Exception as error:  # Orthanc itself must go on
            self._give_up(f"it cannot start: {describe(error)}")

    def _note(self, level: str, identifier: str, deleted: bool) -> None:
        # What comes before there is a record of changes is found to be a gap in it.
        if self._changes is not None:
            self._changes.note(level, identifier, deleted)

    def _give_up(self, reason: str) -> None:
        self._unavailable = reason
        self._host.log_error(reason)
        self._stop()

    def _assemble(self) -> None:
        host, configuration = self._host, self._configuration
        system = host.get_json("/system")
        self._state_directory = StateDirectory(state_folder(host, configuration["StateDirectory"]))
        self._journal, folder = make_journal(host, configuration, self._state_directory)
        journal = self._journal
        alone = is_alone(host, system)
        self._changes = changes = opened(
            self._state_directory.changes, lambda path: Changes(path, IndexState(host), alone), host.log_error
        )
        changes.start()
        shared = configuration["SharedJournal"]["Enable"]
        directory = DirectoryStore(folder, *[KEY] if shared else ())
        self._dimse = dimse = Dimse(host, configuration, self._state_directory.folder)
        archives_of_others = OtherArchives(host, dimse, system)
        stores: dict[str, Store] = {"Orthanc": OrthancStore(host, self._state_directory.folder), "Directory": directory}
        store = stores[configuration["StoreIn"]]
        snapshots = make_snapshots(host, configuration, system)

        def open_source(detail: str) -> IndexSource:
            """For one reader at a time, as it may hold a snapshot of the index from its begin to its end."""
            return make_source(host, configuration, system, detail, snapshots)

        sources = {detail: open_source(detail) for detail in DETAILS}
        source = sources[configuration["Detail"]]
        throttle = make_throttle(host, configuration)
        settings = make_settings(configuration, system, throttle)
        catalogue = Catalogue(journal, stores)
        if not journal.leases.are_others():  # what seems to be left behind may be under way
            catalogue.finish_deletions(host.log)
            # In an index that is not ours alone others may be at work.
            Recovery(journal, catalogue, stores, frozenset() if alone else frozenset({"Orthanc"}), host.log).run()
        findings = Findings(journal)
        files = StoredFiles(host, system)
        archives = {
            check: make_source(host, {**configuration, "Checksums": check == "MD5"}, system, "Index", snapshots)
            for check in CHECKS
        }

        def measure() -> None:
            observe(host.set_metric, runs, journal, throttle)

        def make_work(transaction: Transaction, interrupted: threading.Event) -> Work:
            if transaction.kind is Kind.VERIFICATION:
                return Verification(
                    transaction, lambda breathe: catalogue.reopen(transaction.verified_uid, breathe),
                    archives[transaction.check], sources.get(transaction.detail), files, findings, journal, throttle,
                    interrupted, host.log, measure,
                )
            if transaction.source:
                return make_harvest(transaction, interrupted)
            source = sources[transaction.detail]
            base = catalogue.inventory(transaction.base) if transaction.base else None
            increment = Increment(base, catalogue, journal, changes, source, host.log) if base else None
            return Producer(
                transaction, source, store, journal, changes, increment, settings, interrupted, host.log, measure
            )

        def make_harvest(transaction: Transaction, interrupted: threading.Event) -> Work:
            return Producer(
                transaction, archives_of_others.open(transaction, interrupted, host.log), store, journal, None, None,
                settings.of_archive(archives_of_others.access(transaction.source)), interrupted, host.log, measure,
            )

        def after_run() -> None:
            retention.wake()
            if notifications is not None:
                notifications.wake()
            with suppress(sqlite3.Error):  # the next run tries again
                changes.forget(catalogue.marks())
                search.forget_deleted()

        keep = {schedule["Name"]: schedule["Keep"] for schedule in configuration["Schedules"] if schedule["Keep"]}
        limits = configuration["Retention"]
        retention = Retention(catalogue, journal.leases, limits["Keep"], limits["Days"], keep, host.log)
        runs = Runs(
            journal, make_work, lambda: store.check(_SMALL), configuration["MaximumPendingRuns"], host.log, measure,
            after_run,
        )
        schedules = Schedules(
            make_schedules(configuration, source), runs, journal, catalogue, configuration["Detail"],
            configuration["PatientIdentifiers"], host.log, lambda: observe_schedules(host.set_metric, schedules),
        )
        notifications = None
        if url := configuration["Notify"]["Url"]:
            notifications = Notifications(url, journal, lambda entry: public(entry, journal.skipped(entry)), host.log)
        self._runs, self._retention, self._schedules, self._notifications = runs, retention, schedules, notifications
        read_scope = scope_reader(sources, configuration["Timezone"])
        self._previews = previews = PreviewRoutes(open_source, read_scope, configuration["Detail"])
        self._comparisons = comparisons = ComparisonRoutes(
            catalogue, self._state_directory.posted, configuration["MaximumImportSize"]
        )
        transactions = TransactionRoutes(runs, journal, catalogue, read_scope, archives_of_others, configuration)
        imports = Imports(journal, directory, "Directory")
        self._attributes = InstanceAttributes(self._state_directory.attributes)
        search = Search(catalogue, self._attributes)
        search.forget_deleted()
        events = Events(journal, settings)
        self._event_reports = event_reports = EventReports(events, dimse.peers, dimse.requestor, host.log)
        routes = [
            *transactions.routes(),
            *VerificationRoutes(catalogue, sources, runs, findings, transactions.accept).routes(),
            *previews.routes(),
            *StatusRoutes(runs, schedules, lambda: facts(host, configuration, system, source, throttle), dimse.status).routes(),
            *ScheduleRoutes(schedules).routes(),
            *InventoryRoutes(catalogue).routes(),
            *StudyRoutes(catalogue).routes(),
            *ExportRoutes(catalogue, self._state_directory.exports).routes(),
            *comparisons.routes(),
            *ImportRoutes(imports, configuration["MaximumImportSize"]).routes(),
            *AppRoutes().routes(),
        ]
        storage = InventoryStore(imports, catalogue)
        if self._dicom_web_root:
            base = configuration["RetrieveUrl"]
            instances = InstanceStore(storage, configuration["MaximumImportSize"], base)
            routes += DicomWebRoutes(self._dicom_web_root, base, catalogue, search, instances).routes()
        routes += OpenApiRoutes(routes).routes()
        measure()
        retention.start()
        schedules.start()
        runs.start()
        if notifications is not None:
            notifications.start()
        dimse.start(
            [
                Echo(),
                InventoryStorage(storage, self._state_directory.folder),
                InventoryFind(search),
                InventoryMove(catalogue, dimse.peers, dimse.requestor),
                InventoryGet(catalogue),
                InventoryCreation(runs, events, event_reports, dimse.peers, source, configuration),
                RepositoryFind(
                    make_repository(host, configuration, system, alone, snapshots),
                    configuration["Dimse"]["MaximumRecords"], configuration["Timezone"],
                ),
            ]
        )
        if configuration["Dimse"]["Enable"]:
            event_reports.start()
        # Who is served by a route finds all the rest at work, too.
        self._router = Router(routes, configuration["Users"])
        kept = f"inventories are kept in {configuration['StoreIn']}" + (", the journal in PostgreSQL" if shared else "")
        host.log(f"version {__version__} is ready; the index is read by {source.name}; {kept}")

    def _stop(self) -> None:
        """Waits for the run, as Orthanc's API works only until this returns."""
        self._router = None
        if self._event_reports is not None:
            self._event_reports.stop()
        if self._dimse is not None:
            self._dimse.stop()
        if self._previews is not None:
            self._previews.stop()
        if self._schedules is not None:
            self._schedules.stop()
        if self._comparisons is not None:
            self._comparisons.stop()
        if self._runs is not None:
            self._runs.stop()
        if self._notifications is not None:
            self._notifications.stop()
        if self._retention is not None:
            self._retention.stop()
        if self._changes is not None:
            self._changes.stop()
        if self._attributes is not None:
            self._attributes.close()
        if self._journal is not None:
            self._journal.close()
        if self._state_directory is not None:
            self._state_directory.close()
        self._comparisons = None
        self._previews = self._runs = self._retention = self._changes = self._journal = self._state_directory = None
        self._schedules = self._notifications = self._dimse = self._event_reports = self._attributes = None


def _dicom_web_root(host: Host, configuration: Mapping[str, Any]) -> str:
    """Below which DICOMweb has inventories; empty if it has none."""
    # What is wrong in the section Inventory is told below that root, too.
    if configuration and not configuration["DicomWeb"]["Enable"]:
        return ""
    try:
        return root_of(host.configuration)
    except InvalidRoot as error:
        host.log_error(str(error))
        return ""
