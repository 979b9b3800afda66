"""Comparisons that were made last: each is made once, and read page by page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from . import Comparison

_KEPT = 4


class KeptComparisons:
    """One is made at a time: who asks for another waits, and who asks for the same gets it when it is made."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Comparison] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Comparison]) -> Comparison:
        """The comparison that is known by ``key``, which ``make`` makes if it is not there."""
        found = self._find(key)
        if found is None:
            with self._making:
                found = self._find(key)
                if found is None:
                    found = make()
                    with self._lock:
                        self._kept[key] = found
                        if len(self._kept) > _KEPT:
                            self._kept.popitem(last=False)
        return found

    def _find(self, key: Hashable) -> Comparison | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)
