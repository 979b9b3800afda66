"""An Orthanc with schedules, whose clock a test sets."""

from __future__ import annotations

import datetime
import time
from typing import Any
from zoneinfo import ZoneInfo

from . import script
from .server import Server

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = {"Name": "nightly", "Hours": ["1-5"]}

# The schedules look at the clock of the test, and do so more often.
_CLOCK = """
import datetime, functools
from orthanc_inventory import plugin
from orthanc_inventory.production import schedules
from orthanc_inventory.production.increment import BaseUnusable, Increment

def clock():
    return datetime.datetime.fromisoformat(open(folder + "/clock").read())

schedules._PAUSE, schedules._LONG_PAUSE = 0.02, 0.2
plugin.Schedules = functools.partial(plugin.Schedules, clock=clock)
"""


class Scheduled:
    """An Orthanc in Berlin whose schedules have a clock of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        server.environment["TZ"] = "Europe/Berlin"
        self.use()

    def use(self, text: str = "") -> None:
        """What else the script does, from the next start on."""
        self.server.configuration["PythonScript"] = str(script.write(self.server.folder, _CLOCK + text))

    def set(self, moment: str, fold: int = 0) -> None:
        """By the clock on the wall."""
        there = datetime.datetime.fromisoformat(moment).replace(tzinfo=BERLIN, fold=fold)
        new = self.server.folder / "clock.new"
        new.write_text(there.astimezone(datetime.timezone.utc).isoformat())
        new.rename(self.server.folder / "clock")

    def runs(self) -> list[str]:
        return self.server.get("/inventories/transactions")

    def wait_for_run(self, number: int) -> str:
        """The ID of the run of this number, counted from 1, once it is there."""
        deadline = time.monotonic() + 30
        while len(runs := self.runs()) < number:
            assert time.monotonic() < deadline, self.server.log()
            time.sleep(0.02)
        assert len(runs) == number
        return runs[-1]

    def schedule(self, position: int = 0) -> dict[str, Any]:
        return self.server.get("/inventories/schedules")[position]

    def lines(self, *words: str) -> list[str]:
        return [line for line in self.server.log_lines() if all(word in line for word in words)]
