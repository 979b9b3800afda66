"""Makes an inventory of another archive, without any Orthanc: over DICOM (--peer), or over DICOMweb (--url).

Over DICOM by Repository Query where the archive has it, else by C-FIND. The inventory is a new folder, which show, compare
and export read; it is there as a whole or not at all. Ends with 0 if the inventory is COMPLETE, with 1 if it is PARTIAL, as
something may lack: what, and why, is told.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .. import __version__
from ..dicom.records import Skipped
from ..dicom.scope import InvalidScope, Scope
from ..dicom.terms import COMPLETE, LEVELS
from ..dicom.uids import new_uid
from ..dicom.values import legal_value
from ..production.instance_writer import Settings
from ..production.journal import Journal
from ..production.producer import Producer
from ..production.throttle import Throttle
from ..production.transaction import DETAILS, Transaction
from ..services.dimse.remote_archive import RemoteArchive
from ..services.remote_dicomweb import RemoteDicomWeb, WebError, listed
from ..sources import SourceFailed
from ..sources.remote import Peer
from ..sources.remote.source import RemoteSource
from ..stores import StoreError
from ..stores.directory import DirectoryStore
from ..stores.orthanc import PSEUDO_PATIENT
from . import DIFFERENT, FINE, CommandError, scopes
from .client import Client, Refused, Unreachable
from .peer import modality, requestor
from .progress import Progress
from .text import number, tell, write_json

NAME = "harvest"
_RECORDS_PER_INSTANCE = 2000
_JSON = "application/dicom+json"
# Reasons that are told one by one; the others are counted.
_MOST_TOLD = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="the new folder for the inventory")
    parser.add_argument(
        "--level", type=str.upper, choices=LEVELS, default=LEVELS[-1], help=f"what is listed (default: {LEVELS[-1]})"
    )
    parser.add_argument(
        "--detail", type=str.capitalize, choices=DETAILS, default=DETAILS[0],
        help="Files: ask for all that an inventory can hold; some archives open each object for that",
    )
    parser.add_argument("--purpose", metavar="TEXT", default="", help="Inventory Purpose")
    parser.add_argument("--description", metavar="TEXT", default="", help="Inventory Instance Description")
    scopes.add_arguments(parser)
    parser.add_argument("--no-patient-identifiers", action="store_true", help="leave out what identifies patients")
    parser.add_argument("--json", action="store_true", help="what came of it as JSON")
    group = parser.add_argument_group("connection to another system over DICOMweb")
    group.add_argument("--url", metavar="URL", help="base of its services, such as https://pacs.example.org/dicom-web")
    group.add_argument("--user", metavar="NAME[:PASSWORD]", help="as for the other commands, also by the environment")
    group.add_argument("--ca-file", metavar="FILE", help="certificates (PEM) to trust for https instead of the system's")


def run(arguments: argparse.Namespace) -> int:
    output: Path = arguments.output
    if output.exists() and not (output.is_dir() and not os.listdir(output)):
        raise CommandError(f"--output {output} is there already; name a new folder")
    transaction = _transaction(arguments)
    peer = _peer(arguments)
    with ExitStack() as stack:
        # Beside the output, so that a rename makes it appear at once. Made with mode 0700.
        folder = tempfile.TemporaryDirectory(prefix=".orthanc-inventory-", dir=output.absolute().parent)
        work = Path(stack.enter_context(folder))
        journal = Journal(work / "journal.db")
        stack.callback(journal.close)
        progress = stack.enter_context(Progress())
        shown = _Shown(progress, transaction)
        source = RemoteSource(
            peer, arguments.detail, PSEUDO_PATIENT, shown.wait, lambda line: progress.show(None, line, news=True)
        )
        try:
            source.check(transaction.parsed_scope())
            producer = Producer(
                transaction, source, DirectoryStore(work), journal, None, None, _settings(peer.access), threading.Event(),
                lambda line: None, shown.observe,
            )
            producer.run(lambda: None)
        except InvalidScope as error:
            raise CommandError(f"--scope: {error}") from None
        except (SourceFailed, StoreError) as error:
            raise CommandError(str(error)) from None
        except sqlite3.Error as error:
            raise CommandError(f"the work files beside {output} cannot be used: {error}") from None
        inventory = journal.inventory(transaction.root_uid)
        assert inventory is not None
        status = inventory.document["InventoryCompletionStatus"]
        skipped = journal.skipped(transaction)
        os.rename(work / transaction.study_uid, output)
    _tell(arguments, transaction, status, skipped)
    return FINE if status == COMPLETE else DIFFERENT


class _Shown:
    """What is seen of a run, between two questions and between two studies."""

    def __init__(self, progress: Progress, transaction: Transaction) -> None:
        self._progress = progress
        self._transaction = transaction
        self._questions = 0

    def wait(self, seconds: float) -> None:
        self._questions += 1
        if not self._transaction.total_studies:
            self._progress.show(None, f"the studies of the archive are listed: {number(self._questions)} questions")
        if seconds:
            time.sleep(seconds)

    def observe(self) -> None:
        done, total = self._transaction.progress, self._transaction.total_studies
        words = [f"{number(done.position)} of {number(total)} studies", f"{number(done.instances)} instances"]
        if done.skipped:
            words.append(f"{number(done.skipped)} skipped")
        self._progress.show(self._transaction.percent, ", ".join(words))


def _transaction(arguments: argparse.Namespace) -> Transaction:
    try:
        scope = Scope.parse(scopes.scope_of(arguments))
    except InvalidScope as error:
        raise CommandError(f"--scope: {error}") from None
    for name in ("purpose", "description"):
        if legal_value("LT", getattr(arguments, name)) != getattr(arguments, name):
            raise CommandError(f"--{name} must be text of at most 10240 characters, without control characters")
    return Transaction(
        new_uid(), arguments.level, scope.simple(), arguments.purpose, arguments.description, detail=arguments.detail,
        identifying=not arguments.no_patient_identifiers,
    )


def _peer(arguments: argparse.Namespace) -> Peer:
    """Raises: CommandError."""
    if bool(arguments.peer) == bool(arguments.url):
        raise CommandError("which archive? Give either --peer, such as --peer PACS@10.0.0.5:104, or --url")
    if arguments.peer:
        return RemoteArchive(requestor(arguments), modality(arguments))
    client = Client.of(arguments)
    return RemoteDicomWeb(_getter(client), legal_value("UR", client.url))


def _getter(client: Client) -> Callable[[str, Mapping[str, str]], Any]:
    def get(path: str, parameters: Mapping[str, str]) -> Any:
        try:
            return listed(b"".join(client.stream_as(_JSON, path, parameters)))
        except Refused as error:
            raise WebError(f"{client.url} answers with the HTTP status {error.status}") from None
        except Unreachable as error:
            raise WebError(str(error)) from None

    return get


def _settings(access: Mapping[str, str]) -> Settings:
    return Settings(
        store="Directory",
        records_per_instance=_RECORDS_PER_INSTANCE,
        throttle=Throttle(),
        timezone="",
        attributes={
            "Manufacturer": "orthanc-inventory",
            "ManufacturerModelName": "orthanc-inventory",
            "SoftwareVersions": f"orthanc-inventory {__version__}",
            "StudyAccessEndPointsSequence": [access] if access else [],
        },
        reference_access={},
    )


def _tell(arguments: argparse.Namespace, transaction: Transaction, status: str, skipped: Sequence[Skipped]) -> None:
    progress = transaction.progress
    if arguments.json:
        write_json(
            {
                "SOPInstanceUID": transaction.root_uid,
                "InventoryCompletionStatus": status,
                "Studies": progress.studies,
                "Series": progress.series,
                "Instances": progress.instances,
                "DeletedStudies": progress.deleted_studies,
                "CorrectedValues": progress.corrected_values,
                "Skipped": [{"ID": entry.identifier, "Level": entry.level, "Reason": entry.reason} for entry in skipped],
            }
        )
    else:
        print(transaction.root_uid)
    if transaction.comment:
        tell(f"the inventory is {status}: {transaction.comment}".replace(", see Skipped", ""))
    for entry in skipped[:_MOST_TOLD]:
        tell(f"{entry.level} {entry.identifier}: {entry.reason}")
    if len(skipped) > _MOST_TOLD:
        tell(f"and {number(len(skipped) - _MOST_TOLD)} more; --json has them all")
