"""The tables of the journal and what stands in their rows."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from typing import Any

from ..stores import Run
from .transaction import Cancellation, Kind, Progress, State, Transaction

# Version 0 had these tables too; its transactions made inventories only, and did not say so.
_FIRST = """
CREATE TABLE IF NOT EXISTS transactions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, over INTEGER NOT NULL,
    document TEXT NOT NULL, progress TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot (
    number INTEGER NOT NULL, position INTEGER NOT NULL, study TEXT NOT NULL, PRIMARY KEY (number, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS skipped (
    number INTEGER NOT NULL, identifier TEXT NOT NULL, level TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS skipped_by_number ON skipped (number);
CREATE TABLE IF NOT EXISTS instances (
    uid TEXT PRIMARY KEY, study_uid TEXT NOT NULL, place INTEGER NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS instances_by_study ON instances (study_uid, place);
CREATE TABLE IF NOT EXISTS inventories (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, study_uid TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS incorporated (
    root TEXT NOT NULL, place INTEGER NOT NULL, uid TEXT NOT NULL, PRIMARY KEY (root, place)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incorporated_by_uid ON incorporated (uid);
CREATE TABLE IF NOT EXISTS places (uid TEXT PRIMARY KEY, study_uid TEXT NOT NULL, places BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS places_by_study ON places (study_uid);
CREATE TABLE IF NOT EXISTS statistics (uid TEXT PRIMARY KEY, document TEXT NOT NULL);
UPDATE transactions SET document = json_set(document, '$.kind', 'Inventory') WHERE json_extract(document, '$.kind') IS NULL;
"""
_SHARES = """
CREATE TABLE shares (
    number INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, owner TEXT, PRIMARY KEY (number, first)
) WITHOUT ROWID;
INSERT INTO shares SELECT number, MIN(snapshot.position), MAX(snapshot.position) + 1, NULL
    FROM transactions JOIN snapshot USING (number) WHERE snapshot.position >= progress ->> 'position' GROUP BY number;
"""
# What is appended here leads to the next version: the tables of all who have some in this file belong to it.
STEPS = (_FIRST, _SHARES)

# Of what came from elsewhere, only that counts as a root which nothing else from there incorporates.
ROOTS = """
    document ->> 'Origin' IS NULL
    OR NOT EXISTS (
        SELECT 1 FROM incorporated JOIN inventories AS other ON other.uid = incorporated.root
        WHERE incorporated.uid = inventories.uid AND other.document ->> 'Origin' IS NOT NULL)
"""


@dataclasses.dataclass(frozen=True)
class KeptInstance:
    """An instance that a store keeps.

    ``place`` counts from 1 in the order of making; ``identifier`` is Orthanc's ID; ``size`` is in bytes; ``total`` are the
    study ``records`` in it and in all that it incorporates; ``children`` are the UIDs of what it incorporates directly.
    """

    uid: str
    place: int
    store: str
    identifier: str
    size: int
    sha256: str
    records: int
    total: int
    children: list[str]


@dataclasses.dataclass(frozen=True)
class KeptInventory:
    """A finished tree: its root, what the root says of it, and the run whose instances it is made of."""

    uid: str
    study_uid: str
    document: dict[str, Any]
    number: int = 0


def check_rows(connection: sqlite3.Connection) -> None:
    """Whether all can be read that will be. Raises: ValueError, KeyError, TypeError."""
    for row in connection.execute("SELECT number, document, progress FROM transactions"):
        transaction_of(*row)
    for (document,) in connection.execute("SELECT document FROM instances"):
        KeptInstance(**json.loads(document))
    for (document,) in connection.execute("SELECT document FROM inventories"):
        Run(**json.loads(document)["Run"])
    for (document,) in connection.execute("SELECT document FROM statistics"):
        json.loads(document)


def document_of(transaction: Transaction) -> str:
    """All but its number and its progress."""
    fields = dataclasses.asdict(transaction)
    del fields["progress"], fields["number"]
    return json.dumps(fields)


def progress_of(transaction: Transaction) -> str:
    return json.dumps(dataclasses.asdict(transaction.progress))


def transaction_of(number: int, document: str, progress: str) -> Transaction:
    fields = json.loads(document)
    cancellation = fields["cancellation"]
    fields["cancellation"] = Cancellation(cancellation) if cancellation else None
    fields["state"] = State(fields["state"])
    fields["kind"] = Kind(fields["kind"])
    return Transaction(**fields, number=number, progress=Progress(**json.loads(progress)))
