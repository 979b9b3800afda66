"""One inventory file from elsewhere, looked at from its first byte to its last before it is taken in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from ..dicom.values import FITTING
from .inventory import Inventory
from .inventory_file import InventoryFile
from .records import Instance, Series, Study

_SCOPE = "00080400"


class Examined(NamedTuple):
    """What is to be known of a file: ``attributes`` and ``scope`` as DICOM JSON, ``studies``, ``series`` and ``instances``
    are the numbers of records in this file, ``total`` that of the study records in its whole tree; ``children`` are
    incorporated directly, ``incorporated`` is all below, a child before what is below it.
    """

    uid: str
    attributes: dict[str, str]
    scope: list[dict[str, Any]]
    studies: int
    series: int
    instances: int
    total: int
    children: list[str]
    incorporated: list[str]


def examine(open_file: Callable[[], BinaryIO]) -> Examined:
    """Reads a PS3.10 file, which ``open_file`` opens more than once, to its end.

    Raises:
        InvalidInventory: it is no inventory, is damaged or too deep, or lacks what the standard demands (Type 1).
    """
    file = InventoryFile(open_file(), "the file")
    inventory = Inventory(file.uid, lambda uid: open_file())
    attributes = {keyword: str(value) for keyword, value in file.attributes.items() if not isinstance(value, list)}
    for keyword in ("ContentDate", "ContentTime"):
        if not attributes.get(keyword):
            raise file.invalid(f"{keyword} is missing")
    series = instances = 0
    for study in file.studies():
        more_series, more_instances = _records(file, study)
        series += more_series
        instances += more_instances
    return Examined(
        file.uid,
        attributes,
        file.json().get(_SCOPE, {}).get("Value", []),
        file.study_records,
        series,
        instances,
        file.total_study_records,
        list(dict.fromkeys(reference.uid for reference in inventory.references() if reference.depth == 1)),
        inventory.instance_uids[1:],
    )


def _records(file: InventoryFile, study: Study) -> tuple[int, int]:
    """The numbers of series and instance records in a study record. All values are decoded once, so that none fails later."""
    series = instances = 0
    _check(study, "StudyInstanceUID")
    _ = study.moment
    for series, entry in enumerate(study.series(), 1):
        if file.level == "STUDY":
            raise entry.invalid("a series stands in an inventory of Inventory Level STUDY")
        _check(entry, "SeriesInstanceUID", "Modality")
        for instance in entry.instances():
            if file.level == "SERIES":
                raise instance.invalid("an instance stands in an inventory of Inventory Level SERIES")
            _check(instance, "SOPClassUID", "SOPInstanceUID")
            instances += 1
    return series, instances


def _check(record: Study | Series | Instance, *keywords: str) -> None:
    """Whether the attributes of Type 1 have values (PS3.3 Table C.38.1-1)."""
    attributes = record.attributes
    for keyword in keywords:
        value = attributes.get(keyword, "")
        if value == "" or (keyword.endswith("UID") and not FITTING["UI"].fullmatch(value)):
            raise record.invalid(f"{keyword} is missing" if value == "" else f"{keyword} is no UID")
