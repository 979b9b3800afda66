"""Another archive as a source: what it is asked, whatever the protocol, and how its answers end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ...dicom.records import Attributes

# Query/Retrieve Level (0008,0052) of what is asked for.
STUDY, SERIES, IMAGE = "STUDY", "SERIES", "IMAGE"


class PeerFailed(Exception):
    """The archive does not answer this one question; the message says why, without patient data."""


class PeerUnreachable(Exception):
    """The archive answers nothing at all; the message says why."""


class Enough(Exception):
    """Who asked wants no more records of this answer."""


class Peer(Protocol):
    """One archive, asked by one thread. ``access`` is where its studies can be fetched: Retrieve AE Title, Retrieve URL."""

    access: Attributes

    @property
    def name(self) -> str:
        """How it is asked."""

    @property
    def is_whole(self) -> bool:
        """Whether an answer that ends as complete is so: the protocol lets nobody cut it short in silence."""

    @property
    def is_paged(self) -> bool:
        """Whether the protocol lets one ask for what an answer leaves out, and ``ask`` does so."""

    def open(self) -> None:
        """Sees whether the archive is there. Raises: PeerUnreachable."""

    def ask(
        self, level: str, keys: Mapping[str, str], wanted: Sequence[str], take: Callable[[Attributes], None]
    ) -> bool:
        """Gives each record that matches the ``keys`` to ``take``, with the attributes ``wanted`` as far as it is told.

        The keys of levels above are the UIDs there. Answers whether that was all; not where the archive says that it has more,
        breaks off, or ``take`` raised Enough.

        Raises:
            PeerFailed, PeerUnreachable
        """

    def close(self) -> None:
        """Ends the connection; the next question makes a new one."""
