"""The route that tells what the plugin is and does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...host import Answer, Request
from ...production.runs import Runs
from ...production.schedules import Schedules
from ...production.transaction import Kind, State, utc_time
from .router import Route


class StatusRoutes:
    """``facts`` tells what Orthanc and its configuration make of the plugin; ``dimse`` tells of the Application Entity."""

    def __init__(
        self, runs: Runs, schedules: Schedules, facts: Callable[[], dict[str, Any]], dimse: Callable[[], dict[str, Any]]
    ) -> None:
        self._runs = runs
        self._schedules = schedules
        self._facts = facts
        self._dimse = dimse

    def routes(self) -> list[Route]:
        return [Route("GET", "/inventories/status", self.show, "What the plugin is and does")]

    def show(self, request: Request) -> Answer:
        transactions = self._runs.transactions()
        by_state = {state: [entry.uid for entry in transactions if entry.state is state] for state in State}
        over = [entry for entry in transactions if entry.is_over and entry.kind is Kind.INVENTORY]
        last = max(over, key=lambda entry: (entry.completion_time, entry.number), default=None)
        return Answer(
            {
                **self._facts(),
                "Schedules": [
                    {"Name": standing.schedule.name, "NextRun": utc_time(standing.next_start)}
                    for standing in self._schedules.standings()
                ],
                "Dimse": self._dimse(),
                "Running": by_state[State.RUNNING],
                "Pending": by_state[State.PENDING],
                "Paused": by_state[State.PAUSED],
                "LastRun": None
                if last is None
                else {
                    "ID": last.uid,
                    "TransactionStatus": last.status,
                    "CompletionTime": last.completion_time,
                    "SOPInstanceUID": last.root_uid or None,
                },
            }
        )
