"""Shows one inventory: what it covers, and how much it lists.

An Orthanc tells of its own inventories; a file is read to its end and counted. What is removed from operational use is
not among the numbers. Ends with 1 if the inventory is not COMPLETE.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ..reports.statistics import Statistics
from . import DIFFERENT, FINE
from .client import Client
from .inputs import SOURCE_HELP, is_remote, open_input, remote_uid
from .summaries import moment, scope_in_words, summary_of
from .text import number, printable, size, write_json, write_table

NAME = "show"
_COUNTS = ("Studies", "Series", "Instances")
_GROUPS = ("Modalities", "SOPClasses", "TransferSyntaxes", "Years")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="INVENTORY", help=SOURCE_HELP)
    parser.add_argument(
        "--statistics", action="store_true", help="numbers and sizes by modality, SOP class, transfer syntax and year of study"
    )
    parser.add_argument("--json", action="store_true", help="the summary as JSON, with Statistics if they are asked for")


def run(arguments: argparse.Namespace) -> int:
    summary = (_remote if is_remote(arguments, arguments.source) else _read)(arguments)
    if arguments.json:
        write_json(summary)
    else:
        _write(summary)
    return FINE if summary.get("InventoryCompletionStatus") == "COMPLETE" else DIFFERENT


def _remote(arguments: argparse.Namespace) -> dict[str, Any]:
    client = Client.of(arguments)
    uid = remote_uid(client, arguments.source)
    summary: dict[str, Any] = client.get_json(f"/inventories/{uid}")
    if arguments.statistics:
        statistics = client.get_json(f"/inventories/{uid}/statistics")
        statistics.pop("SOPInstanceUID", None)
        summary["Statistics"] = statistics
    return summary


def _read(arguments: argparse.Namespace) -> dict[str, Any]:
    statistics = Statistics()
    with open_input(arguments, arguments.source) as inventory:
        summary = summary_of(inventory)
        for study in inventory.merged_studies():
            statistics.add(study)
    document = statistics.document()
    counts = {key: document[key] for key in _COUNTS}
    return {**summary, **counts, **({"Statistics": document} if arguments.statistics else {})}


def _write(summary: Mapping[str, Any]) -> None:
    files = number(len(summary.get("InstanceUIDs", [])))
    lines = {
        "Inventory": summary.get("SOPInstanceUID"),
        "Made": moment(summary),
        "Level": summary.get("InventoryLevel"),
        "Status": summary.get("InventoryCompletionStatus"),
        "Purpose": summary.get("InventoryPurpose"),
        "Description": summary.get("InventoryInstanceDescription"),
        "Scope": scope_in_words(summary.get("Scope", {})),
        "Base": summary.get("Base"),
        "Files": f"{files}, {size(summary['Size'])}" if "Size" in summary else files,
        "Missing files": len(summary.get("Missing", [])),
        **{key: number(summary.get(key)) for key in _COUNTS},
    }
    statistics = summary.get("Statistics", {})
    if statistics:
        lines["Size"] = size(statistics["Size"])
        lines["Removed"] = ", ".join(f"{key} {number(statistics['Removed'][key])}" for key in _COUNTS)
    for name, value in lines.items():
        if value:
            print(f"{name + ':':<15}{printable(value)}")
    for group in _GROUPS if statistics else ():
        _write_group(group, statistics[group])


def _write_group(name: str, rows: Mapping[str, Mapping[str, int]]) -> None:
    columns = list(next(iter(rows.values()), {}))
    print()
    write_table(
        [name, *columns],
        ([row or "-", *((size if key == "Size" else number)(counts[key]) for key in columns)] for row, counts in rows.items()),
        frozenset(columns),
    )
