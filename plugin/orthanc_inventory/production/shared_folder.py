"""The folder of the inventories that are kept as files, where several Orthancs share a journal."""

from __future__ import annotations

import os
from pathlib import Path

from ..stores.directory import write_file
from .shared_database import NotUsable, SharedDatabase

KEY = "Inventory.SharedJournal.Folder"
# Names the journal to which the folder belongs.
_MARK = "journal"


def shared_folder(folder: Path, database: SharedDatabase) -> Path:
    """Makes it (mode 0700), if no Orthanc has made it yet.

    Raises:
        NotUsable: it cannot be used, or is not the one that the other Orthancs have.
    """
    mark = folder / _MARK
    with database.exclusive(), database.write() as connection:
        identifier, is_made = connection.execute("SELECT identifier, has_folder FROM journal").fetchone()
        try:
            if not is_made:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
                if not mark.exists():
                    write_file(mark, (identifier.encode(),))
            is_ours = mark.exists() and mark.read_text() == identifier and os.access(folder, os.W_OK)
        except OSError as error:
            raise NotUsable(f"{KEY} cannot be used: {error.strerror}; allowed: a folder that Orthanc may write to") from None
        if not is_ours:
            raise NotUsable(f"{KEY} is not that of the other Orthancs; allowed: the folder that all of them share")
        connection.execute("UPDATE journal SET has_folder = ?", (True,))
    return folder
