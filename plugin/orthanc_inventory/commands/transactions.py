"""Transactions of an Orthanc: watched to their end, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from . import DIFFERENT, FINE
from .client import Client, Unreachable
from .progress import Progress, duration
from .text import number, tell

# Seconds that an Orthanc may be away, as when it starts anew.
_PATIENCE = 120.0
# Seconds between two looks: short runs are over soon, long ones need no hurry.
_SHORTEST, _LONGEST = 0.1, 1.0
_FINDINGS = ("Missing", "Damaged", "Different", "Extra")
# What a rate counts.
_UNITS = {"STUDY": "Studies", "SERIES": "Series", "INSTANCE": "Instances"}


def follow(client: Client, uid: str) -> dict[str, Any]:
    """The transaction when it is over; until then its progress is shown. An Orthanc that is away for a while is waited for.

    Raises:
        CommandError: it did not come back.
        KeyboardInterrupt: the run itself goes on.
    """
    pause, answered, state = _SHORTEST, time.monotonic(), ""
    try:
        with Progress() as progress:
            while True:
                try:
                    transaction: dict[str, Any] = client.get_json(f"/inventories/transactions/{uid}")
                except Unreachable as error:
                    if time.monotonic() - answered > _PATIENCE:
                        raise
                    progress.show(None, f"{error}; trying again", news=state != "Away")
                    state = "Away"
                else:
                    answered = time.monotonic()
                    over = is_over(transaction)
                    percent = transaction.get("Progress", 0)
                    progress.show(percent, in_words(transaction), news=over or state != transaction.get("State"))
                    state = transaction.get("State", "")
                    if over:
                        return transaction
                time.sleep(pause)
                pause = min(_LONGEST, pause * 1.5)
    except KeyboardInterrupt:
        tell(f"the run goes on; to watch it again: orthanc-inventory watch {uid}")
        raise


def is_over(transaction: Mapping[str, Any]) -> bool:
    return transaction.get("State") in ("Success", "Failure")


def in_words(transaction: Mapping[str, Any]) -> str:
    """State, time left, numbers and rate of a transaction in one line."""
    words = [str(transaction.get("State")).lower()]
    if (remaining := transaction.get("Remaining")) is not None and transaction.get("State") == "Running":
        words.append(f"{duration(remaining)} left")
    # Before that it is not known yet what there is to do.
    if transaction.get("TotalStudies") or transaction.get("Verification"):
        words += _numbers(transaction)
    return ", ".join(words)


def _numbers(transaction: Mapping[str, Any]) -> list[str]:
    verification = transaction.get("Verification")
    if verification:
        done, unit = verification.get("Checked", 0), "checked"
        words = [f"{number(done)} checked", *_found(verification)]
    else:
        unit = _UNITS.get(str(transaction.get("Level")), "Studies")
        done = transaction.get(unit, 0)
        words = [f"{number(transaction.get('Studies'))} of {number(transaction.get('TotalStudies'))} studies"]
        if unit != "Studies":
            words.append(f"{number(done)} {unit.lower()}")
    runtime = transaction.get("EffectiveRuntime") or 0
    return words + ([f"{number(round(done / runtime))} {unit.lower()}/s"] if done and runtime else [])


def _found(verification: Mapping[str, Any]) -> list[str]:
    return [f"{number(verification[name])} {name.lower()}" for name in _FINDINGS if verification.get(name)]


def finish(client: Client, transaction: dict[str, Any]) -> int:
    """The exit code for a transaction that is over; tells people why it is not 0.

    To a transaction that made an inventory the Inventory Completion Status of that is added.
    """
    status = transaction.get("TransactionStatus")
    verification = transaction.get("Verification")
    if verification:
        fine, told = not _differs(verification), "the archive is not what the inventory says"
    else:
        root = transaction.get("SOPInstanceUID")
        completion = client.get_json(f"/inventories/{root}").get("InventoryCompletionStatus") if root else None
        transaction["InventoryCompletionStatus"] = completion
        fine, told = completion == "COMPLETE", f"the inventory is {completion}"
    if status != "COMPLETE":
        fine, told = False, f"the run ended as {status}"
    if fine:
        return FINE
    reasons = [transaction.get("TransactionStatusComment"), transaction.get("ErrorCode") and transaction.get("ErrorDescription")]
    tell(": ".join([told, *(str(reason) for reason in reasons if reason)]))
    return DIFFERENT


def _differs(verification: Mapping[str, Any]) -> bool:
    """Whether there are findings. What came after the inventory was made is none, as an archive grows."""
    unexplained = (verification.get("Extra") or 0) - (verification.get("Later") or 0)
    return any(verification.get(name) for name in ("Missing", "Damaged", "Different")) or unexplained > 0
