"""Verifies that the archive of an Orthanc still is what an inventory says.

Nothing is changed. Ends with 0 if all is there as it was, and with 1 if there are findings or the verification did not come
to its end. What came later than the inventory is listed as extra, but no reason to end with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ..dicom.values import is_uid
from . import CommandError
from .client import Client
from .inputs import LATEST, remote_uid
from .text import number, printable, write_json
from .transactions import finish, follow

NAME = "verify"
_CHECKS = ("EXISTS", "SIZE", "MD5")
_PAGE = 1000
_KINDS = ("Missing", "Damaged", "Different", "Extra")
_COUNTS = ("Checked", *_KINDS, "Later", "Unchecked")
# What a program has to fetch anew.
_TO_FETCH = "Missing,Damaged"
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="INVENTORY", help="its SOP Instance UID, or 'latest': the newest COMPLETE one")
    parser.add_argument(
        "--check", type=str.upper, choices=_CHECKS, default="EXISTS",
        help="that each object is there (default), has the size that the inventory says, or the MD5 too: all files are read",
    )
    parser.add_argument("--kind", choices=_KINDS, help="tell these findings only; default: all, of uids Missing and Damaged")
    parser.add_argument(
        "--format", choices=("text", "json", "csv", "uids"), default="text",
        help="of the findings; uids: the Study Instance UIDs, one a line, for a program that fetches them anew",
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")


def run(arguments: argparse.Namespace) -> int:
    client = Client.of(arguments)
    if arguments.source != LATEST and not is_uid(arguments.source):
        raise CommandError("INVENTORY must be a SOP Instance UID or 'latest', as only what Orthanc keeps can be verified")
    uid = remote_uid(client, arguments.source)
    started = client.post_json(f"/inventories/{uid}/verify", {"Check": arguments.check})
    transaction = follow(client, started["ID"])
    code = finish(client, transaction)
    path = f"/inventories/transactions/{started['ID']}/findings"
    if arguments.format == "json":
        write_json({**transaction, "Findings": list(_findings(client, path, arguments.kind))})
    elif arguments.format == "text":
        _write(transaction, _findings(client, path, arguments.kind))
    else:
        kind = arguments.kind or (_TO_FETCH if arguments.format == "uids" else None)
        for chunk in client.stream(path, format=arguments.format, kind=kind):
            sys.stdout.buffer.write(chunk)
    return code


def _findings(client: Client, path: str, kind: str | None) -> Iterator[dict[str, Any]]:
    since = 0
    while page := client.get_json(path, list, since=since, limit=_PAGE, kind=kind):
        yield from page
        since += len(page)


def _write(transaction: Mapping[str, Any], findings: Iterator[dict[str, Any]]) -> None:
    verification = transaction.get("Verification", {})
    for name in _COUNTS:
        print(f"{name + ':':<12}{number(verification.get(name))}")
    if (coverage := verification.get("Coverage")) is not None:
        print(f"{'Coverage:':<12}{coverage:.2%}")
    for finding in findings:
        print(printable("  ".join(str(finding[key]) for key in ("Kind", "Level", *_UIDS, "Reason") if finding.get(key))))
