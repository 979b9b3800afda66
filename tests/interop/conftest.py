"""The servers are those of the integration tests."""

from tests.integration.conftest import installation, make_server, shared_server

__all__ = ["installation", "make_server", "shared_server"]
