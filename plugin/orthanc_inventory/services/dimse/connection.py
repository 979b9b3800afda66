"""PDUs of the DICOM Upper Layer (PS3.8 9.3) over a socket, with an end to all waiting."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from struct import pack, unpack
from typing import NamedTuple

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
# The largest P-DATA-TF PDU that is asked for, and the largest PDU of any kind that is read: some peers count its header.
MAXIMUM_LENGTH = 64 * 1024
_LARGEST = 2 * MAXIMUM_LENGTH
# Source and reason of an abort (PS3.8 9.3.8)
BY_USER = (0, 0)
UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = (2, 1), (2, 2), (2, 6)
# How long a peer has to close the connection after the last PDU (seconds), the ARTIM timer of PS3.8 9.1.5.
_ARTIM = 2.0
_BROKE = "the connection broke"
# Linux forgets it now and then; elsewhere the usual one is set once more.
_QUICK_ACKNOWLEDGEMENT = getattr(socket, "TCP_QUICKACK", socket.TCP_NODELAY)


class AssociationEnded(Exception):
    """The peer aborted or went away, is too slow or does not speak DICOM, or Orthanc stops; the text says which."""


class Pdu(NamedTuple):
    kind: int
    content: bytes

    @property
    def encoded(self) -> bytes:
        return pack(">BBI", self.kind, 0, len(self.content)) + self.content


class Connection:
    """One thread reads and writes; ``cut`` may be called by any other.

    Attributes:
        patience: seconds until a PDU that has begun must be there, or is taken by the peer.
    """

    def __init__(self, peer: socket.socket, patience: float) -> None:
        self.patience = patience
        self._socket = peer
        self._has_ended = False
        self._poll = select.poll()
        self._poll.register(peer, select.POLLIN)
        # An answer is two small PDUs, the second of which must not wait for the first to be acknowledged.
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Where a silent peer is waited for, one that is gone for good is noticed in two minutes.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4)):
            peer.setsockopt(socket.IPPROTO_TCP, option, value)

    def secure(self, context: ssl.SSLContext, server_side: bool, host: str = "") -> None:
        """Goes on in TLS (PS3.15 B). ``host`` is what the certificate of a server must name, if the context checks that.

        Raises:
            AssociationEnded
        """
        try:
            self._socket.settimeout(self.patience)
            secured = context.wrap_socket(
                self._socket, server_side=server_side, do_handshake_on_connect=False,
                server_hostname=host if context.check_hostname else None,
            )
            self._socket = secured
            secured.do_handshake()
        except OSError as error:
            raise AssociationEnded(f"TLS failed: {getattr(error, 'reason', None) or _BROKE}") from None

    def is_readable(self, seconds: float) -> bool:
        """Whether something comes, or has come, within that time; also the end of the connection."""
        pending = getattr(self._socket, "pending", None)  # of TLS: what was decrypted already
        return bool(pending and pending()) or bool(self._poll.poll(seconds * 1000))

    def read(self) -> Pdu:
        """The next PDU; waits for it.

        Raises:
            AssociationEnded
        """
        deadline = time.monotonic() + self.patience
        kind, _, length = unpack(">BBI", self._read(6, deadline))
        if not ASSOCIATE_RQ <= kind <= ABORT:
            self.abort(UNRECOGNIZED_PDU)
            raise AssociationEnded("it sent an unknown PDU")
        if length > _LARGEST:
            self.abort(INVALID_PARAMETER)
            raise AssociationEnded("it sent a PDU that is too large")
        return Pdu(kind, self._read(length, deadline))

    def _read(self, size: int, deadline: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                # Many peers hold back a response until its beginning is acknowledged, for which systems take 40 ms.
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)
                piece = self._socket.recv(size - len(content))
            except TimeoutError:
                self.abort(BY_USER)
                raise AssociationEnded("it sends nothing any more") from None
            except OSError as error:
                # A server that refuses our certificate tells that in its first answer (RFC 8446 4.4.2.4).
                reason = getattr(error, "reason", None)
                raise AssociationEnded(f"TLS failed: {reason}" if reason else _BROKE) from None
            if not piece:
                raise AssociationEnded("it closed the connection")
            content += piece
        return bytes(content)

    def write(self, content: bytes) -> None:
        """Raises: AssociationEnded."""
        try:
            self._socket.settimeout(self.patience)
            self._socket.sendall(content)
        except TimeoutError:
            raise AssociationEnded("it takes nothing any more") from None
        except OSError:
            raise AssociationEnded(_BROKE) from None

    def write_last(self, pdu: bytes) -> None:
        """Sends the PDU upon which the peer closes the connection; if it does not listen any more, that is no matter."""
        self._has_ended = True
        with suppress(OSError):
            self._socket.settimeout(_ARTIM)
            self._socket.sendall(pdu)

    def abort(self, reason: tuple[int, int]) -> None:
        """Says why; the connection is to be closed then."""
        self.write_last(Pdu(ABORT, bytes((0, 0, *reason))).encoded)

    def close(self) -> None:
        """Lets the peer close first if it is its turn (PS3.8 9.2.3, state 13): it has to read what was sent last."""
        deadline = time.monotonic() + _ARTIM
        with suppress(OSError):
            while self._has_ended and (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(4096):
                    break
        self._socket.close()

    def cut(self) -> None:
        """Ends all waiting at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
