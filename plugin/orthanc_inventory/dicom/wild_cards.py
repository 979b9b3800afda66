"""Wild card matching (PS3.4 C.2.2.2.4): ``*`` stands for any characters, ``?`` for one."""

from __future__ import annotations

import re


def is_pattern(key: str) -> bool:
    return "*" in key or "?" in key


def compiled(key: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern for the whole value.

    What follows an asterisk is taken where it comes first, without going back: this finds all that there is to find, and
    a key of many asterisks costs no more than one of few.
    """
    first, *others = (
        "".join("." if character == "?" else re.escape(character) for character in part) for part in key.split("*")
    )
    if others:
        *between, last = others
        first += "".join(f"(?>.*?{part})" for part in between if part) + ".*" + last
    return re.compile(first, flags | re.DOTALL)
