"""Lists the inventories of an Orthanc, or those in a folder of files.

Of files only the heads are read, so series and instances are not counted: show does that.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..reader import Inventory
from ..reader.folder import Folder
from . import FINE, CommandError
from .client import Client
from .summaries import moment, scope_in_words, summary_of
from .text import number, size, write_json_list, write_table

NAME = "list"
_PAGE = 20
_HEADER = ("Made", "Level", "Status", "Studies", "Series", "Instances", "Size", "SOP Instance UID", "Base", "Scope")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="with files; without it the Orthanc is asked")
    parser.add_argument("--json", action="store_true", help="the summaries as JSON")


def run(arguments: argparse.Namespace) -> int:
    summaries = _of_files(arguments.folder) if arguments.folder else _of_orthanc(Client.of(arguments))
    if arguments.json:
        write_json_list(summaries)
    else:
        write_table(_HEADER, map(_row, summaries), frozenset({"Studies", "Series", "Instances", "Size"}))
    return FINE


def _of_orthanc(client: Client) -> Iterator[dict[str, Any]]:
    since = 0
    while page := client.get_json("/inventories", list, expand="true", since=since, limit=_PAGE):
        yield from page
        since += len(page)


def _of_files(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_dir():
        raise CommandError(f"{path} is no folder; show tells of one file")
    folder = Folder(path)
    for uid in folder.roots():
        yield summary_of(Inventory(uid, folder.open))


def _row(summary: dict[str, Any]) -> list[object]:
    studies = summary.get("Studies", summary.get("TotalNumberOfStudyRecords"))
    return [
        moment(summary),
        summary.get("InventoryLevel"),
        summary.get("InventoryCompletionStatus"),
        *(number(count) for count in (studies, summary.get("Series"), summary.get("Instances"))),
        size(summary.get("Size")),
        summary.get("SOPInstanceUID"),
        summary.get("Base"),
        scope_in_words(summary.get("Scope", {})),
    ]
