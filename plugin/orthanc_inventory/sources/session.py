"""Questions to PostgreSQL, asked in a thread of their own: while one is answered, others work on the answer before.

All answers are of one moment, that of a read-only transaction in which nothing changes, whatever Orthanc does meanwhile.
PostgreSQL cannot clean up behind it, so one that has become old is given up for a new one.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .postgresql import Unusable, reason

if TYPE_CHECKING:
    from psycopg import Connection

# Seconds after which a transaction is old.
_OLD = 900.0
_CLOSED = "the connection is closed"

Rows = list[tuple[Any, ...]]
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")


class Session:
    """From its making to ``close``. ``ask``, ``begin_to_ask``, ``connect_again`` and ``give_up`` are for what ``begin_to`` is given.

    Args:
        connect: makes a connection, or raises Unusable.

    Raises:
        Unusable: by any method but ``give_up`` and ``close``.
    """

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect
        self._connection = connect()
        self._thread = ThreadPoolExecutor(1, "inventory-postgresql")
        # As of which it reads; None: no transaction has begun.
        self.moment: datetime.datetime | None = None
        self._begin = 0.0
        self._is_closed = False

    def begin_to(
        self, do: Callable[Arguments, Answer], *arguments: Arguments.args, **others: Arguments.kwargs
    ) -> Future[Answer]:
        """What its thread does next."""
        if self._is_closed:
            raise Unusable(_CLOSED)
        return self._thread.submit(do, *arguments, **others)

    def do(self, do: Callable[Arguments, Answer], *arguments: Arguments.args, **others: Arguments.kwargs) -> Answer:
        """The same, and what comes of it."""
        return self.begin_to(do, *arguments, **others).result()

    def close(self) -> None:
        self._is_closed = True
        with suppress(Exception):  # there may be nothing to be broken off
            self._connection.cancel()
        self._thread.shutdown()
        self._connection.close()

    @property
    def is_old(self) -> bool:
        return self.moment is not None and time.monotonic() - self._begin > _OLD

    def give_up_if_old(self) -> None:
        if self.is_old:
            self.give_up()

    def give_up(self) -> None:
        """What is asked next is of another moment."""
        self.moment = None
        with suppress(Exception):  # a broken connection is found by the next question
            self._connection.execute("ROLLBACK")

    def ask(self, query: str, parameters: Sequence[Any] = ()) -> Rows:
        return self.begin_to_ask(query, parameters)()

    def begin_to_ask(self, query: str, parameters: Sequence[Any] = ()) -> Callable[[], Rows]:
        """Once the server has answered. What it gives, whose call makes rows of that answer, once, is for any thread."""
        if self.moment is None:
            # Before the question with which it begins: all that was there by then is in.
            self.moment, self._begin = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
            self._rows("BEGIN")()
        return self._rows(query, parameters)

    def connect_again(self) -> None:
        self._connection.close()
        self.moment = None
        if self._is_closed:
            raise Unusable(_CLOSED)
        self._connection = self._connect()

    def _rows(self, query: str, parameters: Sequence[Any] = ()) -> Callable[[], Rows]:
        """By the function of libpq that waits for all of the answer: this thread waits outside Python, and takes what the server
        sends as it comes, while others hold Python's lock for milliseconds.
        """
        import psycopg
        from psycopg.adapt import Transformer
        from psycopg.pq import ExecStatus

        try:
            text = psycopg.ClientCursor(self._connection).mogrify(query, parameters)
            result = self._connection.pgconn.exec_(text.encode(self._connection.info.encoding))
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                raise psycopg.errors.error_from_result(result)
        except psycopg.Error as error:
            raise Unusable(reason(error)) from None
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result)
        return lambda: transformer.load_rows(0, result.ntuples, tuple)
