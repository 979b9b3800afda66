"""Verification (PS3.4 A): C-ECHO."""

from __future__ import annotations

from collections.abc import Iterator

from .messages import C_ECHO, SUCCESS
from .service import Request, Response


class Echo:
    sop_class = "1.2.840.10008.1.1"
    operation = C_ECHO
    permission = "Echo"
    sends: tuple[str, ...] = ()

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        yield Response(SUCCESS)
