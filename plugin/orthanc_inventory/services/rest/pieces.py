"""Texts as the pieces in which an answer leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# About so many characters leave at a time.
_PIECE = 256 * 1024


def pieces(texts: Iterable[str]) -> Iterator[bytes]:
    """The texts in UTF-8, many at a time."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()
