"""The Application Entity as Orthanc and the section ``Dimse`` configure it, from the start of the plugin to its stop."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...host import Host
from .application_entity import ApplicationEntity, Settings
from .association import Limits
from .peers import Peers
from .requestor import Requestor
from .service import Service
from .tls import InvalidTls, client_context, server_context

# Seconds that a request may take with all its responses and sub-operations.
_LONGEST_REQUEST = 3600.0


class Dimse:
    """``configuration`` is the whole section Inventory; ``folder`` is where objects lie while they come in.

    Attributes:
        ae_title: our own.
        peers: who may do what, and where modalities are.
        requestor: makes associations with them.
    """

    def __init__(self, host: Host, configuration: Mapping[str, Any], folder: Path) -> None:
        self._host = host
        self._configuration = configuration["Dimse"]
        self._store = configuration["MaximumImportSize"] * 1024 * 1024
        self._folder = folder
        self._entity: ApplicationEntity | None = None
        self._error: str | None = None
        self.ae_title: str = self._configuration["AeTitle"]
        self.peers = Peers(host)
        self.requestor = Requestor(self.ae_title, lambda: client_context(host), self._limits("DicomScuTimeout", 10))

    def start(self, services: Sequence[Service]) -> None:
        """Does nothing unless it is enabled. What stands against it is logged and told by ``status``; all else goes on."""
        configuration = self._configuration
        if not configuration["Enable"]:
            return
        where = f"port {configuration['Port']} of {configuration['BindAddress']}"
        settings = Settings(
            self.ae_title,
            configuration["BindAddress"],
            configuration["Port"],
            self.ae_title if self._host.configuration.get("DicomCheckCalledAet", False) else "",
            configuration["MaximumAssociations"],
            self._limits("DicomScpTimeout", 30),
        )
        try:
            tls = server_context(self._host)
            entity = ApplicationEntity(settings, services, self.peers, tls, self._host.log)
            entity.start()
        except InvalidTls as error:
            self._error = f"Inventory.Dimse does not start: {error}"
        except OSError as error:
            self._error = f"Inventory.Dimse does not start: {where} cannot be used: {error.strerror}"
        else:
            self._entity = entity
            self._host.log(f"{self.ae_title} listens to DICOM{' TLS' if tls else ''} at {where}")
        if self._error:
            self._host.log_error(self._error)

    def requestor_for(self, ae_title: str, ended: threading.Event) -> Requestor:
        """One under an AE title of its own, whose associations end with the event."""
        return Requestor(ae_title, lambda: client_context(self._host), self._limits("DicomScuTimeout", 10), ended)

    def stop(self) -> None:
        self.requestor.stop()
        if self._entity is not None:
            self._entity.stop()
            self._entity = None

    def status(self) -> dict[str, Any]:
        """For ``/inventories/status``; ``Error`` is why it does not run though it should."""
        return {
            "Running": self._entity is not None and self._entity.is_running,
            "AeTitle": self.ae_title,
            "Port": self._configuration["Port"],
            "Error": self._error,
        }

    def _limits(self, key: str, default: float) -> Limits:
        """``key`` is that of Orthanc for its own associations of this direction; 0 stands for no limit, as there."""
        return Limits(float(self._host.configuration.get(key, default)), _LONGEST_REQUEST, self._store, self._folder)
