"""Files of the StateDirectory that are damaged: kept aside, never deleted, and begun anew."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .database import Damaged

_Opened = TypeVar("_Opened")
# What SQLite keeps beside a file.
_COMPANIONS = ("", "-wal", "-shm")


def opened(path: Path, make: Callable[[Path], _Opened], log: Callable[[str], None]) -> _Opened:
    """What ``make`` makes of a file; a damaged one gets a dated name first, and ``log`` a line.

    Raises:
        NewerVersion, StateDirectoryError, sqlite3.Error, OSError: see ``make``; the file is left as it is.
    """
    try:
        return make(path)
    except Damaged as error:
        aside = keep_aside(path)
        log(f"Inventory.StateDirectory: {path.name} is damaged ({error}): it is kept as {aside.name}, and a new one is begun")
        return make(path)


def keep_aside(path: Path) -> Path:
    """Renames a database with all that belongs to it, for its owner alone."""
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    for companion in _COMPANIONS:
        part = Path(f"{path}{companion}")
        if part.is_symlink() or part.exists():
            if part.is_file() and not part.is_symlink():
                part.chmod(0o600)
            os.rename(part, f"{aside}{companion}")
    return aside
