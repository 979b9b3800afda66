"""Starts an inventory of the archive of an Orthanc.

Prints the ID of the transaction; with --wait the SOP Instance UID of the finished inventory. With --wait the exit code
is 0 if the inventory is COMPLETE, and 1 if it is PARTIAL or the run failed or was cancelled.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..dicom.terms import LEVELS
from ..production.transaction import DETAILS
from . import FINE, scopes
from .client import Client
from .text import write_json
from .transactions import finish, follow

NAME = "create"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", type=str.upper, choices=LEVELS, help="what is listed; default: as Orthanc is configured")
    parser.add_argument(
        "--detail", type=str.capitalize, choices=DETAILS, help="Files: read the headers of the objects too; slower"
    )
    parser.add_argument("--purpose", metavar="TEXT", help="Inventory Purpose")
    parser.add_argument("--description", metavar="TEXT", help="Inventory Instance Description")
    scopes.add_arguments(parser)
    parser.add_argument("--base", metavar="UID", help="an increment on top of this inventory, or of the 'latest'")
    parser.add_argument("--no-removed", action="store_true", help="leave out what is removed from operational use")
    parser.add_argument("--no-patient-identifiers", action="store_true", help="leave out what identifies patients")
    parser.add_argument("--preview", action="store_true", help="only print how many studies match; nothing is made")
    parser.add_argument("--wait", action="store_true", help="watch the run to its end")
    parser.add_argument("--json", action="store_true", help="what the Orthanc answers as JSON; with --wait the whole transaction")


def run(arguments: argparse.Namespace) -> int:
    client = Client.of(arguments)
    scope = scopes.scope_of(arguments)
    if arguments.preview:
        preview = client.post_json("/inventories/preview", _given(Scope=scope, Detail=arguments.detail))
        _write(arguments, preview, "Studies")
        return FINE
    started = client.post_json("/inventories", _body(arguments, scope))
    if not arguments.wait:
        _write(arguments, started, "ID")
        return FINE
    transaction = follow(client, started["ID"])
    code = finish(client, transaction)
    _write(arguments, transaction, "SOPInstanceUID")
    return code


def _write(arguments: argparse.Namespace, answer: dict[str, Any], key: str) -> None:
    if arguments.json:
        write_json(answer)
    elif answer.get(key) is not None:
        print(answer[key])


def _body(arguments: argparse.Namespace, scope: dict[str, Any]) -> dict[str, Any]:
    return _given(
        Level=arguments.level,
        Detail=arguments.detail,
        Purpose=arguments.purpose,
        Description=arguments.description,
        Scope=scope,
        Base=arguments.base,
        IncludeRemoved=False if arguments.no_removed else None,
        PatientIdentifiers=False if arguments.no_patient_identifiers else None,
    )


def _given(**values: Any) -> dict[str, Any]:
    """Without what was not asked for, so that the defaults of the Orthanc hold."""
    return {key: value for key, value in values.items() if value not in (None, {})}
