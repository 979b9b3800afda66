"""Fetches an inventory of another system into a folder, over DICOM (Inventory - GET): its root and all that it incorporates.

What is there already is not fetched again, so that an attempt that broke off goes on. Files are compared with the MAC in
the references to them. Prints the path of the root; ends with 1 if files are missing, or have another MAC, and names them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..dicom.values import is_uid
from . import DIFFERENT, FINE, CommandError
from .retrieval import Retrieval, Retrieved
from .text import number, printable, tell, write_json

NAME = "get"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uid", metavar="UID", help="SOP Instance UID of the root, as find prints it")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where the files go; made if it is not there")
    add_mac_argument(parser)
    parser.add_argument("--json", action="store_true", help="what came and what did not as JSON")


def add_mac_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ignore-mac", action="store_true",
        help="files with another MAC are no reason to end with 1: it is of the file as the other system has it, and C-GET "
        "does not tell its File Meta Information",
    )


def run(arguments: argparse.Namespace) -> int:
    if not is_uid(arguments.uid):
        raise CommandError("UID must be the SOP Instance UID of an inventory, as find prints it")
    retrieved = Retrieval(arguments, arguments.folder).fetch(arguments.uid)
    if arguments.json:
        write_json(document(retrieved))
    else:
        print(printable(retrieved.path))
    return tell_of(arguments, retrieved)


def tell_of(arguments: argparse.Namespace, retrieved: Retrieved) -> int:
    """Tells people of what did not come as it should; answers the exit code."""
    for kind in ("missing", "different"):
        for uid in getattr(retrieved, kind):
            tell(f"{kind}: {uid}")
    if retrieved.unchecked not in ([], [retrieved.uid]):
        tell(f"{number(len(retrieved.unchecked))} of {number(retrieved.files)} files have no MAC to compare them with")
    return FINE if not retrieved.missing and (not retrieved.different or arguments.ignore_mac) else DIFFERENT


def document(retrieved: Retrieved) -> dict[str, object]:
    return {
        "SOPInstanceUID": retrieved.uid,
        "Path": str(retrieved.path),
        "Files": retrieved.files,
        "Fetched": retrieved.fetched,
        "Missing": retrieved.missing,
        "Different": retrieved.different,
        "Unchecked": retrieved.unchecked,
    }
