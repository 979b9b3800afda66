"""Connections to others that another thread can break off: no thread may be left when Orthanc ends Python."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class BrokenOff(OSError):
    """Nobody waits for the answer any more."""


class Outgoing:
    """The connections of one client.

    Attributes:
        is_broken_off: what fails from then on fails for that.
    """

    def __init__(self) -> None:
        self.is_broken_off = False
        self._lock = threading.Lock()
        # A second handle of each connection that is open.
        self._handles: set[socket.socket] = set()

    def break_off(self) -> None:
        """Ends all waiting for connections and over them, but for the resolution of a name, which has its own limit."""
        with self._lock:
            self.is_broken_off = True
            for handle in self._handles:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def connection(self, host: str, port: int, timeout: float | None) -> Iterator[socket.socket]:
        """The first of the host's addresses that takes a connection; ``timeout`` is for each, and for what comes after.

        Raises:
            BrokenOff
            OSError: there is none.
        """
        failure = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as stream, self._held(stream):
                try:
                    stream.settimeout(timeout)
                    stream.connect(address)
                except OSError as error:
                    failure = error
                    continue
                yield stream
                return
        raise BrokenOff if self.is_broken_off else failure

    @contextmanager
    def _held(self, stream: socket.socket) -> Iterator[None]:
        with stream.dup() as handle:
            with self._lock:
                if self.is_broken_off:
                    raise BrokenOff
                self._handles.add(handle)
            try:
                yield
            finally:
                with self._lock:
                    self._handles.discard(handle)
