"""An Orthanc with the plugin, over HTTP. Of the environment only ORTHANC_INVENTORY_URL, _USER and _PASSWORD are looked at."""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from . import CommandError
from .text import printable

_URL, _USER, _PASSWORD = "ORTHANC_INVENTORY_URL", "ORTHANC_INVENTORY_USER", "ORTHANC_INVENTORY_PASSWORD"
_CHUNK = 1024 * 1024
# Seconds for a connection to come about.
_CONNECT_TIMEOUT = 10
# Characters that a query can have as they are (RFC 3986 3.4), without those that separate its parts.
_PLAIN = "!$'()*,/:;?@~"
# Answers of an Orthanc that is on its way up or down, or of the proxy in front of it.
_AWAY = (502, 503, 504)


class Unreachable(CommandError):
    """There is no answer, or none yet: trying again can help."""


class Refused(CommandError):
    """The answer is an error; ``status`` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection to an Orthanc")
    group.add_argument("--url", metavar="URL", help=f"such as http://127.0.0.1:8042; default: {_URL} of the environment")
    group.add_argument(
        "--user", metavar="NAME[:PASSWORD]",
        help=f"default: {_USER} of the environment; its {_PASSWORD} is the safer place for the password",
    )
    group.add_argument("--ca-file", metavar="FILE", help="certificates (PEM) to trust for https instead of the system's")
    group.add_argument(
        "--timeout", metavar="SECONDS", type=int, default=300, help="how long to wait for an answer (default: 300)"
    )


def has_url(arguments: argparse.Namespace) -> bool:
    """Whether an Orthanc is given, by option or environment."""
    return bool(arguments.url or os.environ.get(_URL))


class Client:
    """Asks one Orthanc. Redirects are not followed, so that credentials never reach another host.

    All methods raise CommandError: Unreachable, or Refused. ``path`` begins with a slash.
    """

    def __init__(self, url: str, user: str | None = None, password: str = "", ca_file: str = "", timeout: float = 300) -> None:
        parts = _checked(url)
        self.url = url.rstrip("/")
        self._parts = parts
        self._timeout = timeout
        self._headers: dict[str, str] = {}
        if user is not None:
            credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {credentials}"
        try:
            self._context = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "https" else None
        except OSError as error:  # SSLError is one
            raise CommandError(f"--ca-file {ca_file} cannot be used: {error.strerror or 'no certificates'}") from None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Client:
        """The Orthanc that options and environment name."""
        url = arguments.url or os.environ.get(_URL)
        if not url:
            raise CommandError(f"which Orthanc? Give --url, such as --url http://127.0.0.1:8042, or set {_URL}")
        if arguments.timeout < 1:
            raise CommandError("--timeout must be a number of seconds from 1 on")
        name, colon, password = (arguments.user or os.environ.get(_USER) or "").partition(":")
        if not colon:
            password = os.environ.get(_PASSWORD, "")
        if name and not colon and _PASSWORD not in os.environ:
            raise CommandError(f"there is no password: set {_PASSWORD}, or write --user NAME:PASSWORD")
        return cls(url, name or None, password, arguments.ca_file or "", arguments.timeout)

    def get_json(self, path: str, kind: type = dict, /, **parameters: object) -> Any:
        """The answer, which must be of a ``kind``: an object or a list. ``parameters`` are those of the query."""
        return self._json(self.stream(path, **parameters), kind)

    def post_json(self, path: str, body: Any) -> Any:
        return self._json(self._chunks("POST", path, json.dumps(body).encode()), dict)

    def stream(self, path: str, /, **parameters: object) -> Iterator[bytes]:
        """The body of the answer to a GET, in pieces. One that breaks off raises Unreachable."""
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self._chunks("GET", f"{path}?{query}" if query else path)

    def stream_as(self, media_type: str, path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """The same for an answer that must be of a media type; it may be empty (204)."""
        # What need not be escaped is not (PS3.18 8.3.4): some servers do not decode it.
        query = "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in parameters.items())
        return self._chunks("GET", f"{path}?{query}", headers={"Accept": media_type})

    def _json(self, chunks: Iterator[bytes], kind: type) -> Any:
        try:
            value = json.loads(b"".join(chunks))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, kind):
            raise CommandError(f"{self.url} does not answer as orthanc-inventory does; is it an Orthanc with the plugin?")
        return value

    def _chunks(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        connection = self._connection()
        try:
            connection.connect()
            connection.sock.settimeout(self._timeout)
            connection.request(method, self._parts.path.rstrip("/") + path, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            if response.status not in (200, 204):
                raise self._refusal(response)
            while chunk := response.read(_CHUNK):
                yield chunk
            if response.length:
                raise Unreachable(f"the answer of {self.url} broke off")
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate of {self.url} is not trusted ({error.verify_message}); give --ca-file"
            raise CommandError(printable(problem)) from None
        except TimeoutError:
            raise Unreachable(f"{self.url} does not answer in time") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or f"no HTTP ({type(error).__name__})"
            raise Unreachable(printable(f"{self.url} cannot be reached: {reason}")) from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._context is not None:
            return HTTPSConnection(host, port, timeout=_CONNECT_TIMEOUT, context=self._context)
        return HTTPConnection(host, port, timeout=_CONNECT_TIMEOUT)

    def _refusal(self, response: HTTPResponse) -> CommandError:
        status = response.status
        if 300 <= status < 400:
            place = urlsplit(response.headers.get("Location", ""))
            target = f"{place.scheme}://{place.netloc.rpartition('@')[2]}" if place.netloc else "another path"
            return Refused(status, printable(f"{self.url} redirects to {target}, which is not followed; give the right --url"))
        if status == 401:
            wrong = "wrong user or password" if self._headers else f"it wants a user: give --user, or set {_USER} and {_PASSWORD}"
            return Refused(status, f"{self.url} lets nobody in without a right user (401): {wrong}")
        message = _message(response.read(_CHUNK))
        if status in _AWAY:
            return Unreachable(f"{self.url} is not ready ({status}): {message or response.reason}")
        if message:
            return Refused(status, f"{self.url} refuses ({status}): {message}")
        if status == 404:
            return Refused(status, f"there is no Orthanc with orthanc-inventory at {self.url} (404)")
        return Refused(status, printable(f"{self.url} refuses ({status}): {response.reason}"))


def _message(body: bytes) -> str:
    """What the plugin says of an error; empty if the error is not from it."""
    try:
        error = json.loads(body)
        message = error["Message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    # Orthanc's own errors have but the name of the error there.
    return "" if message == error.get("OrthancError") else printable(message)


def _checked(url: str) -> SplitResult:
    """Raises: CommandError, which does not tell the URL, as there may be a password in it."""
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise CommandError(f"the URL must hold no user and password: use --user, or {_USER} and {_PASSWORD}")
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.query + parts.fragment
    except ValueError:
        right = False
    if not right or not re.fullmatch("[!-~]+", url):
        raise CommandError("the URL must be of the form http://host:port or https://host:port, with a path if need be")
    return parts
