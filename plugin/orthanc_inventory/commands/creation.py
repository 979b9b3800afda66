"""A transaction of another system (Inventory Creation): what is asked about it, and what comes back, until it is over."""

from __future__ import annotations

import argparse
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from ..dicom.uids import INVENTORY_CREATION
from ..services.dimse.application_entity import ApplicationEntity, Settings
from ..services.dimse.association import Association, Peer
from ..services.dimse.inventory_request import Action, Answer, Event, InventoryEvents, act
from ..services.dimse.messages import SUCCESS, Message, is_warning
from ..services.dimse.peers import PERMISSIONS
from ..services.dimse.responder import Responder
from . import CommandError
from .peer import NoAssociation, association, check_ae_title, in_words, limits, modality, tls_context
from .progress import Progress
from .text import number

# After so many seconds without an event the status is asked for. Many peers end an association that is idle for longer.
_SILENCE = 15.0
# The first pause before a new association, and how often it is looked whether there is something to do.
_SHORTEST, _STEP = 1.0, 0.2
# How long an association may take to be released at the end.
_FAREWELL = 2.0
# Where the peer finds us, and how many of its associations there may be at a time.
_ANY_ADDRESS, _LISTENED = "0.0.0.0", 10
TERMINAL = ("COMPLETE", "FAILURE", "CANCELED")


class Creation:
    """The transaction ``uid`` of the peer that the options name; to be left by ``close``.

    All methods raise CommandError.
    """

    def __init__(self, arguments: argparse.Namespace, uid: str) -> None:
        self.uid = uid
        self._arguments = arguments
        self._name = modality(arguments).name
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._service = InventoryEvents(uid, self._events.put)
        self._attended: _Attended | None = None
        self._listener = self._listening() if arguments.listen is not None else None

    def close(self) -> None:
        if self._attended is not None:
            self._attended.leave()
        if self._listener is not None:
            self._listener.stop()

    @property
    def is_uncertain(self) -> bool:
        """Whether the peer may have got what was asked for last, though there is no answer."""
        return self._attended is not None and self._attended.was_there

    def ask(self, action: Action, **information: Any) -> Answer:
        """The answer to an action, over an association that is kept then, as events may come over it.

        Raises:
            NoAssociation
            CommandError: the peer refuses.
        """
        if self._attended is None or self._attended.is_over:
            responder = Responder([self._service], lambda line: None)
            self._attended = _Attended(self._arguments, responder)
        answer = self._attended.act(action, {"TransactionUID": self.uid, **information})
        if answer.status != SUCCESS and not is_warning(answer.status):
            what = action.name.lower().replace("_", " ")
            raise CommandError(f"{self._name} refuses to {what} with {in_words(answer.status, answer.comment)}")
        return answer

    def follow(self, is_enough: Callable[[Event], bool]) -> Event:
        """The first event that is enough, or that is the last one; until then its progress is shown.

        When nothing is heard, the status is asked for, over a new association if need be.
        """
        heard = asked = time.monotonic()
        silence = min(_SILENCE, self._arguments.timeout / 3)
        pause, status, over = _SHORTEST, "", 0.0
        latest: Event | None = None
        with Progress() as progress:
            while True:
                event = self._next()
                now = time.monotonic()
                if event is not None:
                    latest, heard, asked, pause = event, now, now, _SHORTEST
                    progress.show(None, described(event), news=event.status != status)
                    status = event.status
                    if event.is_last or is_enough(event):
                        return event
                    over = over or (now if status in TERMINAL else 0.0)
                elif over and latest is not None and now > over + 2 * silence:
                    return latest  # the peer does not tell more
                elif now >= asked + (pause if self._attended is None or self._attended.is_over else silence):
                    failure = self._ask_for_status()
                    if now > heard + self._arguments.timeout:
                        raise NoAssociation(failure or self._unheard)
                    if failure:
                        progress.show(None, f"{failure}; trying again", news=status != "?")
                        status = "?"
                    asked, pause = time.monotonic(), min(silence, 2 * pause)

    def _next(self) -> Event | None:
        """The next event, if there is one soon."""
        with suppress(queue.Empty):
            return self._events.get(timeout=_STEP)
        return None

    def _ask_for_status(self) -> str:
        """Why there is no answer, empty if there is one."""
        try:
            self.ask(Action.REQUEST_STATUS)
        except CommandError as error:
            return str(error)
        return ""

    @property
    def _unheard(self) -> str:
        hint = "" if self._listener else "; if it only does so over associations of its own, give --listen PORT"
        return f"{self._name} takes the question for the status, but does not tell it{hint}"

    def _listening(self) -> ApplicationEntity:
        arguments = self._arguments
        check_ae_title(arguments)
        if not 0 < arguments.listen < 65536:
            raise CommandError("--listen must be a port from 1 to 65535")
        if arguments.tls and not arguments.certificate:
            raise CommandError("--listen with --tls needs --certificate and --key")
        settings = Settings(arguments.ae_title, _ANY_ADDRESS, arguments.listen, "", _LISTENED, limits(arguments))
        context = tls_context(arguments, ssl.Purpose.CLIENT_AUTH) if arguments.tls else None
        entity = ApplicationEntity(settings, [self._service], _OnlyPeer(self._name), context, lambda line: None)
        try:
            entity.start()
        except OSError as error:
            raise CommandError(f"--listen {arguments.listen} cannot be used: {error.strerror}") from None
        return entity


