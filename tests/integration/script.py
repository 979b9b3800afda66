"""A PythonScript that loads the real plugin and makes something happen at a chosen point of a run."""

from __future__ import annotations

from pathlib import Path

_PRELUDE = """
import itertools, json, os, signal, time
import orthanc
from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.host import Host, HostError
from orthanc_inventory.plugin import register
from orthanc_inventory.production.journal import Journal
from orthanc_inventory.production.producer import Producer
from orthanc_inventory.sources.find import Find
from orthanc_inventory.sources.index import IndexSource
from orthanc_inventory.sources.objects import Objects
from orthanc_inventory.sources.walk import Walk
from orthanc_inventory.stores.directory import DirectoryStore
from orthanc_inventory.stores.orthanc import OrthancStore

def at(kind, method, calls, action, after=False):
    # Lets action happen before or after the calls of these numbers, counted from 1.
    original, count = getattr(kind, method), itertools.count(1)

    def call(*arguments, **keywords):
        now = next(count) in calls
        if now and not after:
            action(*arguments)
        result = original(*arguments, **keywords)
        if now and after:
            action(*arguments)
        return result

    setattr(kind, method, call)

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

always = range(1, 1_000_000)

def hold(*arguments):
    # Until the test lets go.
    while not os.path.exists(folder + "/go on"):
        time.sleep(0.01)

def until_interrupted(run, *arguments):
    # Until the run is paused, cancelled or stopped.
    while not run._pace._interrupted.is_set():
        time.sleep(0.01)

def halt(studies, kind=Producer):
    # No run goes beyond so many studies unless it is interrupted, or the test lets go: it is there for what a test does to it.
    def wait(run, *arguments):
        while run._transaction.progress.studies >= studies and not run._pace._interrupted.is_set():
            if os.path.exists(folder + "/go on"):
                break
            time.sleep(0.01)
    at(kind, "_take", always, wait)
"""


def write(folder: Path, text: str) -> Path:
    """In ``text``, ``folder`` is the folder of the test."""
    path = folder / "script.py"
    path.write_text(f"{_PRELUDE}\nfolder = {str(folder)!r}\n{text}\nregister(orthanc)\n")
    return path
