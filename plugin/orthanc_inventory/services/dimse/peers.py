"""Who may do what, and where it is: Orthanc's own DicomModalities, and its keys that go with them."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple, Protocol

from ...host import Host
from .association import Peer

# What Orthanc allows to all, and what without a word in its configuration.
_ALWAYS = {"Echo": True, "Store": True, "Find": False, "Get": False, "Move": False}
# By permission: the flag of a modality.
PERMISSIONS = {
    "Echo": "AllowEcho",
    "Store": "AllowStore",
    "Find": "AllowFind",
    "Get": "AllowGet",
    "Move": "AllowMove",
    "NAction": "AllowNAction",
    "NEventReport": "AllowEventReport",
}


class Modality(NamedTuple):
    """``local_ae_title`` is what to call ourselves there, empty for the usual; ``timeout`` is 0 for the usual (seconds)."""

    name: str
    ae_title: str
    host: str
    port: int
    tls: bool
    local_ae_title: str
    timeout: float
    allowed: frozenset[str]


class Admission(Protocol):
    """Who is let in by an Application Entity; ``Peers`` are those whom Orthanc lets in."""

    def permissions(self, peer: Peer) -> frozenset[str]:
        """What a peer may do, empty for nothing."""

    def is_same(self, first: str, second: str) -> bool:
        """Whether two AE titles are one."""


class Peers:
    """Asked anew for each association, as modalities can be changed while Orthanc runs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        configuration = host.configuration
        self._always = frozenset(
            permission for permission, default in _ALWAYS.items() if configuration.get(f"DicomAlwaysAllow{permission}", default)
        )
        self._check_host = bool(configuration.get("DicomCheckModalityHost", False))
        self._strict = bool(configuration.get("StrictAetComparison", False))

    def permissions(self, peer: Peer) -> frozenset[str]:
        """What a peer may do, empty for nothing."""
        allowed = set(self._always)
        for modality in self._modalities():
            if self.is_same(modality.ae_title, peer.ae_title) and (
                not self._check_host or _is_at(modality.host, peer.address)
            ):
                allowed |= modality.allowed
        return frozenset(allowed)

    def find(self, ae_title: str) -> Modality | None:
        """The modality with this AE title, if Orthanc knows one."""
        return next((entry for entry in self._modalities() if self.is_same(entry.ae_title, ae_title)), None)

    def named(self, name: str) -> Modality | None:
        """The modality that Orthanc knows by this name."""
        return next((entry for entry in self._modalities() if entry.name == name), None)

    def names(self) -> list[str]:
        return [entry.name for entry in self._modalities()]

    def is_same(self, first: str, second: str) -> bool:
        """Orthanc compares AE titles without regard to case, but for StrictAetComparison."""
        first, second = first.strip(), second.strip()
        return first == second or (not self._strict and first.upper() == second.upper())

    def _modalities(self) -> list[Modality]:
        """Those of the configuration, in each of its forms, or of the database: Orthanc tells the ones that count."""
        return [_modality(name, entry) for name, entry in self._host.get_json("/modalities?expand").items()]


def _modality(name: str, entry: dict[str, Any]) -> Modality:
    return Modality(
        name,
        entry["AET"],
        entry["Host"],
        int(entry["Port"]),
        bool(entry.get("UseDicomTls")),
        entry.get("LocalAet", ""),
        float(entry.get("Timeout", 0)),
        frozenset(permission for permission, flag in PERMISSIONS.items() if entry.get(flag, True)),
    )


def _is_at(host: str, address: str) -> bool:
    """Whether the host of a modality, a name or an address, is where a peer comes from."""
    if host == address:
        return True
    try:
        return address in {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
