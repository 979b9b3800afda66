"""TLS as Orthanc is configured for it: its keys DicomTls..., for associations in both directions."""

from __future__ import annotations

import ssl
from pathlib import Path

from ...host import Host


class InvalidTls(Exception):
    """TLS cannot be set up; the message names the key of Orthanc's configuration."""


def server_context(host: Host) -> ssl.SSLContext | None:
    """None where Orthanc's own DICOM server is without TLS.

    Raises:
        InvalidTls
    """
    if not host.configuration.get("DicomTlsEnabled", False):
        return None
    return _context(host, ssl.PROTOCOL_TLS_SERVER)


def client_context(host: Host) -> ssl.SSLContext:
    """For modalities with UseDicomTls.

    Raises:
        InvalidTls
    """
    return _context(host, ssl.PROTOCOL_TLS_CLIENT)


def _context(host: Host, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Who a peer is, is told by its certificate alone, as in Orthanc: it may come from any address.
    context.check_hostname = False
    required = host.configuration.get("DicomTlsRemoteCertificateRequired", True)
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    certificate, key = _file(host, "DicomTlsCertificate"), _file(host, "DicomTlsPrivateKey")
    trusted = _file(host, "DicomTlsTrustedCertificates")
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError):
        raise InvalidTls("DicomTlsCertificate and DicomTlsPrivateKey must be PEM files that belong together") from None
    try:
        context.load_verify_locations(trusted)
    except OSError:
        raise InvalidTls("DicomTlsTrustedCertificates must be a PEM file of certificates") from None
    return context


def _file(host: Host, key: str) -> Path:
    value = host.configuration.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidTls(f"{key} must name a file")
    # As Orthanc does with these keys: relative to the folder in which it was started.
    return Path(value)
