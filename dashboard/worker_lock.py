"""Only one worker runs per deployment, that is: per database.

Two would poll the same accounts, number the same topics and write the same rows. The lock belongs to the process and
is no row with a time limit, so a worker that was killed leaves none, and the next one can start at once:

* SQLite: ``flock`` on a file beside the database; the kernel ends it with the process;
* PostgreSQL: an advisory lock of a connection that is used for nothing else; the server ends it with the connection. If
  the worker's whole machine dies, keepalives find that out within some ten seconds.
"""

import fcntl
import os
import socket
from pathlib import Path
from typing import Any, Protocol

import psycopg
import structlog
from django.db import DatabaseError, connections

log = structlog.get_logger(__name__)

ADVISORY_KEY = 0x5350524541444244  # "SPREADBD"


class WorkerRuns(RuntimeError):
    """Another worker has the lock; the text is a sentence."""


class WorkerLock(Protocol):
    """Synchronous; may wait for the database."""

    def acquire(self) -> None:
        """Raises WorkerRuns."""

    def check(self) -> None:
        """Is it still ours? Taken again if the database was away; raises WorkerRuns if somebody was faster, and
        ``DatabaseError`` while the database cannot be reached."""

    def release(self) -> None:
        """Idempotent."""


def worker_lock() -> WorkerLock:
    """The lock of the default database."""
    connection = connections["default"]
    if connection.vendor == "postgresql":
        return AdvisoryLock()
    name = Path(str(connection.settings_dict["NAME"]))
    return FileLock(name.with_name(f"{name.name}.worker"))


class FileLock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 200).decode("utf-8", "replace").strip() or "another process"
            os.close(file)
            raise WorkerRuns(f"A worker runs already on this database: {holder} holds {self.path}.") from None
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._file = file

    def check(self) -> None:
        pass  # the kernel does not take it away

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)  # the file stays: removing it could take the lock away from a successor
            self._file = None


class AdvisoryLock:
    def __init__(self) -> None:
        self._connection: Any = None

    def acquire(self) -> None:
        wrapper = connections.create_connection("default")
        connection = wrapper.get_new_connection(wrapper.get_connection_params())
        connection.autocommit = True
        for setting, value in (("idle", 5), ("interval", 2), ("count", 3)):
            connection.execute(f"SET tcp_keepalives_{setting} = {value}")
        name = f"spreadboard worker, process {os.getpid()} on {socket.gethostname()}"[:63]
        connection.execute("SELECT set_config('application_name', %s, false)", (name,))
        if not connection.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_KEY,)).fetchone()[0]:
            holder = connection.execute(
                "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE l.locktype = 'advisory' AND l.granted"
                " AND (l.classid::bigint << 32) + l.objid::bigint = %s",
                (ADVISORY_KEY,),
            ).fetchone()
            connection.close()
            raise WorkerRuns(f"A worker runs already on this database: {holder[0] if holder else 'another process'}.")
        self._connection = connection

    def check(self) -> None:
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error as error:
            log.warning("the lock's database connection was lost, taking it again", error=str(error))
            self._connection.close()
            try:
                self.acquire()
            except psycopg.Error as still:
                raise DatabaseError(str(still)) from still

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