def described(event: Event) -> str:
    """Status and numbers of a transaction in one line."""
    told = event.information
    words = [event.status.lower()]
    if isinstance(studies := told.get("TotalNumberOfStudyRecords"), int):
        words.append(f"{number(studies)} studies")
    if comment := told.get("TransactionStatusComment"):
        words.append(str(comment))
    return ", ".join(words)


class _OnlyPeer:
    """Lets one AE title do everything, and others nothing."""

    def __init__(self, ae_title: str) -> None:
        self._ae_title = ae_title

    def permissions(self, peer: Peer) -> frozenset[str]:
        return frozenset(PERMISSIONS) if self.is_same(peer.ae_title, self._ae_title) else frozenset()

    def is_same(self, first: str, second: str) -> bool:
        return first.strip() == second.strip()


class _Left(Exception):
    """Nobody needs the association any more."""


class _Attended:
    """An association with the peer that has a thread of its own, so that events are answered whenever they come."""

    def __init__(self, arguments: argparse.Namespace, responder: Responder) -> None:
        self._arguments = arguments
        self._responder = responder
        self._opened: Future[Association] = Future()
        self._answer: Future[Answer] = Future()
        self._thread = threading.Thread(target=self._attend, name="inventory-creation", daemon=True)
        self._thread.start()

    @property
    def was_there(self) -> bool:
        return self._opened.done() and self._opened.exception() is None

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def act(self, action: Action, information: Mapping[str, Any]) -> Answer:
        """Raises: NoAssociation, CommandError."""
        opened = self._opened.result()
        answer: Future[Answer] = Future()
        self._answer = answer

        def ask() -> None:
            answer.set_result(act(opened, action, information, lambda message: self._serve(opened, message)))

        opened.post(ask)
        while True:
            with suppress(TimeoutError):
                return answer.result(timeout=_STEP)
            if self.is_over and not answer.done():  # it ended before it came to that
                raise NoAssociation("the association is over")

    def leave(self) -> None:
        """Releases the association, if it is there."""
        with suppress(CommandError):
            if self._opened.done():
                self._opened.result().post(self._raise_left)
                self._thread.join(_FAREWELL)

    def _raise_left(self) -> None:
        raise _Left

    def _attend(self) -> None:
        try:
            with association(self._arguments, INVENTORY_CREATION, receives=INVENTORY_CREATION) as opened:
                self._opened.set_result(opened)
                with suppress(_Left):
                    while (message := opened.next_request()) is not None:
                        self._serve(opened, message)
        except BaseException as error:
            for future in (self._opened, self._answer):
                if not future.done():
                    future.set_exception(error)

    def _serve(self, opened: Association, message: Message) -> None:
        self._responder.serve(opened, message, frozenset(PERMISSIONS))
