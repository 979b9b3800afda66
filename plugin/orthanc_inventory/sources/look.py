"""What was seen of a study at one time, to be compared with what is seen at another.

Of a study that changed a second ago, LastUpdate does not tell whether it changes again: all of it has to be read twice. What
is the same both times was so at the moment between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from .group import Opened, Read, Resource


class Look:
    """Of head and series, and of the instances that were taken in: a digest, as they may be many."""

    def __init__(self, opened: Opened) -> None:
        self._above = _above(opened.head, opened.series)
        self._instances = hashlib.sha256()

    def take_in(self, instances: Iterable[Read]) -> None:
        for _ in self.passing(instances):
            pass

    def passing(self, instances: Iterable[Read]) -> Iterator[Read]:
        """The same, as they go by; what follows may complete their records."""
        for read in instances:
            entry, records, unreadable = read
            seen = sorted((record.identifier, repr(record.attributes)) for record in records or ())
            self._instances.update(repr((entry["ID"], records is None, seen, sorted(map(repr, unreadable)))).encode())
            yield read

    def is_still(self, head: Resource, series: Iterable[Resource]) -> bool:
        """Whether these, with the IDs of the instances, are what they were."""
        return self._above == _above(head, series)

    def has_same_instances(self, again: Look) -> bool:
        return self._instances.digest() == again._instances.digest()


def _above(head: Resource, series: Iterable[Resource]) -> str:
    seen = ((entry["ID"], entry["MainDicomTags"], sorted(entry["Instances"])) for entry in series)
    return repr((head, sorted(seen, key=lambda entry: entry[0])))
