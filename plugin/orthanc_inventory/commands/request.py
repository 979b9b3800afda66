"""Asks another system over DICOM to make an inventory of its archive (Inventory Creation), and follows that to its end.

Prints the Transaction UID at once, and at the end the SOP Instance UID of the inventory. Ctrl-C leaves the other system at
work; --status goes on then. Ends with 0 if the transaction is COMPLETE, or if what is asked of one is done, else with 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydicom.datadict import keyword_for_tag

from ..dicom.scope import SEQUENCE, InvalidScope, Scope
from ..dicom.terms import COMPLETE, LEVELS
from ..dicom.uids import new_uid
from ..dicom.values import is_uid
from ..reader.containers import open_regular
from ..reader.inventory_file import InventoryFile
from ..services.dimse.inventory_request import Action, Event
from . import DIFFERENT, FINE, CommandError, scopes
from .creation import TERMINAL, Creation, described
from .get import add_mac_argument, document, tell_of
from .peer import NoAssociation, modality, options
from .retrieval import Retrieval, Retrieved
from .text import tell, write_json

NAME = "request"
_ACTIONS = {"status": Action.REQUEST_STATUS, "cancel": Action.CANCEL, "pause": Action.PAUSE, "resume": Action.RESUME}
_LONGEST_INTERVAL = 0xFFFF


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--level", type=str.upper, choices=LEVELS, default="INSTANCE", help="what is listed (default: INSTANCE)"
    )
    scopes.add_arguments(parser)
    parser.add_argument("--purpose", metavar="TEXT", help="Inventory Purpose")
    parser.add_argument("--interval", metavar="MINUTES", type=int, help="how often the other system is to tell how far it is")
    earlier = parser.add_argument_group("about an earlier request").add_mutually_exclusive_group()
    earlier.add_argument("--status", metavar="UID", help="follow the transaction with this UID")
    earlier.add_argument("--cancel", metavar="UID", help="end it; with --retain what is finished is kept as an inventory")
    earlier.add_argument("--pause", metavar="UID", help="let it rest")
    earlier.add_argument("--resume", metavar="UID", help="let it go on")
    parser.add_argument("--retain", action="store_true", help="see --cancel")
    parser.add_argument("--no-wait", action="store_true", help="do not follow it; with --status only tell how far it is")
    parser.add_argument(
        "--listen", metavar="PORT", type=int,
        help="our port for events that come over an association of their own; the other system has to know it",
    )
    parser.add_argument("--fetch", metavar="FOLDER", type=Path, help="at the end fetch it into this folder, as get does")
    add_mac_argument(parser)
    parser.add_argument("--json", action="store_true", help="what came of it as JSON")


def run(arguments: argparse.Namespace) -> int:
    name = next((name for name in _ACTIONS if getattr(arguments, name) is not None), "")
    uid = getattr(arguments, name) if name else new_uid()
    _check(arguments, name, uid)
    initiation = {} if name else _initiation(arguments)
    creation = Creation(arguments, uid)
    try:
        if name:
            return _earlier(arguments, creation, name)
        return _initiate(arguments, creation, initiation)
    except KeyboardInterrupt:
        tell(f"{modality(arguments).name} goes on; to follow it again: {_again(arguments, uid)}")
        raise
    finally:
        creation.close()


def _check(arguments: argparse.Namespace, name: str, uid: str) -> None:
    if not is_uid(uid):
        raise CommandError(f"--{name} must be the UID of a transaction, as request printed it")
    if arguments.retain and name != "cancel":
        raise CommandError("--retain is for --cancel only")
    if arguments.fetch and arguments.no_wait:
        raise CommandError("--fetch and --no-wait do not go together")
    if arguments.interval is not None and not 0 < arguments.interval <= _LONGEST_INTERVAL:
        raise CommandError(f"--interval must be a number of minutes from 1 to {_LONGEST_INTERVAL}")


def _again(arguments: argparse.Namespace, uid: str) -> str:
    return f"orthanc-inventory request --status {uid} {options(arguments)}"


def _initiation(arguments: argparse.Namespace) -> dict[str, Any]:
    """Table KK.2-1 of PS3.4.

    Raises:
        CommandError
    """
    try:
        scope = Scope.parse(scopes.scope_of(arguments))
    except InvalidScope as error:
        raise CommandError(str(error)) from None
    if scope.labels:
        raise CommandError("--scope Labels is for Orthanc only, and not to be asked over DICOM")
    information: dict[str, Any] = {SEQUENCE: scope.sequence(), "InventoryLevel": arguments.level}
    if arguments.purpose:
        information["InventoryPurpose"] = arguments.purpose
        if not arguments.purpose.isascii():
            information["SpecificCharacterSet"] = "ISO_IR 192"
    return {**information, **_interval(arguments)}


def _interval(arguments: argparse.Namespace) -> dict[str, int]:
    return {"RequestedStatusInterval": arguments.interval} if arguments.interval else {}


def _initiate(arguments: argparse.Namespace, creation: Creation, information: Mapping[str, Any]) -> int:
    try:
        answer = creation.ask(Action.INITIATE, **information)
    except NoAssociation:
        if creation.is_uncertain:
            tell(f"it may have begun all the same; to follow it: {_again(arguments, creation.uid)}")
        raise
    ignored = [keyword_for_tag(tag) or f"{tag:08X}" for tag in answer.ignored]
    if ignored:
        tell(f"{modality(arguments).name} cannot match {', '.join(ignored)}: more is listed than was asked for")
    if arguments.json:
        tell(f"Transaction UID: {creation.uid}")
    else:
        print(creation.uid, flush=True)
    more = {"IgnoredKeys": ignored}
    if arguments.no_wait:
        if arguments.json:
            write_json({"TransactionUID": creation.uid, **more})
        return FINE
    return _finish(arguments, creation.follow(lambda event: False), more)


def _earlier(arguments: argparse.Namespace, creation: Creation, name: str) -> int:
    more: dict[str, Any] = _interval(arguments) if name == "status" else {}
    if name == "cancel":
        more["RetainInstances"] = "Y" if arguments.retain else "N"
    creation.ask(_ACTIONS[name], **more)
    is_enough: Mapping[str, Callable[[str], bool]] = {
        "status": lambda status: arguments.no_wait,
        "cancel": lambda status: False,
        "pause": lambda status: status == "PAUSED",
        "resume": lambda status: status != "PAUSED",
    }
    if arguments.no_wait and name != "status":
        return FINE
    event = creation.follow(lambda event: is_enough[name](event.status))
    if event.is_last or event.status in TERMINAL:
        return _finish(arguments, event, {}, aim="CANCELED" if name == "cancel" else COMPLETE)
    if arguments.json:
        write_json(event.information)
    else:
        print(described(event))
    return FINE


def _finish(arguments: argparse.Namespace, event: Event, more: Mapping[str, Any], aim: str = COMPLETE) -> int:
    """Tells of a transaction that is over, and fetches what came of it; answers the exit code."""
    told = event.information
    status, root = event.status, told.get("ReferencedSOPInstanceUID")
    code = FINE if status == aim else DIFFERENT
    if code != FINE:
        comment = told.get("TransactionStatusComment")
        tell(f"the transaction ended as {status}" + (f": {comment}" if comment else ""))
    elif status == COMPLETE and not root:
        tell(f"{modality(arguments).name} does not tell which inventory came of it; find knows it by its Transaction UID")
        code = DIFFERENT
    fetched: Retrieved | None = None
    if root and arguments.fetch:
        fetched = Retrieval(arguments, arguments.fetch).fetch(root, told)
        code = max(code, tell_of(arguments, fetched), _completeness(fetched))
    if arguments.json:
        write_json({**told, "TransactionStatus": status, **more, **({"Fetched": document(fetched)} if fetched else {})})
    elif root:
        print(fetched.path if fetched else root)
    return code


def _completeness(fetched: Retrieved) -> int:
    """A transaction that is COMPLETE may have made an inventory that is not."""
    completion = InventoryFile(open_regular(fetched.path), fetched.uid).completion_status
    if completion == COMPLETE:
        return FINE
    tell(f"the inventory is {completion}")
    return DIFFERENT
