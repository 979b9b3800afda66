"""A peer, made with pynetdicom, that asks for inventories to be created (PS3.4 KK) and is told of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION

from tests.integration import script
from tests.integration.server import Server, free_port
from tests.integration.waiting import wait_until

from .peer import SYNTAXES, keys, released, start, steady

CREATION = "1.2.840.10008.5.1.4.1.1.201.5"
INSTANCE = "1.2.840.10008.5.1.4.1.1.201.1.1"
INITIATE, REQUEST_STATUS, CANCEL, PAUSE, RESUME = range(11, 16)
WITH_INSTANCES, STATUS, WITHOUT_INSTANCES = range(11, 14)
# Two studies fill an instance.
SMALL = {"MaxRecordsPerInstance": 6}


class Told(NamedTuple):
    """An event, in which transfer syntax, and whether over a ``new`` association that was made for it."""

    type: int
    information: Dataset
    syntax: str
    new: bool

    @property
    def said(self) -> tuple[int, str]:
        return self.type, self.information.get("TransactionStatus", "")


class Answer(NamedTuple):
    """The command set of a response, as it came."""

    command: Dataset

    @property
    def status(self) -> int:
        return self.command.Status

    @property
    def comment(self) -> str:
        return self.command.get("ErrorComment", "")

    @property
    def tags(self) -> list[int]:
        found = self.command.AttributeIdentifierList
        return sorted(found if isinstance(found, Sequence) or hasattr(found, "insert") else [found])


class _Events:
    """Takes and answers events as a whole, until it ends: what comes later is neither taken nor answered.

    pynetdicom does both in threads of their own, even when the association is being released, and between the parts of
    another message.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._over = False

    def attend(self, association: Association) -> None:
        serve, send = association._serve_request, association.dimse.send_msg

        def serve_whole(*arguments: Any) -> None:
            with self._lock:
                if not self._over:
                    serve(*arguments)

        def send_whole(*arguments: Any) -> None:
            with self._lock:
                send(*arguments)

        association._serve_request = serve_whole  # type: ignore[method-assign]
        association.dimse.send_msg = send_whole  # type: ignore[method-assign]

    def end(self) -> None:
        with self._lock:
            self._over = True


class Creator:
    """``ae_title`` is that of the modality; ``status`` is what it answers to events."""

    def __init__(self, ae_title: str = "PEER") -> None:
        self.ae_title = ae_title
        self.port = free_port()
        self.status: Callable[[Told], int] = lambda told: 0
        self.told: list[Told] = []

    @property
    def modality(self) -> dict[str, Any]:
        return {"AET": self.ae_title, "Host": "127.0.0.1", "Port": self.port}

    @contextmanager
    def listening(
        self, roles: bool = True, syntaxes: Sequence[str] = (), caller: str = "", **arguments: Any
    ) -> Iterator[None]:
        """Takes events over new associations; without ``roles`` it does not let others be the SCP there.

        ``caller`` is the only AE title that may call; ``arguments`` are those of pynetdicom's server.
        """
        ae = AE(self.ae_title)
        ae.require_calling_aet = [caller] if caller else []
        accepted = {"scu_role": False, "scp_role": True} if roles else {}
        ae.add_supported_context(CREATION, list(syntaxes or SYNTAXES), **accepted)
        events = _Events()
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, lambda event: events.attend(event.assoc)), (evt.EVT_N_EVENT_REPORT, self._take, [True])
        ]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers, **arguments)
        assert server is not None
        try:
            yield
        finally:
            events.end()
            server.shutdown()

    @contextmanager
    def associated(self, port: int, syntaxes: Sequence[str] = ()) -> Iterator[Asking]:
        ae = AE(self.ae_title)
        ae.add_requested_context(CREATION, list(syntaxes or SYNTAXES))
        asking = Asking()
        events = _Events()
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, steady), (evt.EVT_CONN_OPEN, lambda event: events.attend(event.assoc)),
            (evt.EVT_N_EVENT_REPORT, self._take, [False]), (evt.EVT_DIMSE_RECV, asking.take),
        ]
        association = ae.associate("127.0.0.1", port, ae_title="INVENTORY", evt_handlers=handlers)
        assert association.is_established
        asking.association = association
        with released(association):
            try:
                yield asking
            finally:
                events.end()

    def _take(self, event: evt.Event, new: bool) -> tuple[int, None]:
        assert event.request.AffectedSOPClassUID == CREATION and event.request.AffectedSOPInstanceUID == INSTANCE
        told = Told(event.event_type, event.event_information, event.context.transfer_syntax, new)
        status = self.status(told)
        self.told.append(told)
        return status, None

    def of(self, uid: str) -> list[Told]:
        return [told for told in self.told if told.information.TransactionUID == uid]

    def said(self, uid: str) -> list[tuple[int, str]]:
        return [told.said for told in self.of(uid)]

    def wait_for(self, uid: str, number: int) -> list[Told]:
        """The events of a transaction once there are so many."""
        wait_until(lambda: len(self.of(uid)) >= number, lambda: self.of(uid))
        return self.of(uid)

    def wait_for_end(self, uid: str) -> list[Told]:
        wait_until(lambda: self.of(uid) and self.of(uid)[-1].type != STATUS, lambda: self.of(uid))
        return self.of(uid)


class Asking:
    """An association over which actions are asked for."""

    association: Association

    def __init__(self) -> None:
        self._commands: list[Dataset] = []

    def take(self, event: evt.Event) -> None:
        self._commands.append(event.message.command_set)

    def act(self, action: int, information: Dataset | None = None, *, instance: str = INSTANCE, **values: Any) -> Answer:
        data = keys(**values) if information is None else information
        status, _ = self.association.send_n_action(data, action, CREATION, instance)
        assert status, "there is no answer"
        [command] = [entry for entry in self._commands if entry.CommandField == 0x8130]
        self._commands.clear()
        assert command.get("ActionTypeID") == action and command.CommandDataSetType == 0x0101
        assert command.AffectedSOPClassUID == CREATION and command.AffectedSOPInstanceUID == instance
        return Answer(command)

    def act_raw(self, action: int, information: bytes = b"") -> int:
        """The status of the response to an action with these bytes as its information."""
        request = N_ACTION()
        request.MessageID, request.ActionTypeID = 1, action
        request.RequestedSOPClassUID, request.RequestedSOPInstanceUID = CREATION, INSTANCE
        if information:
            request.ActionInformation = BytesIO(information)
        [context] = self.association.accepted_contexts
        self.association.dimse.send_msg(request, context.context_id)
        self.association.dimse.get_msg(block=True)
        [command] = [entry for entry in self._commands if entry.CommandField == 0x8130]
        self._commands.clear()
        return command.Status

    def initiate(self, uid: str, level: str = "INSTANCE", scope: Sequence[Dataset] = (), **values: Any) -> Answer:
        return self.act(
            INITIATE, TransactionUID=uid, InventoryLevel=level, ScopeOfInventorySequence=list(scope), **values
        )


def with_script(folder: Path, text: str) -> str:
    """A script for the first server of a test."""
    (folder / "orthanc0").mkdir()
    return str(script.write(folder / "orthanc0", text))


def start_for(
    make_server: Callable[..., Server], *creators: Creator, inventory: dict[str, Any] | None = None, **configuration: Any
) -> tuple[Server, int]:
    """An Orthanc that has the creators among its modalities."""
    modalities = {f"creator{place}": creator.modality for place, creator in enumerate(creators)}
    return start(make_server, inventory=inventory, **{"DicomModalities": modalities, **configuration})
