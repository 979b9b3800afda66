"""An Orthanc with schedules, whose clock a test sets."""

from __future__ import annotations

import datetime
from typing import Any
from zoneinfo import ZoneInfo

from . import script
from .server import Server
from .waiting import wait_until

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = {"Name": "nightly", "Hours": ["1-5"]}

# The schedules look at the clock of the test, do so more often, and write down when they did.
_CLOCK = """
import datetime, functools, threading
from orthanc_inventory import plugin
from orthanc_inventory.production import schedules
from orthanc_inventory.production.increment import BaseUnusable, Increment

def clock():
    if threading.current_thread().name == "inventory-schedules":
        with open(folder + "/looks", "a") as looks:
            looks.write(".")
    return datetime.datetime.fromisoformat(open(folder + "/clock").read())

schedules._PAUSE, schedules._LONG_PAUSE = 0.02, 0.2
plugin.Schedules = functools.partial(plugin.Schedules, clock=clock)
"""


def noon() -> str:
    """A time zone in which it is noon, for TZ: the windows of the night are closed there."""
    return f"NOON{datetime.datetime.now(datetime.timezone.utc).hour - 12:+}"


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
        wait_until(lambda: len(self.runs()) >= number, self.server.log)
        runs = self.runs()
        assert len(runs) == number
        return runs[-1]

    def look(self) -> None:
        """Until the schedules have looked at the clock as it is, and done what is due."""
        before = self._looks()
        # Twice each time: the rest of a look that has begun before, a whole one, and the begin of another.
        wait_until(lambda: self._looks() >= before + 4, self.server.log)

    def _looks(self) -> int:
        looks = self.server.folder / "looks"
        return looks.stat().st_size if looks.exists() else 0

    def schedule(self, position: int = 0) -> dict[str, Any]:
        return self.server.get("/inventories/schedules")[position]

    def lines(self, *words: str) -> list[str]:
        return [line for line in self.server.log_lines() if all(word in line for word in words)]
