from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .server import INSTALLATIONS, Installation, Server


@pytest.fixture(params=INSTALLATIONS, ids=lambda installation: installation.name.replace(" ", "-"))
def installation(request: pytest.FixtureRequest) -> Installation:
    return request.param


@pytest.fixture
def make_server(installation: Installation, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes an Orthanc that is not started yet; each one ends with the test."""
    servers: list[Server] = []

    def make(**arguments: Any) -> Server:
        folder = tmp_path / f"orthanc{len(servers)}"
        folder.mkdir()
        servers.append(Server(installation, folder, **arguments))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """An empty Orthanc that runs with the default configuration."""
    return make_server().start()
