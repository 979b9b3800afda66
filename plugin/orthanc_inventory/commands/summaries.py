"""What commands tell of an inventory as a whole: the summary that an Orthanc gives, or the same of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..reader import Inventory

_SCOPE_OF_INVENTORY = "00080400"
_COPIED = (
    "TransactionUID", "ContentDate", "ContentTime", "InventoryLevel", "InventoryCompletionStatus", "InventoryPurpose",
    "InventoryInstanceDescription",
)


def summary_of(inventory: Inventory) -> dict[str, Any]:
    """What the root of a file says, by the names that ``GET /inventories/{uid}`` has for it; records are not read."""
    root = inventory.file(inventory.uid)
    scope = [item for item in root.json().get(_SCOPE_OF_INVENTORY, {}).get("Value", []) if item]
    return {
        "SOPInstanceUID": inventory.uid,
        **{keyword: inventory.attributes.get(keyword, "") for keyword in _COPIED},
        "Scope": {"ScopeOfInventorySequence": scope} if scope else {},
        "NumberOfStudyRecordsInInstance": root.study_records,
        "TotalNumberOfStudyRecords": inventory.total_study_records,
        "InstanceUIDs": inventory.instance_uids,
    }


def moment(summary: Mapping[str, Any]) -> str:
    """Content Date and Time for people."""
    date, time = str(summary.get("ContentDate", "")), str(summary.get("ContentTime", ""))
    return f"{date[:4]}-{date[4:6]}-{date[6:8]} {time[:2]}:{time[2:4]}:{time[4:6]}" if len(date) == 8 else date


def scope_in_words(scope: Mapping[str, Any]) -> str:
    keys = (f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in scope.items())
    return ", ".join(keys) or "everything"
