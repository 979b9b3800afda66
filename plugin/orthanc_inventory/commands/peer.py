"""Another system over DICOM, as options tell of it: who and where it is, what it calls us, and TLS."""

from __future__ import annotations

import argparse
import re
import shlex
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import UID
from pynetdicom.status import QR_FIND_SERVICE_CLASS_STATUS, QR_GET_SERVICE_CLASS_STATUS

from ..config import AE_TITLE
from ..services.dimse.association import Association, Limits
from ..services.dimse.connection import AssociationEnded
from ..services.dimse.peers import Modality
from ..services.dimse.requestor import CannotAssociate, Requestor
from . import CommandError
from .text import printable

_OWN_AE_TITLE, _FILES = "INVENTORY", ("certificate", "key", "trusted")
_PEER = re.compile(rf"({AE_TITLE})@(\[[0-9A-Fa-f:.%]+\]|[^\s@:\[\]]+):([0-9]{{1,5}})")
_MEANINGS = {**QR_GET_SERVICE_CLASS_STATUS, **QR_FIND_SERVICE_CLASS_STATUS}
# Seconds that a request, or an object that comes in, may take as a whole: large archives need hours.
_LONGEST = 7 * 86400.0


class NoAssociation(CommandError):
    """There is none with the peer, or it ended before its time: trying again can help."""


class NotAccepted(CommandError):
    """The peer does not do what is asked for: it accepts no presentation context for that."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection to another system over DICOM")
    group.add_argument("--peer", metavar="AET@HOST:PORT", help="its AE title and where it is, such as PACS@10.0.0.5:104")
    group.add_argument(
        "--ae-title", metavar="TITLE", default=_OWN_AE_TITLE, help=f"our own AE title there (default: {_OWN_AE_TITLE})"
    )
    group.add_argument("--tls", action="store_true", help="the connection is secured by TLS")
    group.add_argument("--certificate", metavar="FILE", type=Path, help="our own certificate (PEM), where the peer wants one")
    group.add_argument("--key", metavar="FILE", type=Path, help="its private key (PEM, without a password)")
    group.add_argument(
        "--trusted", metavar="FILE", type=Path,
        help="certificates (PEM) to trust, whatever host they name; by default those of the system, for that host alone",
    )
    group.add_argument(
        "--timeout", metavar="SECONDS", type=int, default=300, help="how long to wait for an answer (default: 300)"
    )


def options(arguments: argparse.Namespace) -> str:
    """The options of the connection as they were given, for people who are to write them again."""
    given = ["--peer", arguments.peer]
    if arguments.ae_title != _OWN_AE_TITLE:
        given += ["--ae-title", arguments.ae_title]
    if arguments.tls:
        given.append("--tls")
    for name in _FILES:
        if value := getattr(arguments, name):
            given += [f"--{name}", str(value)]
    return shlex.join(given)


def modality(arguments: argparse.Namespace) -> Modality:
    """The peer that the options name.

    Raises:
        CommandError
    """
    if not arguments.peer:
        raise CommandError("which system? Give --peer, such as --peer PACS@10.0.0.5:104")
    match = _PEER.fullmatch(arguments.peer)
    if match is None or not 0 < int(match[3]) < 65536:
        raise CommandError("--peer must be of the form AET@HOST:PORT, with an AE title of at most 16 characters")
    ae_title, host, port = match[1].strip(" "), match[2].strip("[]"), int(match[3])
    return Modality(ae_title, ae_title, host, port, arguments.tls, "", 0, frozenset())


def requestor(arguments: argparse.Namespace, folder: Path | None = None) -> Requestor:
    """Makes associations as the options say. Objects lie in ``folder`` while they come in, by default a temporary one.

    Raises:
        CommandError
    """
    check_ae_title(arguments)
    context = tls_context(arguments, ssl.Purpose.SERVER_AUTH)
    return Requestor(arguments.ae_title.strip(" "), lambda: context, limits(arguments, folder))


def limits(arguments: argparse.Namespace, folder: Path | None = None) -> Limits:
    if arguments.timeout < 1:
        raise CommandError("--timeout must be a number of seconds from 1 on")
    return Limits(float(arguments.timeout), _LONGEST, sys.maxsize, folder or Path(tempfile.gettempdir()))


def check_ae_title(arguments: argparse.Namespace) -> None:
    """Raises: CommandError."""
    if not re.fullmatch(AE_TITLE, arguments.ae_title):
        raise CommandError("--ae-title must be an AE title of at most 16 characters")


def tls_context(arguments: argparse.Namespace, purpose: ssl.Purpose) -> ssl.SSLContext:
    """``purpose`` says what the peers are: servers, or clients.

    Raises:
        CommandError
    """
    given = [f"--{name}" for name in _FILES if getattr(arguments, name)]
    if given and not arguments.tls:
        raise CommandError(f"{given[0]} is for --tls only")
    if bool(arguments.certificate) != bool(arguments.key):
        raise CommandError("--certificate and --key must stand together")
    try:
        context = ssl.create_default_context(purpose, cafile=arguments.trusted)
        if arguments.trusted:
            # Who a peer is, is told by its certificate alone, as in Orthanc: it may have any address.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # SSLError is one
        raise CommandError(f"--trusted {arguments.trusted} cannot be used: {_reason(error, 'no certificates')}") from None
    if arguments.certificate:
        try:
            context.load_cert_chain(arguments.certificate, arguments.key, password=lambda: "")
        except (OSError, ValueError) as error:
            problem = _reason(error, "they must be PEM files that belong together")
            raise CommandError(f"--certificate and --key cannot be used: {problem}") from None
    return context


def _reason(error: Exception, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None) or otherwise


@contextmanager
def association(
    arguments: argparse.Namespace, sop_class: str, extended: bytes = b"", receives: str = "", folder: Path | None = None
) -> Iterator[Association]:
    """An association with the peer that the options name, see ``Requestor.association``; ``folder`` as for ``requestor``.

    Raises:
        NoAssociation, NotAccepted, CommandError
    """
    peer, made = modality(arguments), requestor(arguments, folder)
    try:
        with made.association(peer, sop_class, extended, receives=receives) as opened:
            for wanted in filter(None, (sop_class, receives)):
                if all(context.sop_class != wanted for context in opened.contexts.values()):
                    what = "to send objects over the association" if wanted == receives != sop_class else UID(wanted).name
                    raise NotAccepted(f"{peer.name} does not accept {what}")
            yield opened
    except CannotAssociate as error:
        raise NoAssociation(printable(str(error))) from None
    except AssociationEnded as error:
        raise NoAssociation(printable(f"the association with {peer.name} ended: {error}")) from None


def in_words(status: int, comment: str = "") -> str:
    """A status (0000,0900), and what it means, by the Error Comment or else by the standard."""
    meaning = comment or _MEANINGS.get(status, ("", ""))[1]
    return f"{status:04X}H" + (f": {meaning}" if meaning else "")
