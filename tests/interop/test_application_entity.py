"""The Application Entity: who is let in, what a peer may do, and that nothing of it outlives Orthanc or a bad peer."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from typing import Any

from .server import Server, free_port

MakeServer = Callable[..., Server]


def start(make_server: MakeServer, dimse: dict[str, Any] | None = None, **configuration: Any) -> tuple[Server, int]:
    """An Orthanc whose Application Entity listens, and its port."""
    port = free_port()
    section = {"Dimse": {"Enable": True, "Port": port, **(dimse or {})}}
    return make_server(configuration=configuration, inventory=section).start(), port


def echo(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["echoscu", "-v", *arguments, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=60, check=False
    )


def test_verification(make_server: MakeServer) -> None:
    server, port = start(make_server)
    done = echo(port, "-aet", "DCMTK")
    assert done.returncode == 0 and "Received Echo Response (Success)" in done.stderr
    assert "DICOM: C-ECHO of Verification SOP Class by DCMTK (127.0.0.1): 0000H" in server.log_lines()
    assert server.get("/inventories/status")["Dimse"] == {
        "Running": True, "AeTitle": "INVENTORY", "Port": port, "Error": None,
    }


def test_it_is_off_by_default(server: Server) -> None:
    status = server.get("/inventories/status")["Dimse"]
    assert status == {"Running": False, "AeTitle": "INVENTORY", "Port": 11113, "Error": None}


def test_a_taken_port_is_one_line_and_orthanc_goes_on(make_server: MakeServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make_server(inventory={"Dimse": {"Enable": True, "Port": taken.getsockname()[1]}}).start()
        status = server.get("/inventories/status")["Dimse"]
        assert not status["Running"] and "Address already in use" in status["Error"]
        assert [line for line in server.log_lines() if "Address already in use" in line] == [status["Error"]]
        assert server.make()["Studies"] == 0
        server.stop()


def test_it_survives_resets(make_server: MakeServer) -> None:
    server, port = start(make_server)
    for _ in range(3):
        assert echo(port).returncode == 0
        server.reset()
    assert echo(port).returncode == 0
    server.stop()
    assert echo(port).returncode != 0
