"""The parts of a multipart message (RFC 2046 5.1), found where they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Header lines of one part (bytes), and parts of one message.
_LARGEST_HEAD, _MOST_PARTS = 16 * 1024, 100_000
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)


class InvalidMultipart(ValueError):
    """One line that says what is wrong with the message."""


class Part(NamedTuple):
    """``headers`` by their names in lower case; the content lies from ``start`` to ``stop`` in the body."""

    headers: dict[str, str]
    start: int
    stop: int


def parts_of(body: bytes, boundary: str) -> Iterator[Part]:
    """Raises: InvalidMultipart, also from the iterator."""
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidMultipart("the boundary is missing, or has characters that it must not have (RFC 2046 5.1.1)")
    delimiter = b"--" + boundary.encode("ascii")
    position = _next(body, delimiter, 0)
    for _ in range(_MOST_PARTS):
        if position < 0:
            raise InvalidMultipart("the closing boundary is missing")
        position += len(delimiter)
        if body[position : position + 2] == b"--":
            return
        start, headers = _head(body, position)
        # What separates a part from the next boundary belongs to that.
        position = _next(body, delimiter, start)
        stop = max(start, position - 2)
        yield Part(headers, start, stop)
    raise InvalidMultipart(f"there are more than {_MOST_PARTS} parts")


def _next(body: bytes, delimiter: bytes, start: int) -> int:
    """Where the delimiter stands next at the beginning of a line, as a whole; negative if it does not."""
    position = start
    while (position := body.find(delimiter, position)) >= 0:
        end = position + len(delimiter)
        begins_line = position == 0 or body[position - 2 : position] == b"\r\n"
        if begins_line and (body[end : end + 2] in (b"--", b"\r\n") or body[end : end + 1] in (b" ", b"\t")):
            break
        position += 1
    return position


def _head(body: bytes, position: int) -> tuple[int, dict[str, str]]:
    """Where the content begins, and the headers. A part may have none."""
    begin = body.find(b"\r\n", position)
    end = body.find(b"\r\n\r\n", begin, begin + _LARGEST_HEAD)
    if begin < 0 or end < 0:
        raise InvalidMultipart("a part has no end of its headers")
    headers = {}
    for line in body[begin + 2 : end].decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return end + 4, headers
