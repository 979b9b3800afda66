"""What monitoring sees in ``/tools/metrics-prometheus``: counts only."""

from __future__ import annotations

from collections.abc import Callable

from ..production.journal import Journal
from ..production.runs import Runs
from ..production.schedules import Schedules
from ..production.throttle import Throttle
from ..production.transaction import Kind, State, Verified

METRICS = {
    "orthanc_inventory_running": "1 while a run is going on",
    "orthanc_inventory_pending": "runs that wait for their turn",
    "orthanc_inventory_paused": "runs that are paused",
    "orthanc_inventory_run_progress": "percent of the run that makes an inventory, or made the last one",
    "orthanc_inventory_run_studies": "its study records so far",
    "orthanc_inventory_run_series": "its series records so far",
    "orthanc_inventory_run_instances": "its instance records so far",
    "orthanc_inventory_run_skipped": "its resources that could not be read so far",
    "orthanc_inventory_resting": "percent of its time that the run rests now, as Throttle Auto makes it",
    "orthanc_inventory_verification_progress": "percent of the verification that goes on, or went on last",
    "orthanc_inventory_verification_checked": "what it looked for so far",
    "orthanc_inventory_verification_missing": "what of that is not in the archive",
    "orthanc_inventory_verification_damaged": "what cannot be read, or not as Orthanc stored it",
    "orthanc_inventory_verification_different": "what is not as the inventory says",
    "orthanc_inventory_verification_extra": "what the inventory does not list",
    "orthanc_inventory_failures": "remembered runs that failed",
    "orthanc_inventory_inventories": "finished inventories",
}
SCHEDULE_METRICS = {
    "orthanc_inventory_schedules_failed": "schedules whose last run failed",
    "orthanc_inventory_schedules_without_success": "seconds since the last success of the schedule that had none for longest",
}


def observe_schedules(set_metric: Callable[[str, float], None], schedules: Schedules) -> None:
    values = schedules.count_failed(), schedules.seconds_without_success()
    for name, value in zip(SCHEDULE_METRICS, values):
        set_metric(name, value)


def observe(set_metric: Callable[[str, float], None], runs: Runs, journal: Journal, throttle: Throttle) -> None:
    """Sets every metric to what is true now."""
    unfinished = runs.unfinished()
    states = [transaction.state for transaction in unfinished]
    running = {entry.kind: entry for entry in unfinished if entry.state is State.RUNNING}
    latest = running.get(Kind.INVENTORY) or journal.latest(Kind.INVENTORY)
    verification = running.get(Kind.VERIFICATION) or journal.latest(Kind.VERIFICATION)
    verified = verification.progress.verified if verification else Verified()
    values: dict[str, float] = {
        "orthanc_inventory_running": states.count(State.RUNNING),
        "orthanc_inventory_pending": states.count(State.PENDING),
        "orthanc_inventory_paused": states.count(State.PAUSED),
        "orthanc_inventory_failures": journal.count_failures(),
        "orthanc_inventory_inventories": journal.count_inventories(),
        "orthanc_inventory_run_progress": latest.percent if latest else 0,
        "orthanc_inventory_run_studies": latest.progress.studies if latest else 0,
        "orthanc_inventory_run_series": latest.progress.series if latest else 0,
        "orthanc_inventory_run_instances": latest.progress.instances if latest else 0,
        "orthanc_inventory_run_skipped": latest.progress.skipped if latest else 0,
        "orthanc_inventory_resting": 100 * throttle.share,
        "orthanc_inventory_verification_progress": verification.percent if verification else 0,
        "orthanc_inventory_verification_checked": verified.checked,
        "orthanc_inventory_verification_missing": verified.missing,
        "orthanc_inventory_verification_damaged": verified.damaged,
        "orthanc_inventory_verification_different": verified.different,
        "orthanc_inventory_verification_extra": verified.extra,
    }
    for name in METRICS:
        set_metric(name, values[name])
