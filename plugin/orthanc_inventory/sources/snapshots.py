"""Whether snapshots of the index can be had from its PostgreSQL, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..host import Host, NotFound
from . import postgresql
from .objects import Objects
from .postgresql import Unusable
from .snapshot import Snapshot
from .tables import Tables

if TYPE_CHECKING:
    from psycopg import Connection

_NAME = "snapshot: tables of PostgreSQL, several studies at once"


class Snapshots:
    """``name`` is empty where there is a ``problem``, of which the log has a line. It is looked for anew in each run.

    Args:
        section: how to connect, with Orthanc's keys of its section PostgreSQL.
        backend: the plugin with which Orthanc keeps its index, as ``/system`` tells.
    """

    def __init__(self, host: Host, section: Mapping[str, Any], backend: str, tables: Tables) -> None:
        self._host = host
        self._section = section
        self._backend = backend
        self.tables = tables
        self.name = ""
        self.problem = ""
        try:
            self._connect().close()
            self.name = _NAME
        except Unusable as why:
            self.tell(why)

    def open(self, objects: Objects) -> Snapshot | None:
        """``objects`` makes the records of instances."""
        try:
            snapshot = Snapshot(self._connect, self.tables, objects)
        except Unusable as why:
            self.tell(why)
            return None
        self.name, self.problem = _NAME, ""
        return snapshot

    def _connect(self) -> Connection[Any]:
        if "PostgreSQL" not in self._backend or self._section.get("EnableIndex") is False:
            raise Unusable("Orthanc does not keep its index there")
        return postgresql.connect(self._section, self._has_study)

    def _has_study(self, study: str | None) -> bool:
        if study is None:
            return not self._host.get_json("/studies?since=0&limit=1")
        try:
            self._host.get(f"/studies/{study}/metadata")
        except NotFound:
            return False
        return True

    def tell(self, why: Unusable) -> None:
        """Of a failure, until a snapshot can be opened again."""
        self.name, self.problem = "", f"PostgreSQL cannot be read: {why}"
        self._host.log(f"{self.problem}; the index is read by the plugin API instead")
