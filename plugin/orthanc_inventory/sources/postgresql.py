"""The connection to the PostgreSQL in which Orthanc keeps its index, for an administrator who has given us one.

It only reads. What stands in messages is of our own words: those of the client library can hold parts of a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection, Error

# Orthanc's global properties 1 and 4, the version of the tables and the revision of them that its plugin made.
_VERSION, _REVISIONS = "6", ("1",)
_VERSION_PROPERTY, _REVISION_PROPERTY = 1, 4
# Plans that are right however many rows there are, whether their numbers are known or not: from each row to its children by
# an index. Nobody is waited for long, nothing is ever written, and no transaction is left open for longer than it may be.
_SETTINGS = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": r"repeatable\ read",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "15min",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_CONNECT_TIMEOUT = 10
# A server that is gone without a word is noticed within a minute (seconds).
_KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 4}
# A study may be deleted just when Orthanc is asked for it.
_ATTEMPTS = 3
# What the client library says of a failure, and what we say.
_REASONS = (
    ("password authentication failed|no password supplied", "user name or password is not accepted"),
    ("pg_hba.conf", "the server does not let us in from here (pg_hba.conf)"),
    ("database .* does not exist", "the database does not exist"),
    ("role .* does not exist", "user name or password is not accepted"),
    ("ssl|certificate", "the encryption of the connection fails"),
    ("could not translate|failed to resolve|name or service", "the host is not known"),
    ("connection refused|no such file", "nothing listens there"),
    ("time.?out", "no answer in time"),
    ("permission denied", "the user may not read Orthanc's tables"),
    ("too many|remaining connection slots", "the server has no connection left"),
)


class Unusable(Exception):
    """PostgreSQL cannot be read; one line that says why, without secrets."""


def connect(section: Mapping[str, Any], has_study: Callable[[str | None], bool]) -> Connection[Any]:
    """A connection to the tables of this very Orthanc.

    Args:
        section: has Orthanc's keys of its section PostgreSQL.
        has_study: whether Orthanc has the study of this ID; of None, whether it has no study at all.

    Raises:
        Unusable
    """
    connection = open_connection(section, _SETTINGS)
    import psycopg

    try:
        _check(connection, has_study)
    except psycopg.Error as error:
        connection.close()
        raise Unusable(reason(error)) from None
    except BaseException:
        connection.close()
        raise
    return connection


def open_connection(section: Mapping[str, Any], settings: Mapping[str, str]) -> Connection[Any]:
    """A connection for which these ``settings`` of PostgreSQL hold. Raises: Unusable."""
    try:
        import psycopg
    except ImportError:
        raise Unusable("the Python package psycopg is not installed (orthanc-inventory[postgresql])") from None
    try:
        return psycopg.connect(
            section.get("ConnectionUri", ""),
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT,
            application_name="orthanc-inventory",
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
            **_parameters(section),
        )
    except psycopg.Error as error:
        raise Unusable(reason(error)) from None


def _parameters(section: Mapping[str, Any]) -> dict[str, Any]:
    """With Orthanc's defaults; a URI says it all."""
    if section.get("ConnectionUri"):
        return dict(_KEEPALIVE)
    return {
        **_KEEPALIVE,
        "host": section.get("Host", "localhost"),
        "port": section.get("Port", 5432),
        "dbname": section.get("Database", ""),
        "user": section.get("Username", ""),
        "password": section.get("Password", ""),
        "sslmode": "require" if section.get("EnableSsl") else "disable",
    }


def _check(connection: Connection[Any], has_study: Callable[[str | None], bool]) -> None:
    """Raises: Unusable, psycopg.Error."""
    if connection.execute("SELECT to_regclass('globalproperties')").fetchone() == (None,):
        raise Unusable("this database does not hold an index of Orthanc")
    properties = dict(connection.execute("SELECT property, value FROM globalproperties").fetchall())
    version, revision = properties.get(_VERSION_PROPERTY), properties.get(_REVISION_PROPERTY)
    if version != _VERSION or revision not in _REVISIONS:
        known = f"version {_VERSION}, revision {' or '.join(_REVISIONS)}"
        raise Unusable(f"the tables are of version {_number(version)}, revision {_number(revision)}; known is {known}")
    if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        raise Unusable("this server is a standby, which may lag behind")
    for _ in range(_ATTEMPTS):
        found = connection.execute("SELECT publicid FROM resources WHERE resourcetype = 1 LIMIT 1").fetchone()
        if has_study(found[0] if found else None):
            return
    raise Unusable("this database holds the index of another Orthanc")


def _number(value: str | None) -> str:
    return value if value and value.isdigit() else "unknown"


def reason(error: Error) -> str:
    """Why something failed, in our words."""
    text = str(error)
    found = next((words for pattern, words in _REASONS if re.search(pattern, text, re.IGNORECASE)), "the connection fails")
    return f"{found} (SQLSTATE {error.sqlstate})" if error.sqlstate else found
