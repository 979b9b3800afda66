"""What the journal keeps of an inventory that is finished, beside its instances, and what its transaction says of it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from ..dicom.inventory import Reference
from .increment import Increment
from .journal_rows import KeptInstance
from .transaction import Progress, Transaction, utc_now


def summary(
    transaction: Transaction,
    increment: Increment | None,
    root: KeptInstance,
    status: str,
    references: tuple[Reference, ...],
    days: int,
    notes: Sequence[str] | None,
) -> dict[str, Any]:
    """What the summary of an inventory tells that cannot be asked of its instances.

    ``references`` are those of its root, whose Inventory Completion Status is ``status``; it is kept for ``days``, or for ever (0);
    ``notes`` are the series that held rejection notes, as the run found them.
    """
    progress = transaction.progress
    return {
        "TransactionUID": transaction.uid,
        "ContentDate": transaction.started[:8],
        "ContentTime": transaction.started[8:],
        "InventoryLevel": transaction.level,
        "Detail": transaction.detail,
        "InventoryCompletionStatus": status,
        "InventoryPurpose": transaction.purpose,
        "InventoryInstanceDescription": transaction.description,
        "Scope": transaction.scope,
        "NumberOfStudyRecordsInInstance": root.records,
        "TotalNumberOfStudyRecords": root.total,
        **_counts(progress, increment),
        "Removed": sum(progress.removed),
        "Base": transaction.base or None,
        "Incorporates": [reference.uid for reference in references],
        "Expiration": _expiration(days),
        "CreationTime": utc_now(),
        "Requestor": transaction.requestor,
        "Schedule": transaction.schedule or None,
        "Source": transaction.source or None,
        # An increment can be made on top of what these tell.
        **({"Mark": transaction.mark, "Withdrawn": transaction.withdrawn, "Notes": notes} if transaction.mark else {}),
        "Run": transaction.run._asdict(),
    }


def _counts(progress: Progress, increment: Increment | None) -> dict[str, int]:
    """The records of what is there, a study counted once, as the tree says it in its latest record of each."""
    written = progress.studies, progress.series, progress.instances
    base = increment.base.document if increment else {}
    return {
        level: base.get(level, 0) + count - removed - replaced
        for level, count, removed, replaced in zip(
            ("Studies", "Series", "Instances"), written, progress.removed, progress.replaced
        )
    }


def _expiration(days: int) -> str | None:
    """Expiration DateTime (0008,0416) of an inventory that is finished now."""
    if not days:
        return None
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return moment.strftime("%Y%m%d%H%M%S+0000")


def closing_comment(progress: Progress) -> str:
    """What the administrator should know of a run that is over, in counts."""
    counts = {
        "resources were skipped, see Skipped": progress.skipped,
        "studies were deleted before they were read": progress.deleted_studies,
        "headers could not be read, their objects have no details": progress.unread_headers,
        "values were brought into a form that their VR allows": progress.corrected_values,
        "records of what was deleted since the base": sum(progress.removed),
    }
    return "; ".join(f"{count} {what}" for what, count in counts.items() if count)
