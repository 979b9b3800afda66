"""Routes of schedules: what they are, when they run, and a start by hand."""

from __future__ import annotations

from typing import Any

from ...host import Answer, Request, RestError
from ...production.run_queue import NotPossible, TooManyRuns
from ...production.schedules import Schedules, Standing, UnknownSchedule
from ...production.transaction import utc_time
from ...stores import StoreError
from .router import Route, json_body, user_of


class ScheduleRoutes:
    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/inventories/schedules", self.list, "Schedules with their last and their next run"),
            Route("POST", "/inventories/schedules/{Name}/run", self.run, "Starts a run of a schedule now", body={}),
        ]

    def list(self, request: Request) -> Answer:
        return Answer([_public(standing) for standing in self._schedules.standings()])

    def run(self, request: Request, name: str) -> Answer:
        json_body(request, {})
        try:
            transaction = self._schedules.run(name, user_of(request))
        except UnknownSchedule:
            raise RestError(404, "there is no schedule with this name; GET /inventories/schedules lists them") from None
        except TooManyRuns as error:
            raise RestError(503, str(error)) from None
        except (NotPossible, StoreError) as error:
            raise RestError(409, str(error)) from None
        return Answer({"ID": transaction.uid, "Path": f"/inventories/transactions/{transaction.uid}"})


def _public(standing: Standing) -> dict[str, Any]:
    last = standing.last
    return {
        **standing.schedule.configured,
        "Open": standing.is_open,
        "NextRun": utc_time(standing.next_start),
        "LastRun": None
        if last is None
        else {
            "ID": last.uid,
            "State": last.state,
            "TransactionStatus": last.status,
            "CreationTime": last.creation_time,
            "CompletionTime": last.completion_time or None,
            "SOPInstanceUID": last.root_uid or None,
        },
    }
