"""Finished transactions are told to a receiver, whatever that does, and Orthanc does not wait for it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from . import archive
from .server import Server, free_port
from .waiting import wait_until

LEFT_OUT = {"Scope", "Purpose", "Description", "UserData", "Requestor", "Skipped"}


class Receiver:
    """An HTTP server that answers as it is told; what it took is in ``bodies``, all that came in ``requests``."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook/a?token=secret-token"
        self.status = 200
        self.silent = threading.Event()
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.bodies: list[dict[str, Any]] = []
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Content-Type"] == "application/json"
                status = receiver.status
                receiver.requests.append((self.command, self.path, body))
                if receiver.silent.is_set():
                    time.sleep(30)
                if status == 200:
                    receiver.bodies.append(body)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait_for(self, number: int, what: str = "bodies") -> list[Any]:
        found: list[Any] = getattr(self, what)
        wait_until(lambda: len(found) >= number, lambda: found)
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def notifying(make_server: Callable[..., Server], receiver: Receiver) -> Server:
    return make_server(inventory={"Notify": {"Url": receiver.url}})


def wait_until_all_is_told(server: Server) -> None:
    """Until it is known that the receiver has it: a stop before that would have it told again."""

    def is_told() -> bool:
        with sqlite3.connect(f"file:{server.state_directory / 'journal.db'}?mode=ro", uri=True) as journal:
            return journal.execute("SELECT COUNT(*) FROM outbox").fetchone() == (0,)

    wait_until(is_told)


def failures(server: Server) -> list[str]:
    return [line for line in server.log_lines() if "notification" in line]


def test_each_finished_transaction_is_told_without_what_may_name_a_patient(notifying: Server, receiver: Receiver) -> None:
    server = notifying.start()
    server.store(*archive.files(2))
    names = {"Scope": {"PatientName": "FAMILY1*"}, "Purpose": "of Family1", "Description": "for Family1", "UserData": "Family1"}
    done = server.post("/inventories", {**names, "Synchronous": True})
    [body] = receiver.wait_for(1)
    assert set(done) - set(body) == LEFT_OUT
    assert body == {key: value for key, value in done.items() if key not in LEFT_OUT}
    assert "family" not in json.dumps(body).lower()
    [(method, path, _)] = receiver.requests
    assert (method, path) == ("POST", "/hook/a?token=secret-token")
    # A run that waits is told of when it is cancelled, and one that is paused is not over.
    uid = server.begin()
    server.wait_for(uid)
    assert receiver.wait_for(2)[1]["ID"] == uid
    time.sleep(0.5)
    assert len(receiver.requests) == 2 and failures(server) == []


def test_a_cancelled_transaction_is_told_too(make_server: Callable[..., Server], receiver: Receiver) -> None:
    server = make_server(inventory={"Notify": {"Url": receiver.url}}).start_with("halt(1)")
    server.store(*archive.files(10))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    server.post(f"/inventories/transactions/{uid}/cancel")
    [body] = receiver.wait_for(1)
    assert (body["ID"], body["TransactionStatus"]) == (uid, "CANCELED")


def test_a_receiver_that_fails_gets_it_later(notifying: Server, receiver: Receiver) -> None:
    receiver.status = 500
    server = notifying.start()
    first, second = server.begin(), server.begin()
    receiver.wait_for(4, "requests")
    assert receiver.bodies == []
    receiver.status = 200
    assert sorted(body["ID"] for body in receiver.wait_for(2)) == sorted([first, second])
    time.sleep(2.5)
    assert len(receiver.bodies) == 2 and len(receiver.requests) <= 8
    # Once for each, and nothing of the body or the address.
    lines = failures(server)
    assert sorted(line.split(" of ")[1].split()[0] for line in lines) == sorted([first, second])
    assert all(line.endswith("the receiver answers 500") for line in lines)
    assert "secret-token" not in server.log()


def test_it_survives_a_restart(notifying: Server, receiver: Receiver) -> None:
    receiver.stop()
    server = notifying.start()
    uids = [server.post("/inventories", {"Synchronous": True})["ID"] for _ in range(2)]
    server.stop()
    assert all("refused" in line for line in failures(server))
    receiver.start()
    server.start()
    assert [body["ID"] for body in receiver.wait_for(2)] == uids
    wait_until_all_is_told(server)
    server.stop()
    server.start()
    time.sleep(1)
    assert len(receiver.requests) == 2


def test_a_crash_loses_none(notifying: Server, receiver: Receiver) -> None:
    receiver.stop()
    server = notifying.start_with("at(Journal, 'finish', [1], die, after=True)")
    uid = server.begin_to_die()
    receiver.start()
    server.start()
    assert [body["ID"] for body in receiver.wait_for(1)] == [uid]


def test_a_redirection_is_not_followed(notifying: Server, receiver: Receiver) -> None:
    receiver.status = 302
    server = notifying.start()
    server.begin()
    requests = receiver.wait_for(2, "requests")
    assert {(method, path) for method, path, _ in requests} == {("POST", "/hook/a?token=secret-token")}
    assert failures(server)[0].endswith("the receiver answers 302")


def test_a_receiver_that_never_answers_delays_nothing(notifying: Server, receiver: Receiver) -> None:
    receiver.silent.set()
    server = notifying.start()
    server.post("/inventories", {"Synchronous": True})
    receiver.wait_for(1, "requests")
    server.post("/inventories", {"Synchronous": True})
    server.reset()
    receiver.wait_for(2, "requests")
    started = time.monotonic()
    server.stop()
    # No longer than a stop takes anyway, and less than the receiver's silence.
    assert time.monotonic() - started < 20
    assert failures(server) == []


def test_without_a_receiver_nothing_is_kept_for_one(make_server: Callable[..., Server], receiver: Receiver) -> None:
    server = make_server().start()
    server.make()
    server.stop()
    server.configuration["Inventory"] = {"Notify": {"Url": receiver.url}}
    server.start()
    uid = server.post("/inventories", {"Synchronous": True})["ID"]
    assert [body["ID"] for body in receiver.wait_for(1)] == [uid]
