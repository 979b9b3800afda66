"""Signals as a process in a terminal has them."""

from __future__ import annotations

import signal


def heed_signals() -> None:
    """To be called in a new process. What runs in the background ignores these signals, and so would what it starts."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
