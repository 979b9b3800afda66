from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from . import archive
from .scheduled import NIGHTLY, Scheduled
from .browser import Explorer, launch
from .server import INSTALLATIONS, Installation, Server


def _name(installation: Installation) -> str:
    return installation.name.replace(" ", "-")


@pytest.fixture(params=INSTALLATIONS, ids=_name)
def installation(request: pytest.FixtureRequest) -> Installation:
    return request.param


@pytest.fixture
def make_server(installation: Installation, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes an Orthanc that is not started yet; each one ends with the test."""
    servers: list[Server] = []

    def make(**arguments: Any) -> Server:
        folder = tmp_path / f"orthanc{len(servers)}"
        folder.mkdir(exist_ok=True)
        servers.append(Server(installation, folder, **arguments))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def make_scheduled(make_server: Callable[..., Server]) -> Callable[..., Scheduled]:
    def make(*schedules: dict[str, Any], **inventory: Any) -> Scheduled:
        return Scheduled(make_server(inventory={"Schedules": list(schedules) or [NIGHTLY], **inventory}))

    return make


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """An empty Orthanc that runs with the default configuration."""
    return make_server().start()


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def shared_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Orthanc for all tests of a module that only read: three patients, CT, the third with MR too."""
    server = Server(request.param, tmp_path_factory.mktemp("shared")).start()
    server.store(*archive.files(3), archive.file(3, 1, 2, 1))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def explore(browser: Browser) -> Iterator[Callable[..., Explorer]]:
    """Opens tabs; what should never happen must not have happened in any of them at the end of the test."""
    tabs: list[Explorer] = []

    def explore(server: Server, **arguments: Any) -> Explorer:
        tabs.append(Explorer(browser, server, **arguments))
        return tabs[-1]

    yield explore
    try:
        for tab in tabs:
            tab.check()
    finally:
        for tab in tabs:
            tab.close()
