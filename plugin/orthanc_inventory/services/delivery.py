"""One HTTP POST at a time, which another thread can break off: no thread may be left when Orthanc ends Python."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import urlsplit

# How long each step may take, from the connection to the status of the answer (seconds).
_TIMEOUT = 10.0


class BrokenOff(OSError):
    """Nobody waits for the answer any more."""


class Delivery:
    """``url`` is an http or https URL without user and password."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._lock = threading.Lock()
        self._broken_off = False
        # A second handle of the connection that is open.
        self._handle: socket.socket | None = None

    def break_off(self) -> None:
        """Ends ``post`` wherever it is, but for the resolution of a name, which has its own limit; for good."""
        with self._lock:
            self._broken_off = True
            if self._handle is not None:
                with suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def post(self, body: bytes) -> str:
        """Why the receiver did not take the JSON, empty if it did: any 2xx. A redirection is not followed.

        Raises:
            BrokenOff
        """
        try:
            status = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            if self._broken_off:
                raise BrokenOff from None
            # The text of an error may hold the URL, and that a secret.
            return getattr(error, "strerror", None) or type(error).__name__
        return "" if 200 <= status < 300 else f"the receiver answers {status}"

    def _post(self, body: bytes) -> int:
        secure = self._parts.scheme == "https"
        host, port = self._parts.hostname or "", self._parts.port or (443 if secure else 80)
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        stream = self._connected(host, port)
        try:
            if secure:
                stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
            connection = http.client.HTTPConnection(host, port)
            connection.sock = stream
            connection.request("POST", target, body, {"Content-Type": "application/json", "Connection": "close"})
            with connection.getresponse() as response:
                return response.status
        finally:
            stream.close()
            self._hold(None)

    def _connected(self, host: str, port: int) -> socket.socket:
        """The first of the host's addresses that takes a connection."""
        failure = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            stream = socket.socket(family, kind, protocol)
            try:
                self._hold(stream.dup())
                stream.settimeout(_TIMEOUT)
                stream.connect(address)
                return stream
            except OSError as error:
                stream.close()
                self._hold(None)
                failure = error
        raise failure

    def _hold(self, handle: socket.socket | None) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            self._handle = handle
            if handle is not None and self._broken_off:
                raise BrokenOff
