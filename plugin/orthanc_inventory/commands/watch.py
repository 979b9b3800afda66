"""Watches a run of an Orthanc to its end; Ctrl-C leaves it going.

Without an ID it is the one that is going on. If the Orthanc restarts meanwhile, so does the run, and it is watched further.
Ends with 0 if what came of it is COMPLETE and without findings, else with 1.
"""

from __future__ import annotations

import argparse

from ..dicom.values import is_uid
from . import CommandError
from .client import Client
from .text import write_json
from .transactions import finish, follow, is_over

NAME = "watch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="of the transaction, as create prints it")
    parser.add_argument("--json", action="store_true", help="the finished transaction as JSON")


def run(arguments: argparse.Namespace) -> int:
    client = Client.of(arguments)
    uid = arguments.id or _current(client)
    if not is_uid(uid):
        raise CommandError("ID must be the UID of a transaction, as create prints it")
    transaction = client.get_json(f"/inventories/transactions/{uid}")
    if not is_over(transaction):
        transaction = follow(client, uid)
    code = finish(client, transaction)
    if arguments.json:
        write_json(transaction)
    elif transaction.get("SOPInstanceUID"):
        print(transaction["SOPInstanceUID"])
    return code


def _current(client: Client) -> str:
    """The run that is going on, or the first of those that are to."""
    status = client.get_json("/inventories/status")
    for state in ("Running", "Pending", "Paused"):
        for uid in status.get(state, []):
            return str(uid)
    raise CommandError(f"no run is going on at {client.url}")
