"""Runs that rest where a test says."""

from __future__ import annotations

from .server import Server

# Before the study behind as many as the file says, until that says another number or the run is told to stop.
RESTING = """
from orthanc_inventory.production.pace import Pace

def rest(pace):
    while pace._transaction.progress.studies == int(open(folder + "/rest").read()) and not pace._interrupted.wait(0.05):
        pass

at(Pace, 'tell', always, rest)
"""


def rest_before(server: Server, study: int) -> None:
    new = server.folder / "rest.new"
    new.write_text(str(study))
    new.rename(server.folder / "rest")


def rest_no_more(server: Server) -> None:
    rest_before(server, -1)
