"""The folder of the journal and of inventories that are not kept in Orthanc: private, and of one Orthanc alone."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path


class StateDirectoryError(Exception):
    """The folder cannot be used; the message names the configuration key and the reason."""


class StateDirectory:
    """Makes the folder (mode 0700) and holds a lock on it until ``close``.

    Raises:
        StateDirectoryError
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.db"
        self.changes = folder / "changes.db"
        self.attributes = folder / "attributes.db"
        self.instances = folder / "instances"
        # Files on their way out. What a crash left of them goes at the next start.
        self.exports = folder / "exports"
        # Files that came in a request, for a while. Likewise.
        self.posted = folder / "posted"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateDirectoryError(
                f"Inventory.StateDirectory cannot be used: {error.strerror}; allowed: a folder that Orthanc may write to"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateDirectoryError(
                "Inventory.StateDirectory is in use by another Orthanc; allowed: a folder of its own for each"
            ) from None

        for left in (self.exports, self.posted):
            shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        os.close(self._lock)
