from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from . import archive
from .scheduled import NIGHTLY, Scheduled
from .browser import Explorer, launch
from .postgresql import PostgreSql, server_on
from .server import INSTALLATIONS, Installation, Server

# Where Orthanc keeps its index, and how the plugin reads it: by Orthanc's API, or PostgreSQL itself.
SQLITE, BY_API, BY_SQL = "SQLite", "PostgreSQL", "PostgreSQL-by-SQL"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "indexes(*names): where the test keeps Orthanc's index; in SQLite, if it is not said")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("indexes")
    if marker is not None and "index" in metafunc.fixturenames:
        metafunc.parametrize("index", marker.args, scope="module")


@pytest.fixture(scope="session")
def index() -> str:
    return SQLITE


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    server = PostgreSql()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def server_with(request: pytest.FixtureRequest) -> Callable[..., Server]:
    """Makes a server whose index is kept in a place of the names above."""

    def make(index: str, installation: Installation, folder: Path, **arguments: Any) -> Server:
        if index == SQLITE:
            return Server(installation, folder, **arguments)
        postgresql = request.getfixturevalue("postgresql")
        return server_on(postgresql, installation, folder, by_sql=index == BY_SQL, **arguments)

    return make


def _name(installation: Installation) -> str:
    return installation.name.replace(" ", "-")


@pytest.fixture(params=INSTALLATIONS, ids=_name)
def installation(request: pytest.FixtureRequest) -> Installation:
    return request.param


@pytest.fixture
def make_server(
    server_with: Callable[..., Server], index: str, installation: Installation, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """Makes an Orthanc that is not started yet; each one ends with the test."""
    servers: list[Server] = []

    def make(**arguments: Any) -> Server:
        folder = tmp_path / f"orthanc{len(servers)}"
        folder.mkdir(exist_ok=True)
        servers.append(server_with(index, installation, folder, **arguments))
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
def shared_server(
    request: pytest.FixtureRequest, server_with: Callable[..., Server], index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One Orthanc for all tests of a module that only read: three patients, CT, the third with MR too."""
    server = server_with(index, request.param, tmp_path_factory.mktemp("shared")).start()
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
