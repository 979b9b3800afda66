"""The servers are those of the integration tests."""

from tests.integration.conftest import browser, explore, index, installation, make_server, postgresql
from tests.integration.conftest import pytest_configure, pytest_generate_tests, server_with, shared_server

__all__ = [
    "browser", "explore", "index", "installation", "make_server", "postgresql", "pytest_configure", "pytest_generate_tests",
    "server_with", "shared_server",
]
