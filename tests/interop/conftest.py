"""The servers are those of the integration tests."""

from tests.integration.conftest import browser, explore, installation, make_server, shared_server

__all__ = ["browser", "explore", "installation", "make_server", "shared_server"]
