"""How far something is: on a terminal one line that is redrawn, elsewhere a line now and then."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self

from .text import printable, tell

# Characters of a bar, at most a quarter of the line.
_BAR = 30
# Where a terminal does not tell how wide it is.
_COLUMNS = 80
# Seconds between two lines where no terminal is.
_INTERVAL = 10.0


class Progress:
    """On standard error, so that what is asked for stands alone on standard output."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = time.monotonic()
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """What is written next begins on a new line."""
        if self._drawn:
            print(file=sys.stderr, flush=True)
            self._drawn = False

    def show(self, percent: float | None, text: str, news: bool = False) -> None:
        """``percent`` is from 0 to 100, None where it has no meaning; ``news`` are told at once everywhere."""
        if self._terminal:
            line = drawn(percent, text, os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS)
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = True
            return
        now = time.monotonic()
        if news or now - self._last >= _INTERVAL:
            self._last = now
            tell(text if percent is None else f"{percent:.0f} %  {text}")


def drawn(percent: float | None, text: str, columns: int) -> str:
    """A bar and the text in one line that is shorter than the terminal is wide, as it would break; the end is cut off."""
    line = printable(text)
    if percent is not None:
        length = min(_BAR, columns // 4)
        filled = int(length * min(max(percent, 0), 100) / 100)
        line = f"[{'#' * filled}{'-' * (length - filled)}] {percent:3.0f} %  {line}"
    return line[: max(columns - 1, 0)]


def duration(seconds: float) -> str:
    """For people: the two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
