"""Files that came in a request and are asked for again: the last ones, each known by a UID."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

_KEPT = 4


class PostedFile:
    """Alone in a folder of its own (mode 0700) below ``folder``, which is deleted with this object."""

    def __init__(self, content: bytes, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=folder)
        self.path = Path(self._folder.name, "body")
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)


class PostedFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._files: OrderedDict[str, PostedFile] = OrderedDict()

    def add(self, content: bytes) -> tuple[str, PostedFile]:
        """Keeps a file; its UID is the same for the same content (PS3.5 B.2).

        Raises:
            OSError
        """
        uid = f"2.25.{int.from_bytes(hashlib.sha256(content).digest()[:16])}"
        with self._lock:
            if uid not in self._files:
                self._files[uid] = PostedFile(content, self._folder)
            self._files.move_to_end(uid)
            if len(self._files) > _KEPT:
                self._files.popitem(last=False)
            return uid, self._files[uid]

    def get(self, uid: str) -> PostedFile | None:
        with self._lock:
            return self._files.get(uid)

    def clear(self) -> None:
        with self._lock:
            self._files.clear()
