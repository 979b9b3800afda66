"""Files that came in a request and are asked for again: the last ones, each known by a UID."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEPT = 4


class _PostedFile:
    """Alone in a folder of its own (mode 0700) below ``folder``."""

    def __init__(self, content: bytes, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.path = Path(self.folder.name, "body")
        # By so many requests it is being read.
        self.readers = 0
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)


class PostedFiles:
    """What is forgotten is deleted, as soon as nobody reads it any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._files: OrderedDict[str, _PostedFile] = OrderedDict()

    @contextmanager
    def add(self, content: bytes) -> Iterator[tuple[str, Path]]:
        """Keeps a file; its UID is the same for the same content (PS3.5 B.2).

        Raises:
            OSError
        """
        uid = f"2.25.{int.from_bytes(hashlib.sha256(content).digest()[:16])}"
        with self._lock:
            if uid not in self._files:
                self._files[uid] = _PostedFile(content, self._folder)
            self._files.move_to_end(uid)
            file = self._files[uid]
            file.readers += 1
            if len(self._files) > _KEPT:
                self._delete_unread(self._files.popitem(last=False)[1])
        try:
            yield uid, file.path
        finally:
            self._leave(uid, file)

    @contextmanager
    def get(self, uid: str) -> Iterator[Path | None]:
        """None: there is none of that UID, or no more."""
        with self._lock:
            file = self._files.get(uid)
            if file is not None:
                file.readers += 1
        try:
            yield None if file is None else file.path
        finally:
            if file is not None:
                self._leave(uid, file)

    def clear(self) -> None:
        with self._lock:
            while self._files:
                self._delete_unread(self._files.popitem()[1])

    def _leave(self, uid: str, file: _PostedFile) -> None:
        with self._lock:
            file.readers -= 1
            if self._files.get(uid) is not file:
                self._delete_unread(file)

    @staticmethod
    def _delete_unread(file: _PostedFile) -> None:
        if not file.readers:
            file.folder.cleanup()
