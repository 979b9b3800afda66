"""The Application Entity: listens, gives each connection a thread, and ends with Orthanc.

pynetdicom reads and writes what associations are negotiated with. Its own association is not used: it answers a query
twice at its limit, drops the Attribute Identifier List, reads PDUs of any length, does the handshake of TLS before the next
peer is heard, and spends two threads that look for work a thousand times a second.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .acceptor import Acceptor
from .association import Association, Limits
from .connection import AssociationEnded, Connection
from .peers import Admission
from .service import Service

# How long a peer may take to ask for an association once it is connected (seconds).
_ASSOCIATE = 10.0
# Connections beside the associations: those that are about to become one, or are told that there are too many.
_OTHER_CONNECTIONS = 64
# How often the listener looks whether it is to stop, and how long an association may take to end by itself (seconds).
_STEP, _FAREWELL, _END = 0.5, 2.0, 5.0


class Settings(NamedTuple):
    """``called`` is the AE title that must be called, empty for any."""

    ae_title: str
    bind_address: str
    port: int
    called: str
    maximum_associations: int
    limits: Limits


class ApplicationEntity:
    """``tls`` is None for an AE without."""

    def __init__(
        self,
        settings: Settings,
        services: Sequence[Service],
        peers: Admission,
        tls: ssl.SSLContext | None,
        log: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._log = log
        self._acceptor = Acceptor(services, peers, settings.called, settings.limits, self, log)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._socket: socket.socket | None = None
        self._listener = threading.Thread(target=self._listen, name="inventory-dicom", daemon=True)
        self._associations: set[Association] = set()
        self._connections: dict[threading.Thread, Connection] = {}

    def start(self) -> None:
        """Raises: OSError, when the address or port cannot be used."""
        settings = self._settings
        family = socket.AF_INET6 if ":" in settings.bind_address else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((settings.bind_address, settings.port))
            listening.listen(_OTHER_CONNECTIONS)
        except OSError:
            listening.close()
            raise
        listening.settimeout(_STEP)
        self._socket = listening
        self._listener.start()

    @property
    def is_running(self) -> bool:
        return self._listener.is_alive()

    def stop(self) -> None:
        """Waits until nothing of it is left; associations are aborted, those that do not mind it are cut."""
        self._stopping.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the listener
        if self._listener.is_alive():
            self._listener.join()
        with self._lock:
            threads = dict(self._connections)
            for association in self._associations:
                association.end()
        deadline = time.monotonic() + _FAREWELL
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for thread, connection in threads.items():
            if thread.is_alive():
                connection.cut()
        deadline = time.monotonic() + _END
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # Places of the acceptor

    def take(self, association: Association) -> bool:
        with self._lock:
            if self._stopping.is_set() or len(self._associations) >= self._settings.maximum_associations:
                return False
            self._associations.add(association)
            return True

    def leave(self, association: Association) -> None:
        with self._lock:
            self._associations.discard(association)

    # Threads

    def _listen(self) -> None:
        assert self._socket is not None
        with self._socket as listening:
            while not self._stopping.is_set():
                try:
                    peer, address = listening.accept()
                except TimeoutError:
                    continue
                except OSError:  # the peer has gone already, or there are no more file descriptors: try again
                    self._stopping.wait(_STEP)
                    continue
                self._begin(peer, address[0].removeprefix("::ffff:"))

    def _begin(self, peer: socket.socket, address: str) -> None:
        with self._lock:
            full = len(self._connections) >= self._settings.maximum_associations + _OTHER_CONNECTIONS
        try:
            if full:
                raise OSError
            connection = Connection(peer, _ASSOCIATE)
        except OSError:  # also when the peer has gone already
            peer.close()
            return
        thread = threading.Thread(target=self._serve, args=(connection, address), name="inventory-association", daemon=True)
        with self._lock:
            self._connections[thread] = connection
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            connection.close()
            with self._lock:
                del self._connections[thread]

    def _serve(self, connection: Connection, address: str) -> None:
        try:
            if self._tls is not None:
                connection.secure(self._tls, server_side=True)
            self._acceptor.serve(connection, address)
        except AssociationEnded as error:
            self._log(f"DICOM: connection from {address} ended: {error}")
        finally:
            connection.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)

