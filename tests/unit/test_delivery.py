"""A POST says why it was not taken, and ends at once when it is broken off, whatever it waits for."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from orthanc_inventory.services.delivery import BrokenOff, Delivery


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def url(listener: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/hook"


def answering(listener: socket.socket, answer: bytes, seen: list[bytes]) -> None:
    def serve() -> None:
        connection = None
        while connection is None:
            with suppress(ssl.SSLError):
                connection, _ = listener.accept()
        with connection:
            request = b""
            while b"{}" not in request:
                request += connection.recv(4096)
            seen.append(request)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "the receiver answers 301"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the receiver answers 404"),
        (b"SSH-2.0-OpenSSH\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_the_answer_tells_whether_it_was_taken(listener: socket.socket, answer: bytes, reason: str) -> None:
    seen: list[bytes] = []
    answering(listener, answer, seen)
    assert Delivery(url(listener)).post(b"{}") == reason
    assert seen[0].startswith(b"POST /hook HTTP/1.1\r\n") and seen[0].endswith(b"\r\n\r\n{}")


def test_a_receiver_that_is_not_there_is_named_by_the_system(listener: socket.socket) -> None:
    address = url(listener)
    listener.close()
    assert Delivery(address).post(b"{}") == "Connection refused"
    assert Delivery("http://nowhere.invalid/").post(b"{}")


def test_a_certificate_is_checked(listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=receiver", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    secure = context.wrap_socket(listener, server_side=True)
    seen: list[bytes] = []
    with secure:
        answering(secure, b"HTTP/1.1 200 OK\r\n\r\n", seen)
        assert "CERTIFICATE_VERIFY_FAILED" in Delivery(url(secure, "https")).post(b"{}") and seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert Delivery(url(secure, "https")).post(b"{}") == "" and seen[0].endswith(b"{}")


@pytest.fixture
def full_listener(listener: socket.socket) -> Iterator[socket.socket]:
    """It takes no more connections: they wait."""
    listener.listen(0)
    with ExitStack() as stack:
        for _ in range(4):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        yield listener


@pytest.mark.parametrize(("name", "scheme"), [("full_listener", "http"), ("listener", "http"), ("listener", "https")])
def test_it_can_be_broken_off(request: pytest.FixtureRequest, name: str, scheme: str) -> None:
    """While it waits for the connection, for the answer, for the handshake of TLS."""
    delivery = Delivery(url(request.getfixturevalue(name), scheme))
    ended: list[str] = []

    def post() -> None:
        try:
            ended.append(delivery.post(b"{}"))
        except BrokenOff:
            ended.append("broken off")

    thread = threading.Thread(target=post)
    thread.start()
    time.sleep(0.3)
    assert ended == []
    started = time.monotonic()
    delivery.break_off()
    thread.join()
    assert ended == ["broken off"] and time.monotonic() - started < 2
    with pytest.raises(BrokenOff):
        delivery.post(b"{}")
