"""An SCP of Inventory Creation made with pynetdicom, after PS3.4 KK: it makes nothing, and tells what the test wants."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from .creation import CREATION, INSTANCE, WITHOUT_INSTANCES
from .peer import STORAGE, SYNTAXES, keys, released, serving, steady


@dataclass
class Action:
    """An N-ACTION as it came; ``association`` is that over which it came."""

    type: int
    information: Dataset
    association: Association

    @property
    def uid(self) -> str:
        return str(self.information.TransactionUID)

    def tell(self, event: int, status: str, **more: Any) -> int | None:
        """Sends an event over the association, and answers the status of the response; None if there is none."""
        return report(self.association, event, self.uid, status, **more)


def report(association: Association, event: int, uid: str, status: str, **more: Any) -> int | None:
    information = keys(TransactionUID=uid, TransactionStatus=status, **more)
    if event != WITHOUT_INSTANCES and "TotalNumberOfStudyRecords" not in more:
        information.TotalNumberOfStudyRecords = 0
    answer, _ = association.send_n_event_report(information, event, CREATION, INSTANCE)
    return answer.get("Status")


def root(uid: str) -> dict[str, Any]:
    """What an event says of an inventory that was made."""
    return {"ReferencedSOPClassUID": STORAGE, "ReferencedSOPInstanceUID": uid, "RetrieveAETitle": "PEER"}


# What the peer does upon an action, after its response has gone out.
Behaviour = Callable[[Action], None]


@dataclass
class CreatingPeer:
    """Attributes:
        actions: all that came.
        statuses: that of the response to each type of action; success where there is none.
        early: whether the behaviour comes before the response.
    """

    behaviour: Behaviour
    statuses: dict[int, int | Dataset] = field(default_factory=dict)
    early: bool = False
    actions: list[Action] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._todo: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work)

    @contextmanager
    def listening(self, *sop_classes: str, handlers: Sequence[Any] = (), **arguments: Any) -> Iterator[int]:
        self._thread.start()
        try:
            with serving(CREATION, *sop_classes, handlers=[(evt.EVT_N_ACTION, self._take), *handlers], **arguments) as port:
                yield port
        finally:
            self._todo.put(None)
            self._thread.join()
        assert self.failures == []

    def _take(self, event: evt.Event) -> tuple[int | Dataset, None]:
        assert event.request.RequestedSOPInstanceUID == INSTANCE and event.request.RequestedSOPClassUID == CREATION
        action = Action(event.action_type, event.action_information, event.assoc)
        self.actions.append(action)
        if self.early:
            self._behave(action)
        else:
            self._todo.put(action)
        return self.statuses.get(action.type, 0), None

    def _work(self) -> None:
        while (action := self._todo.get()) is not None:
            self._behave(action)

    def _behave(self, action: Action) -> None:
        try:
            self.behaviour(action)
        except BaseException as error:
            self.failures.append(error)


@contextmanager
def calling(port: int, ae_title: str = "PEER", **arguments: Any) -> Iterator[Association]:
    """An association as the SCP with whoever listens there for events."""
    ae = AE(ae_title)
    ae.add_requested_context(CREATION, SYNTAXES)
    roles: list[Any] = [build_role(CREATION, scp_role=True)]
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, steady)]
    association = ae.associate("127.0.0.1", port, ae_title="INVENTORY", ext_neg=roles, evt_handlers=handlers, **arguments)
    with released(association):
        yield association
