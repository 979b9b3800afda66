from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from orthanc_inventory.dicom.uids import new_uid
from orthanc_inventory.production.journal import Journal
from orthanc_inventory.production.changes import Changes
from orthanc_inventory.production.instance_writer import Settings
from orthanc_inventory.production.producer import Producer
from orthanc_inventory.production.throttle import Throttle
from orthanc_inventory.production.transaction import Transaction, utc_now

from .memory import MemorySource, MemoryStore


# No test is timed: a busy machine is no defect.
settings.register_profile("patient", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("patient")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


@pytest.fixture
def add_transaction(journal: Journal) -> Callable[..., Transaction]:
    """A new transaction that is in the journal."""

    def add(level: str = "INSTANCE", **fields: Any) -> Transaction:
        transaction = Transaction(new_uid(), level, creation_time=utc_now(), **fields)
        journal.add(transaction)
        return transaction

    return add


class Still:
    """An index in which nothing happens."""

    def read(self) -> str:
        return "still"

    def is_unchanged(self, state: str) -> bool:
        return True


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[Changes]:
    changes = Changes(tmp_path / "changes.db", Still(), alone=True)
    yield changes
    changes.stop()


@pytest.fixture
def make_producer(journal: Journal, changes: Changes) -> Callable[..., Producer]:
    def make(transaction: Transaction, source: MemorySource, store: MemoryStore, **settings: Any) -> Producer:
        attributes = {
            "Manufacturer": "orthanc-inventory",
            "StudyAccessEndPointsSequence": [
                {"RetrieveAETitle": "ORTHANC", "StoredInstanceBaseURI": "http://127.0.0.1:8042/"}
            ],
            "InventoryAccessEndPointsSequence": [{"StoredInstanceBaseURI": "http://127.0.0.1:8042/"}],
        }
        chosen: dict[str, Any] = {
            "store": "Memory", "records_per_instance": 50_000, "throttle": Throttle(),
            "timezone": "+0100", "attributes": attributes,
            "reference_access": {"FileAccessURI": "./inventories/{uid}/file", "ContainerFileType": "DICOM"},
            **settings,
        }
        interrupted = chosen.pop("interrupted", threading.Event())
        log = chosen.pop("log", lambda line: None)
        return Producer(
            transaction, source, store, journal, changes, None, Settings(**chosen), interrupted, log, lambda: None
        )

    return make
