"""Counts and sizes of what an inventory lists, and how they grow from one inventory to the next."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..reader.merged import MergedStudy
from ..reader.records import Series

_SOP_CLASS_UID, _STUDY_DATE, _MODALITY, _MODALITIES_IN_STUDY = 0x00080016, 0x00080020, 0x00080060, 0x00080061
_REMOVED, _LENGTH, _TRANSFER_SYNTAX = 0x00080405, 0x0008040D, 0x0008040E
_INSTANCE_TAGS, _FILE_TAGS = frozenset({_SOP_CLASS_UID, _REMOVED}), frozenset({_LENGTH, _TRANSFER_SYNTAX})
_COUNTS = ("Studies", "Series", "Instances")
_ROW = (
    "SOPInstanceUID", "ContentDate", "ContentTime", "InventoryPurpose", "InventoryCompletionStatus", *_COUNTS, "ObjectSize"
)


class Statistics:
    """Counts records of studies, series and instances, and the bytes of the files that instances are in.

    What is removed from operational use (0008,0405) is counted apart. An instance has the size and the transfer syntax of
    the first of its files; where the inventory does not tell them, its size is 0 and its transfer syntax empty.
    """

    def __init__(self) -> None:
        self._whole: Counter[str] = Counter()
        self._removed: Counter[str] = Counter()
        self._groups: dict[str, dict[str, Counter[str]]] = {
            "Modalities": {}, "SOPClasses": {}, "TransferSyntaxes": {}, "Years": {},
        }

    def add(self, study: MergedStudy) -> None:
        """Raises: InvalidInventory."""
        removed = study.records[0].value(_REMOVED) == "Y"
        whole = Counter({"Studies": 1})
        modalities: dict[str, Counter[str]] = {}
        for series in study.series():
            counts = self._series(series, removed)
            if counts:
                whole += counts
                modality = modalities.setdefault(series.value(_MODALITY), Counter({"Studies": 1}))
                modality.update(counts)
        if removed:
            self._removed["Studies"] += 1
            return
        if not modalities:
            modalities = {name: Counter({"Studies": 1}) for name in study.records[0].value(_MODALITIES_IN_STUDY).split("\\")}
        self._whole.update(whole)
        self._group("Years", study.records[0].value(_STUDY_DATE)[:4], whole)
        for name, counts in modalities.items():
            self._group("Modalities", name, counts)

    def _series(self, series: Series, removed: bool) -> Counter[str]:
        """What the series adds; nothing if it, or what is above it, is removed."""
        removed = removed or series.value(_REMOVED) == "Y"
        numbers: Counter[tuple[str, str]] = Counter()
        sizes: Counter[tuple[str, str]] = Counter()
        for instance in series.instances():
            values = instance.values(_INSTANCE_TAGS, _FILE_TAGS)
            if removed or values.get(_REMOVED) == "Y":
                self._removed["Instances"] += 1
                continue
            kind = values.get(_SOP_CLASS_UID, ""), values.get(_TRANSFER_SYNTAX, "")
            numbers[kind] += 1
            length = values.get(_LENGTH)
            sizes[kind] += length if isinstance(length, int) else 0
        for kind, number in numbers.items():
            counts = {"Instances": number, "Size": sizes[kind]}
            self._group("SOPClasses", kind[0], counts)
            self._group("TransferSyntaxes", kind[1], counts)
        if removed:
            self._removed["Series"] += 1
            return Counter()
        return Counter({"Series": 1, "Instances": numbers.total(), "Size": sizes.total()})

    def _group(self, group: str, name: str, counts: Mapping[str, int]) -> None:
        self._groups[group].setdefault(name, Counter()).update(counts)

    def document(self) -> dict[str, Any]:
        """As users are told."""
        return {
            **{key: self._whole[key] for key in (*_COUNTS, "Size")},
            "Removed": {key: self._removed[key] for key in _COUNTS},
            "Modalities": _sorted(self._groups["Modalities"], "Studies", "Series", "Instances", "Size"),
            "SOPClasses": _sorted(self._groups["SOPClasses"], "Instances", "Size"),
            "TransferSyntaxes": _sorted(self._groups["TransferSyntaxes"], "Instances", "Size"),
            "Years": _sorted(self._groups["Years"], "Studies", "Series", "Instances", "Size"),
        }


def growth(summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Successive inventories by level, scope and source; ``Growth`` is what each has more than the one before it.

    ``summaries`` begin with the oldest: summaries of inventories, each with the ``ObjectSize`` of what it lists.
    """
    groups: dict[str, dict[str, Any]] = {}
    for summary in summaries:
        kind = json.dumps([summary["InventoryLevel"], summary["Scope"], summary.get("Source")], sort_keys=True)
        group = groups.setdefault(
            kind,
            {key: summary.get(key) for key in ("InventoryLevel", "Scope", "Source")} | {"Inventories": []},
        )
        before = group["Inventories"][-1] if group["Inventories"] else None
        row = {key: summary[key] for key in _ROW}
        row["Growth"] = {key: row[key] - before[key] for key in _COUNTS} if before else None
        group["Inventories"].append(row)
    return list(groups.values())


def _sorted(groups: Mapping[str, Counter[str]], *keys: str) -> dict[str, dict[str, int]]:
    return {name: {key: groups[name][key] for key in keys} for name in sorted(groups)}
