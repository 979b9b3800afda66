"""An association that is established: messages in P-DATA-TF PDUs, whoever asked for it (PS3.7, PS3.8 Annex E).

It belongs to one thread. Other threads may ``post`` work to it, or ``end`` it.
"""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from struct import pack, unpack_from
from typing import Any, BinaryIO, NamedTuple, cast

from .connection import ABORT, BY_USER, INVALID_PARAMETER, P_DATA, RELEASE_RP, RELEASE_RQ, UNEXPECTED_PDU
from .connection import AssociationEnded, Connection, Pdu
from .messages import C_CANCEL, C_STORE, RESPONSE, InvalidMessage, Message
from .messages import decode_command, encode_command, has_data_set, is_pending

# Bytes of a command set, and of an identifier or the information of an action.
_LARGEST_COMMAND = 64 * 1024
LARGEST_IDENTIFIER = 1024 * 1024
# Up to this size (bytes) the data set of a message is kept in memory.
_IN_MEMORY = 1024 * 1024
# Fragments for a peer that takes PDUs of any length.
_LARGEST_FRAGMENT = 128 * 1024
# Requests that a peer may send before the one at work is answered (PS3.7 D.3.3.3: it may not do so without negotiation), and
# responses to what is answered already.
_MOST_WAITING = 16
# What is written is collected up to so many bytes, or for so many seconds while more of it comes.
_BLOCK, _HOLD = 64 * 1024, 0.05
# How often a waiting association looks whether there is something else to do (seconds).
_STEP = 0.2


class Peer(NamedTuple):
    ae_title: str
    address: str

    def __str__(self) -> str:
        return f"{self.ae_title} ({self.address})"


class Context(NamedTuple):
    """An accepted presentation context, and which requests may go over it: ours, and those of the peer."""

    id: int
    sop_class: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool


class Limits(NamedTuple):
    """``idle`` are the seconds until a request comes, or a response; ``request`` those for a whole request with all its
    responses; ``store`` the bytes of an object that comes in. ``folder`` is where it lies meanwhile.
    """

    idle: float
    request: float
    store: int
    folder: Path


