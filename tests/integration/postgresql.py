"""A PostgreSQL of its own for the tests, below a temporary folder and on a free port; nothing of it is kept."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from .server import PLUGIN, POSTGRESQL, POSTGRESQL_PLUGIN, Installation, Server, free_port
from .waiting import PATIENCE, wait_until

# It refuses to run as root.
_USER = "postgres"
# The owner of the tables, as which Orthanc comes; each user has the same password, which is asked for.
_OWNER, PASSWORD = "orthanc", "to-be-kept-secret"


class PostgreSql:
    """Runs from its making until ``stop``."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        shutil.chown(self._folder, _USER, _USER)
        self._programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self._numbers = itertools.count()
        password = self._folder / "password"
        password.write_text(PASSWORD)
        shutil.chown(password, _USER, _USER)
        initdb = self._command("initdb", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8",
                               "--no-sync", f"--username={_USER}")
        subprocess.run(initdb, check=True, cwd=self._folder, stdout=subprocess.DEVNULL, **self._identity())
        self.start()
        with self.connect("postgres", _USER) as connection:
            connection.execute(f"CREATE ROLE {_OWNER} LOGIN CREATEDB PASSWORD '{PASSWORD}'")

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._programs / program), f"--pgdata={self._folder / 'data'}", *arguments]

    @staticmethod
    def _identity() -> dict[str, Any]:
        return {"user": _USER, "group": _USER, "extra_groups": []}

    def start(self) -> None:
        """On the port that it had, if it had one."""
        self.port = getattr(self, "port", 0) or free_port()
        settings = {"port": self.port, "unix_socket_directories": self._folder, "listen_addresses": "127.0.0.1", "fsync": "off"}
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._identity())
        wait_until(self._answers, (self._folder / "log").read_text)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            self.connect("postgres", _USER).close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self) -> None:
        """At once: connections break."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def connect(self, database: str, user: str = _OWNER, password: str = PASSWORD) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=password, autocommit=True
        )

    def create_database(self) -> dict[str, Any]:
        """An empty one, as Orthanc's section PostgreSQL names it."""
        name = f"orthanc{os.getpid()}_{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return {"EnableIndex": True, "EnableStorage": False, "Lock": True, **self.access(name, _OWNER)}

    def access(self, database: str, user: str) -> dict[str, Any]:
        """With Orthanc's keys."""
        return {"Host": "127.0.0.1", "Port": self.port, "Database": database, "Username": user, "Password": PASSWORD}


def server_on(
    postgresql: PostgreSql,
    installation: Installation,
    folder: Path,
    by_sql: bool,
    configuration: dict[str, Any] | None = None,
    inventory: dict[str, Any] | None = None,
    **arguments: Any,
) -> Server:
    """An Orthanc that keeps its index in a database of its own there; ``by_sql``: the plugin reads its tables."""
    section = postgresql.create_database()
    server = Server(
        installation,
        folder,
        configuration={"Plugins": [PLUGIN, POSTGRESQL_PLUGIN], "PostgreSQL": section, **(configuration or {})},
        inventory={"PostgreSQL": by_sql, **(inventory or {})},
        **arguments,
    )
    server.environment = dict(POSTGRESQL)
    return server
