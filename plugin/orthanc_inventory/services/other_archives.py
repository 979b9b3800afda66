"""Other archives that this Orthanc knows, its modalities and DICOMweb servers, as sources of inventories."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..dicom.scope import Scope
from ..dicom.values import legal_value
from ..host import Host, HostError, NotFound
from ..production.transaction import Interrupted, Transaction
from ..sources import SourceFailed
from ..sources.remote import Peer
from ..sources.remote.source import RemoteSource
from ..stores.orthanc import PSEUDO_PATIENT
from .dimse.remote_archive import RemoteArchive
from .dimse.server import Dimse
from .remote_dicomweb import RemoteDicomWeb, WebError, listed

MODALITY, DICOM_WEB = "Modality", "DicomWeb"
KINDS = (MODALITY, DICOM_WEB)
_JSON = "application/dicom+json"


class UnknownArchive(Exception):
    """Orthanc knows no archive of that name; one line that names those it knows."""


class OtherArchives:
    """A source is a kind and a name, as in the body of a request: ``{"Modality": "name"}`` or ``{"DicomWeb": "name"}``.

    Modalities are asked under Orthanc's own AE title, or the one that the modality has for it.
    """

    def __init__(self, host: Host, dimse: Dimse, system: Mapping[str, Any]) -> None:
        self._host = host
        self._dimse = dimse
        self._ae_title: str = system["DicomAet"]

    def check(self, source: Mapping[str, str], detail: str, scope: Scope) -> None:
        """Raises: UnknownArchive, InvalidScope, HostError."""
        peer = self._peer(source, threading.Event())
        RemoteSource(peer, detail, PSEUDO_PATIENT, lambda seconds: None, lambda line: None).check(scope)

    def open(self, transaction: Transaction, interrupted: threading.Event, log: Callable[[str], None]) -> RemoteSource:
        """The source of a run that ``interrupted`` ends.

        Raises:
            SourceFailed
        """

        def wait(seconds: float) -> None:
            if interrupted.is_set() or (seconds and interrupted.wait(seconds)):
                raise Interrupted

        try:
            peer = self._peer(transaction.source, interrupted)
        except UnknownArchive as error:
            raise SourceFailed(str(error)) from None

        def tell(line: str) -> None:
            log(f"{transaction.uid}: {line}")

        return RemoteSource(peer, transaction.detail, PSEUDO_PATIENT, wait, tell, bool(transaction.started))

    def access(self, source: Mapping[str, str]) -> Mapping[str, str]:
        """From where its studies can be fetched, as far as it is known; for Study Access End Points Sequence."""
        try:
            return self._peer(source, threading.Event()).access
        except UnknownArchive:
            return {}

    def _peer(self, source: Mapping[str, str], interrupted: threading.Event) -> Peer:
        [(kind, name)] = source.items()
        if kind == MODALITY:
            return self._modality(name, interrupted)
        return self._server(name)

    def _modality(self, name: str, interrupted: threading.Event) -> RemoteArchive:
        modality = self._dimse.peers.named(name)
        if modality is None:
            known = ", ".join(self._dimse.peers.names()) or "none"
            raise UnknownArchive(f"Source.Modality must be one of the modalities that Orthanc knows: {known}")
        return RemoteArchive(self._dimse.requestor_for(self._ae_title, interrupted), modality)

    def _server(self, name: str) -> RemoteDicomWeb:
        try:
            servers = self._host.get_of_plugins("/dicom-web/servers?expand")
        except NotFound:
            raise UnknownArchive("Source.DicomWeb needs the DICOMweb plugin of Orthanc, which is not there") from None
        if name not in servers:
            known = ", ".join(servers) or "none"
            raise UnknownArchive(f"Source.DicomWeb must be one of the servers that Orthanc's DICOMweb plugin knows: {known}")

        def get(path: str, parameters: Mapping[str, str]) -> Any:
            body = {"Uri": path, "Arguments": parameters, "HttpHeaders": {"Accept": _JSON}}
            try:
                answer = self._host.post_to_plugins(f"/dicom-web/servers/{name}/get", body)
            except HostError as error:
                raise WebError(f"the DICOMweb server {name} does not answer: {error}") from None
            return listed(answer)

        return RemoteDicomWeb(get, _public_url(servers[name]))


def _public_url(server: Any) -> str:
    """The base of a server as inventories may tell it: without credentials."""
    url = str(server.get("Url", "")) if isinstance(server, dict) else ""
    parts = urlsplit(url)
    return "" if "@" in parts.netloc or not parts.netloc else legal_value("UR", url.rstrip("/"))
