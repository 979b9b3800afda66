"""What monitoring sees in ``/tools/metrics-prometheus``: counts only."""

from __future__ import annotations

from collections.abc import Callable

from ..production.journal import Journal
from ..production.runs import Runs
from ..production.schedules import Schedules
from ..production.transaction import State

METRICS = {
    "orthanc_inventory_running": "1 while a run is going on",
    "orthanc_inventory_pending": "runs that wait for their turn",
    "orthanc_inventory_paused": "runs that are paused",
    "orthanc_inventory_run_progress": "percent of the run that goes on, or went on last",
    "orthanc_inventory_run_studies": "its study records so far",
    "orthanc_inventory_run_series": "its series records so far",
    "orthanc_inventory_run_instances": "its instance records so far",
    "orthanc_inventory_run_skipped": "its resources that could not be read so far",
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


def observe(set_metric: Callable[[str, float], None], runs: Runs, journal: Journal) -> None:
    """Sets every metric to what is true now."""
    unfinished = runs.unfinished()
    states = [transaction.state for transaction in unfinished]
    latest = next((entry for entry in unfinished if entry.state is State.RUNNING), None) or journal.latest()
    values = {
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
    }
    for name in METRICS:
        set_metric(name, values[name])
