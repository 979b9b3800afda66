"""One HTTP POST at a time, which another thread can break off."""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

from .outgoing import BrokenOff, Outgoing

# How long each step may take, from the connection to the status of the answer (seconds).
_TIMEOUT = 10.0


class Delivery:
    """``url`` is an http or https URL without user and password."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._outgoing = Outgoing()
        self.break_off = self._outgoing.break_off

    def post(self, body: bytes) -> str:
        """Why the receiver did not take the JSON, empty if it did: any 2xx. A redirection is not followed.

        Raises:
            BrokenOff
        """
        try:
            status = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            if self._outgoing.is_broken_off:
                raise BrokenOff from None
            # The text of an error may hold the URL, and that a secret.
            return getattr(error, "strerror", None) or type(error).__name__
        return "" if 200 <= status < 300 else f"the receiver answers {status}"

    def _post(self, body: bytes) -> int:
        secure = self._parts.scheme == "https"
        host, port = self._parts.hostname or "", self._parts.port or (443 if secure else 80)
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        with self._outgoing.connection(host, port, _TIMEOUT) as stream:
            if secure:
                stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
            with stream:
                connection = http.client.HTTPConnection(host, port)
                connection.sock = stream
                connection.request("POST", target, body, {"Content-Type": "application/json", "Connection": "close"})
                with connection.getresponse() as response:
                    return response.status
