"""Bytes and JSON that are nearly right: made from what is right, by chance, and the same again for the same number."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

# Numbers at which lengths and counts go wrong.
_NUMBERS = (0, 1, 7, 8, 0x7F, 0x80, 0xFE, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
# What somebody might try as a value.
TEXTS = (
    "", " ", "*", "?", '""', "-", "\\", "=", "^", "%", "%s%n", "../../etc/passwd", "\0", "\n", "\r\nX: y", "\x1b$B", "\ud800",
    "1" * 60_000 + "x", "9" * 5000, "1." * 40, "x" * 70_000, "1e999999999", "NaN", "\u0661", "ä山😀", "<script>",
    "'; DROP TABLE transactions --", "20240101-", "-20240101", "20240230", "+0100", "1.2.840.10008.1.2", "INSTANCE", "STUDY",
    "latest",
)


class Mutator:
    """``corpus`` are right ones; ``words`` are pieces that mean something where they stand."""

    def __init__(self, target: str, corpus: Sequence[bytes], words: Sequence[bytes] = ()) -> None:
        self._target = target
        self._corpus = corpus
        self._words = words

    def case(self, number: int) -> bytes:
        chance = random.Random(f"{self._target} {number}")
        content = bytearray(chance.choice(self._corpus))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6, 20))):
            if content:
                self._change(chance, content)
        return bytes(content)

    def _change(self, chance: random.Random, content: bytearray) -> None:
        place = chance.randrange(len(content))
        end = min(len(content), place + chance.choice((1, 2, 4, 8, 20, 100, 1000)))
        match chance.randrange(9):
            case 0:
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                content[place] = chance.randrange(256)
            case 2:
                del content[place:end]
            case 3:
                content[place:place] = chance.randbytes(end - place)
            case 4:
                size = chance.choice((1, 2, 4))
                number = chance.choice(_NUMBERS) & (1 << 8 * size) - 1
                content[place : place + size] = number.to_bytes(size, chance.choice(("little", "big")))
            case 5:
                content[place:place] = content[place:end] * chance.choice((1, 2, 50))
            case 6:
                other = chance.choice(self._corpus)
                start = chance.randrange(len(other)) if other else 0
                content[place:end] = other[start : start + end - place]
            case 7:
                content[place:end] = chance.choice(self._words) if self._words else b""
            case 8:
                del content[place:]


def text(chance: random.Random) -> str:
    """One of these, or of any characters."""
    if chance.random() < 0.8:
        return chance.choice(TEXTS)
    return "".join(chr(chance.choice((chance.randrange(128), chance.randrange(0xD7FF)))) for _ in range(chance.randrange(30)))


def value(chance: random.Random, keys: Sequence[str], values: Sequence[Any], depth: int = 0) -> Any:
    """Anything that JSON can hold, of these keys and values for the most part."""
    kind = chance.random()
    if kind < 0.45:
        return chance.choice(values)
    if kind < 0.6:
        return text(chance)
    if kind < 0.7:
        return chance.choice((None, True, False, 0, -1, 2**31, 2**64, 10**400, 1.5, float("1e308")))
    if depth > 4:
        return chance.choice(values)
    if kind < 0.85:
        return [value(chance, keys, values, depth + 1) for _ in range(chance.choice((0, 1, 1, 2, 5)))]
    return some_object(chance, keys, values, depth + 1)


def some_object(chance: random.Random, keys: Sequence[str], values: Sequence[Any], depth: int = 0) -> dict[str, Any]:
    names = (chance.choice(keys) if chance.random() < 0.95 else text(chance) for _ in range(chance.choice((0, 1, 1, 2, 3, 8))))
    return {name: value(chance, keys, values, depth) for name in names}


def body(chance: random.Random, make: Callable[[random.Random], Any]) -> bytes:
    """JSON of what ``make`` makes, or what is hardly any."""
    content = json.dumps(make(chance)).encode()
    kind = chance.random()
    if kind < 0.85:
        return content
    if kind < 0.9:
        return chance.choice((b"", b"[]", b"null", b'"x"', b"\xff\xfe", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000))
    return Mutator("body", [content]).case(chance.randrange(1 << 30))
