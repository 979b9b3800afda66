"""Cells of CSV that no spreadsheet takes for a formula, and from which the text comes back as it was."""

from __future__ import annotations

import re

_GUARD = "'"
# What makes a spreadsheet compute a cell instead of showing it, also behind white space and in full width. What begins with
# the guard itself is guarded too: else it would be taken away when the text is read back.
_guarded = re.compile(r"'|[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]").match


def guard(text: str) -> str:
    """``text`` with an apostrophe before it, where a spreadsheet could compute it."""
    return _GUARD + text if _guarded(text) else text


def unguard(text: str) -> str:
    """What ``guard`` was given."""
    return text.removeprefix(_GUARD)