class Association:
    """``extended`` are the answers of the extended negotiation by SOP class, ``maximum`` is the PDU length of the peer. It ends
    when ``ended`` is set, if that is given.
    """

    def __init__(
        self,
        connection: Connection,
        peer: Peer,
        contexts: Iterable[Context],
        maximum: int,
        limits: Limits,
        extended: Mapping[str, bytes],
        ended: threading.Event | None = None,
    ) -> None:
        self.peer = peer
        self.contexts = {context.id: context for context in contexts}
        self.extended = extended
        self._connection = connection
        self._fragment = min(maximum or _LARGEST_FRAGMENT, _LARGEST_FRAGMENT) - 6
        self._limits = limits
        # For what the peer waits, which may take long: its silence is no reason to end the association.
        self.awaited: set[str] = set()
        # Called in its own thread when it is over, by the reason for it.
        self.when_over: dict[str, Callable[[], None]] = {}
        self._ended = ended or threading.Event()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._requests: deque[Message] = deque()
        self._responses: deque[Message] = deque()
        self._canceled: set[int] = set()
        self._message_id = 0
        # The Message ID of the own request whose final response is not there yet, 0 for none.
        self._awaited = 0
        self._unasked = 0
        self._out: list[bytes] = []
        self._held = 0
        self._held_since = 0.0
        self._deadline = 0.0
        # The message that is coming in.
        self._command = bytearray()
        self._incoming: Message | None = None

    # For other threads

    def post(self, work: Callable[[], None]) -> None:
        """Lets the association's own thread do something, as soon as it serves no request; nothing after its end."""
        self._work.put(work)

    def end(self) -> None:
        """Lets the association's own thread abort as soon as it sees that; nothing new is begun."""
        self._ended.set()

    def cut(self) -> None:
        """Ends it at once, whatever it does."""
        self._ended.set()
        self._connection.cut()

    def violation(self, text: str) -> AssociationEnded:
        """To be raised when the peer breaks the protocol."""
        return self._abort(INVALID_PARAMETER, text)

    # Requests of the peer

    def next_request(self) -> Message | None:
        """The next request; None when the peer has released the association.

        Raises:
            AssociationEnded
        """
        self._deadline = 0.0
        idle_since = time.monotonic()
        while not self._requests:
            self._check()
            # A peer that has asked for something does not expect a request until it is answered.
            while not self._work.empty() and not self._connection.is_readable(0):
                self._work.get()()
                idle_since = time.monotonic()
            if self._wait():
                if not self._read():
                    return None
                idle_since = time.monotonic()
            elif self._limits.idle and not self.awaited and time.monotonic() > idle_since + self._limits.idle:
                raise self._abort(BY_USER, "it asks for nothing any more")
        self._canceled &= {request.command.get("MessageID", 0) for request in self._requests}
        self._deadline = time.monotonic() + self._limits.request
        return self._requests.popleft()

    def is_canceled(self, message_id: int) -> bool:
        """Whether the peer sent a C-CANCEL for its request.

        Raises:
            AssociationEnded: also if the peer released the association while it waits for an answer.
        """
        self._check()
        self._flush_held()
        while self._connection.is_readable(0):
            if not self._read():
                raise AssociationEnded("it did not wait for the answer")
        return message_id in self._canceled

    # Requests to the peer

    def context(self, sop_class: str) -> list[Context]:
        """The contexts over which requests of this class can go to the peer."""
        return [context for context in self.contexts.values() if context.sop_class == sop_class and context.as_scu]

    def request(self, context: Context, command: Mapping[str, Any], data: Iterable[bytes] = ()) -> Mapping[str, Any]:
        """Sends a request that has one response, and answers the command set of that.

        Raises:
            AssociationEnded
        """
        self.begin(context, command, data)
        response = self.next_response()
        close(response.data)
        return response.command

    def begin(self, context: Context, command: Mapping[str, Any], data: Iterable[bytes] = ()) -> int:
        """Sends a request, whose Message ID is made here and answered. Its responses are to be taken, up to the final one,
        before the next request.

        Raises:
            AssociationEnded
        """
        self._message_id = self._message_id % 0xFFFF + 1
        self._awaited, self._unasked = self._message_id, 0
        self._responses.clear()
        self.send(context.id, {**command, "MessageID": self._message_id}, data)
        self.flush()
        return self._message_id

    def next_response(self, serve: Callable[[Message], None] | None = None) -> Message:
        """The next response to the request that was begun last; the final one is that whose status is not pending.

        Requests that come before it are served by ``serve``, if it is given; else they wait for ``next_request``.

        Raises:
            AssociationEnded
        """
        patience = self._limits.idle or self._limits.request
        answer_until = time.monotonic() + patience
        while not self._responses:
            self._check()
            if serve is not None and self._requests:
                serve(self._requests.popleft())
                answer_until = time.monotonic() + patience
            elif self._wait():
                if not self._read():
                    raise AssociationEnded("it released the association before it answered")
                answer_until = time.monotonic() + patience
            elif time.monotonic() > answer_until:
                raise self._abort(BY_USER, "it does not answer")
        response = self._responses.popleft()
        if "Status" not in response.command:
            raise self.violation("it sent a response without a status")
        if not is_pending(response.command["Status"]):
            self._awaited = 0
        return response

    def release(self) -> None:
        """Ends an association that was asked for here; that the peer is gone already does no harm."""
        with suppress(AssociationEnded):
            self.flush()
            self._connection.write(Pdu(RELEASE_RQ, bytes(4)).encoded)
            while self._connection.read().kind not in (RELEASE_RP, ABORT):
                pass

    # Messages

    def send(self, context: int, command: Mapping[str, Any], data: Iterable[bytes] = ()) -> None:
        """Sends a message; ``data`` is its data set in pieces. Small ones leave together, at the latest with ``flush``.

        Raises:
            AssociationEnded
        """
        pieces = iter(data)
        first = next(pieces, b"")
        self._write(context, 1, [encode_command(command, bool(first))])
        if first:
            self._write(context, 0, _chain(first, pieces))

    def send_all(self, context: int, command: Mapping[str, Any], data_sets: Iterable[bytes]) -> None:
        """Sends a message for each of the data sets, which are not empty, with the same command set.

        Raises:
            AssociationEnded
        """
        encoded = encode_command(command, True)
        if len(encoded) > self._fragment:
            for data_set in data_sets:
                self.send(context, command, (data_set,))
            return
        begin = _pdu_header(context, 3, len(encoded)) + encoded
        heads: dict[int, bytes] = {}
        for data_set in data_sets:
            length = len(data_set)
            if length > self._fragment:
                self.send(context, command, (data_set,))
                continue
            head = heads.get(length)
            if head is None:
                head = heads[length] = begin + _pdu_header(context, 2, length)
            self._put(head + data_set)
        self._flush_held()

    def flush(self) -> None:
        if self._out:
            content = b"".join(self._out)
            self._out.clear()
            self._held = 0
            self._connection.write(content)

    def _write(self, context: int, kind: int, pieces: Iterable[bytes]) -> None:
        fragments = _fragments(pieces, self._fragment)
        fragment: bytes | None = next(fragments)
        while fragment is not None:
            following = next(fragments, None)
            header = kind | (2 if following is None else 0)
            self._put(_pdu_header(context, header, len(fragment)) + fragment)
            fragment = following
        self._flush_held()

    def _put(self, pdus: bytes) -> None:
        if not self._out:
            self._held_since = time.monotonic()
        self._out.append(pdus)
        self._held += len(pdus)
        if self._held >= _BLOCK:
            self.flush()

    def _flush_held(self) -> None:
        if self._out and time.monotonic() > self._held_since + _HOLD:
            self.flush()

    def _check(self) -> None:
        """Between any two steps: is it time to end?"""
        if self._ended.is_set():
            raise self._abort(BY_USER, "Orthanc stops")
        if self._deadline and time.monotonic() > self._deadline:
            raise self._abort(BY_USER, "the request takes too long")

    def _abort(self, reason: tuple[int, int], text: str) -> AssociationEnded:
        self._connection.abort(reason)
        return AssociationEnded(text)

    def _wait(self) -> bool:
        self.flush()
        return self._connection.is_readable(_STEP)

    def _read(self) -> bool:
        """Takes the next PDU; False when it released the association."""
        pdu = self._connection.read()
        if pdu.kind == P_DATA:
            try:
                self._take(pdu.content)
            except InvalidMessage as error:
                raise self.violation(str(error)) from None
            return True
        if pdu.kind == RELEASE_RQ:
            self.flush()
            self._connection.write_last(Pdu(RELEASE_RP, bytes(4)).encoded)
            return False
        if pdu.kind == ABORT:
            raise AssociationEnded("it aborted the association")
        raise self._abort(UNEXPECTED_PDU, "it sent an unexpected PDU")

    def _take(self, content: bytes) -> None:
        """The presentation data values of a PDU (PS3.8 9.3.5.1)."""
        position = 0
        while position < len(content):
            if position + 6 > len(content):
                raise InvalidMessage("a PDU is broken")
            length, context, header = unpack_from(">IBB", content, position)
            position += 4
            fragment = content[position + 2 : position + length]
            if length < 2 or len(fragment) != length - 2:
                raise InvalidMessage("a PDU is broken")
            position += length
            if context not in self.contexts:
                raise InvalidMessage("a message came over a presentation context that was not accepted")
            if header & 1:
                self._take_command(context, fragment, bool(header & 2))
            else:
                self._take_data(context, fragment, bool(header & 2))

    def _take_command(self, context: int, fragment: bytes, last: bool) -> None:
        self._command += fragment
        if self._incoming is not None or len(self._command) > _LARGEST_COMMAND:
            raise InvalidMessage("a command set is too large, or out of place")
        if last:
            message = Message(context, decode_command(bytes(self._command)))
            self._command.clear()
            if has_data_set(message.command):
                message.data = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._limits.folder)))
                self._incoming = message
                # What comes while something is awaited here has as long as that.
                if not self._awaited:
                    self._deadline = self._deadline or time.monotonic() + self._limits.request
            else:
                self._complete(message)

    def _take_data(self, context: int, fragment: bytes, last: bool) -> None:
        message = self._incoming
        if message is None or message.data is None or message.context != context:
            raise InvalidMessage("a data set is out of place")
        largest = self._limits.store if message.command["CommandField"] == C_STORE else LARGEST_IDENTIFIER
        message.size += len(fragment)
        if message.size > largest and not message.too_large:
            message.too_large = True
            message.data.truncate(0)
        if not message.too_large:
            try:
                message.data.write(fragment)
            except OSError:  # the disk is full: what else comes is read and told to be too large
                message.too_large = True
        if last:
            message.data.seek(0)
            self._incoming = None
            self._complete(message)

    def _complete(self, message: Message) -> None:
        field = message.command["CommandField"]
        if field == C_CANCEL:
            self._canceled.add(message.command.get("MessageIDBeingRespondedTo", 0))
        elif field & RESPONSE:
            if message.command.get("MessageIDBeingRespondedTo", 0) == self._awaited != 0:
                self._responses.append(message)
            else:  # also a second final response, as pynetdicom sends it after B001H
                close(message.data)
                self._unasked += 1
        else:
            # A C-CANCEL that came before was for an earlier request with this ID, and came too late.
            self._canceled.discard(message.command.get("MessageID", 0))
            self._requests.append(message)
        if len(self._requests) + len(self._canceled) + self._unasked > _MOST_WAITING:
            raise InvalidMessage("more messages came than were asked for")


def _pdu_header(context: int, header: int, length: int) -> bytes:
    """What comes before a fragment of this length in a P-DATA-TF PDU; ``header`` is the message control header (PS3.8 E.2)."""
    return pack(">BBIIBB", P_DATA, 0, length + 6, length + 2, context, header)


def _chain(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _fragments(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of one size, the last of which may be smaller."""
    rest = b""
    for piece in pieces:
        content = rest + bytes(piece) if rest else bytes(piece)
        whole = len(content) - len(content) % size
        for start in range(0, whole, size):
            yield content[start : start + size]
        rest = content[whole:]
    if rest:
        yield rest


def close(data: BinaryIO | None) -> None:
    if data is not None:
        data.close()
