"""Waiting for what is to come, however busy the machine is, and not without end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 60.0

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], found: Callable[[], object] = lambda: "it has not come") -> T:
    """What the condition answers once that is true; ``found`` tells what there is in its place when time is up."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, found()
        time.sleep(0.02)
    return answer
