"""The servers are those of the integration tests."""

from tests.integration.conftest import browser, explore, index, installation, make_server, postgresql
from tests.integration.conftest import server_with, shared_server

__all__ = ["browser", "explore", "index", "installation", "make_server", "postgresql", "server_with", "shared_server"]
