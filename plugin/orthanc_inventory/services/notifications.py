"""``Notify`` of the configuration: each transaction that is over is told to a receiver, by HTTP POST.

What is told is what ``GET /inventories/transactions/{ID}`` answers, but for all that can name a patient or was written by
a user. A transaction comes at least once: after a crash it may come again.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

from ..production.journal import Journal
from ..production.outbox import Outbox
from ..production.transaction import Transaction, from_utc_time
from .courier import Courier
from .delivery import Delivery

# The keys that stay here.
PRIVATE = frozenset({"Scope", "Purpose", "Description", "UserData", "Requestor", "Skipped"})

# So long after its end a transaction is given up.
_PATIENCE = datetime.timedelta(days=1)


class Notifications:
    """``public`` answers what users are told of a transaction."""

    def __init__(
        self, url: str, journal: Journal, public: Callable[[Transaction], dict[str, Any]], log: Callable[[str], None]
    ) -> None:
        self._delivery = Delivery(url)
        self._journal = journal
        self._outbox = Outbox(journal)
        self._public = public
        self._courier = Courier(
            "inventory-notifications", "the notification of", self._waiting, self._tell, self._delivery.break_off, log,
            # Another Orthanc may have ended that told of all until then.
            look=journal.leases.pause,
        )
        self.start, self.stop, self.wake = self._courier.start, self._courier.stop, self._courier.wake

    def _waiting(self) -> list[str]:
        return self._outbox.uids() if self._journal.leases.take("notifications") else []

    def _tell(self, uid: str) -> str:
        transaction = self._journal.transaction(uid)
        if transaction is not None:
            body = {key: value for key, value in self._public(transaction).items() if key not in PRIVATE}
            failure = self._delivery.post(json.dumps(body).encode())
            now = datetime.datetime.now(datetime.timezone.utc)
            if failure and now - from_utc_time(transaction.completion_time) < _PATIENCE:
                return failure
        self._outbox.remove(uid)
        return ""
