"""A peer made with pynetdicom: it asks for what inventories can be asked for, and takes what is sent to it."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from tests.integration.server import Server, free_port

STORAGE, FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.1.201.{number}" for number in (1, 2, 3, 4))
VERIFICATION = "1.2.840.10008.1.1"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]


def start(
    make_server: Callable[..., Server], dimse: dict[str, Any] | None = None, inventory: dict[str, Any] | None = None,
    **configuration: Any,
) -> tuple[Server, int]:
    """An Orthanc whose Application Entity listens and allows everything to everyone, and its port."""
    allowed = {f"DicomAlwaysAllow{operation}": True for operation in ("Find", "Get", "Move")}
    own = {"Enable": True, **(dimse or {})}
    server = make_server(configuration={**allowed, **configuration}, inventory={**(inventory or {}), "Dimse": own})
    while True:
        own["Port"] = free_port()
        server.start()
        status = server.get("/inventories/status")["Dimse"]
        if status["Running"]:
            return server, own["Port"]
        # Someone else was quicker to take the port.
        assert "Address already in use" in status["Error"]
        server.stop()


def keys(**values: Any) -> Dataset:
    data = Dataset()
    for keyword, value in values.items():
        setattr(data, keyword, value)
    return data


class _WithOneReactor(Association):
    """Only its reactor tells whether it waits: pynetdicom's threads that serve events tell it, too."""

    _waits = False

    @property  # type: ignore[override]
    def _is_paused(self) -> bool:
        return self._waits

    @_is_paused.setter
    def _is_paused(self, paused: bool) -> None:
        if threading.current_thread() is self or self._kill:
            self._waits = paused


def steady(event: evt.Event) -> None:
    """For the association of a requestor, when it begins: it can be asked for something even when all is slow.

    pynetdicom waits until its reactor does before it asks. It can wait without end while an event is served, and a reactor that
    goes on once more takes the answer away; this one takes requests only.
    """
    association = event.assoc
    take = association.dimse.get_msg

    def take_own(block: bool = False) -> Any:
        if threading.current_thread() is association:
            _, message = association.dimse.peek_msg()
            if message is None or not message.is_valid_request:
                return None, None
        return take(block)

    association.dimse.get_msg = take_own  # type: ignore[method-assign]
    association.__class__ = _WithOneReactor


@contextmanager
def released(association: Association) -> Iterator[None]:
    """Releases an association at the end, or aborts it: threads of pynetdicom can wait for each other without end then."""
    try:
        yield
    finally:
        watch = threading.Timer(10, association.abort)
        watch.start()
        if association.is_established:
            association.release()
        watch.cancel()
        if association.is_alive():
            association.join(10)


@contextmanager
def association(
    port: int, *sop_classes: str, ae_title: str = "PEER", called: str = "INVENTORY", syntaxes: Sequence[str] = (),
    received: dict[str, bytes] | None = None, **arguments: Any,
) -> Iterator[Association]:
    """An association for these classes; what comes by C-STORE goes to ``received`` by UID, as PS3.10 files."""
    ae = AE(ae_title)
    for sop_class in sop_classes:
        ae.add_requested_context(sop_class, list(SYNTAXES if sop_class == VERIFICATION else syntaxes or SYNTAXES))
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, steady)]
    roles = []
    if received is not None:
        ae.add_requested_context(STORAGE, list(syntaxes or SYNTAXES))
        roles = [build_role(STORAGE, scp_role=True)]
        handlers.append((evt.EVT_C_STORE, _keep, [received]))
    made = ae.associate("127.0.0.1", port, ae_title=called, ext_neg=roles, evt_handlers=handlers, **arguments)  # type: ignore[arg-type]
    with released(made):
        yield made


def _keep(event: evt.Event, received: dict[str, bytes]) -> int:
    received[event.request.AffectedSOPInstanceUID] = event.encoded_dataset()
    return 0


def find(port: int, *, sop_class: str = FIND, syntaxes: Sequence[str] = (), **values: Any) -> tuple[list[Dataset], int]:
    """The answers to a query, and the final status."""
    with association(port, sop_class, syntaxes=syntaxes) as made:
        assert made.is_established
        answers, statuses = [], []
        for status, answer in made.send_c_find(keys(**values), sop_class):
            statuses.append(status.Status)
            if answer is not None:
                answers.append(answer)
    return answers, statuses[-1]


def get(port: int, *uids: str, syntaxes: Sequence[str] = ()) -> tuple[dict[str, bytes], list[Dataset]]:
    """The files that come by C-GET, and the responses."""
    received: dict[str, bytes] = {}
    with association(port, GET, received=received, syntaxes=syntaxes) as made:
        responses = [status for status, _ in made.send_c_get(keys(SOPInstanceUID=list(uids)), GET)]
    return received, responses


@contextmanager
def serving(
    *sop_classes: str, ae_title: str = "PEER", syntaxes: Sequence[str] = (), handlers: Sequence[Any] = (), sends: str = "",
    port: int = 0, **arguments: Any,
) -> Iterator[int]:
    """An Application Entity that is an SCP of these classes, and its port; ``handlers`` are pairs of event and function.

    ``sends`` is a class of which it is the SCU, of the associations that are asked of it.
    """
    ae = AE(ae_title)
    if sends:
        ae.add_supported_context(sends, list(syntaxes or SYNTAXES), scu_role=False, scp_role=True)
    for sop_class in sop_classes:
        ae.add_supported_context(sop_class, list(syntaxes or SYNTAXES))
    port = port or free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers), **arguments)
    assert server is not None
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def storage(
    ae_title: str = "STORE", syntaxes: Sequence[str] = (), status: int = 0,
    before: Callable[[int], object] = lambda number: None,
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """A Storage SCP for inventories: its port, and what it got; ``before`` gets the number of those that it has already."""
    received: dict[str, bytes] = {}

    def keep(event: evt.Event) -> int:
        before(len(received))
        _keep(event, received)
        return status

    with serving(STORAGE, ae_title=ae_title, syntaxes=syntaxes, handlers=[(evt.EVT_C_STORE, keep)]) as port:
        yield port, received


def read(file: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(file))


def data_set(file: bytes) -> Dataset:
    """What a file says, without its File Meta Information."""
    data = read(file)
    return Dataset({element.tag: element for element in data})


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A private key and its certificate, which is signed by itself, as PEM files."""
    key, made = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True,
    )
    return key, made


def server_context(key: Path, own: Path, trusted: Path) -> ssl.SSLContext:
    """For a server with this key and certificate, which wants a client with a certificate that it trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(trusted))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own, key)
    return context
