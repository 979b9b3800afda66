"""Keeps pynetdicom from taking a response that a test waits for as a request of the peer, once in some thousands.

``send_c_echo()`` and its like tell the thread of an association, its reactor, to rest, and wait until ``_is_paused`` says so. It says so
a moment before the reactor looks whether it is to rest: if it has looked already, it goes on, and takes the response.
"""

from __future__ import annotations

import sys
from typing import Any

from pynetdicom.association import Association


class _Paused:
    """``_is_paused``, which is true at the checkpoint of the reactor only once that waits there."""

    def __get__(self, association: Any, owner: type | None = None) -> bool:
        paused, at_checkpoint = association.__dict__.get("_paused", (False, False))
        return paused and (not at_checkpoint or bool(association._reactor_checkpoint._cond._waiters))

    def __set__(self, association: Any, value: bool) -> None:
        association.__dict__["_paused"] = value, sys._getframe(1).f_code.co_name == "_run_reactor"


def wait_for_reactors() -> None:
    Association._is_paused = _Paused()  # type: ignore[assignment]
