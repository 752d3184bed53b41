"""SQLite: one writer thread that commits in groups, and one reading connection on the event loop.

Jobs that wait at the same time share one transaction, with a savepoint each, and so one sync of the file. Each job
still succeeds or fails by itself. Indexed reads take microseconds and run on the event loop: a thread would cost more
than it saves.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.dialects.sqlite.pysqlite import dialect as pysqlite_dialect
from sqlalchemy.sql import Executable

from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.storage.engine.database import (
    ATTEMPTS,
    Conflict,
    ReferenceViolation,
    Row,
    Statements,
    Step,
    Steps,
    TableMissing,
    UniqueViolation,
    Work,
    pause_before,
    unique_names,
)

T = TypeVar("T")
GROUP = 64  # jobs per commit; with more, the first job waits longer than the shared sync saves
BUSY_TIMEOUT_SECONDS = 5.0


def open_connection(path: str, *, reading: bool = False) -> sqlite3.Connection:
    """Open a connection in WAL mode that syncs every commit (promise 5) and never begins transactions by itself."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if reading:
        connection.execute("PRAGMA query_only = ON")
    return connection


@dataclass(slots=True)
class _Job:
    work: Callable[[], Work[Any]]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SQLite:
    """The embedded database. One process serves it; a second process may write at the same time."""

    dialect_name = "sqlite"

    def __init__(self, path: str, *, checkpoints: bool = True) -> None:
        """checkpoints: False for a process that writes beside the server, which then checkpoints the log."""
        try:
            self._reader = open_connection(path, reading=True)
            self._writer = open_connection(path)
            if not checkpoints:
                self._writer.execute("PRAGMA wal_autocheckpoint = 0")
        except sqlite3.Error as error:
            raise StorageUnreachable(f"The database file cannot be opened: {error}") from error
        self._statements = Statements(pysqlite_dialect(paramstyle="qmark"))
        self._unique = unique_names()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def fetch(self, statement: Executable, /, **values: Any) -> list[Row]:
        try:
            return self._run_step(self._reader, Step(statement, values))
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error

    async def write(self, statement: Executable, /, **values: Any) -> list[Row]:
        def work() -> Work[list[Row]]:
            return (yield Step(statement, values))

        return await self.transact(work)

    async def transact(self, work: Callable[[], Work[T]]) -> T:
        loop = asyncio.get_running_loop()
        for number in range(ATTEMPTS):
            await pause_before(number)
            job = _Job(work, loop, loop.create_future())
            self._jobs.put(job)
            try:
                # a queued job may commit: when the caller is cancelled, its future must still be settled
                return await asyncio.shield(job.future)
            except Conflict as conflict:
                last = conflict
        raise StorageBusy("The database file is busy.") from last

    async def close(self) -> None:
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    def _serve(self) -> None:
        while (first := self._jobs.get()) is not None:
            group, is_last = self._gather(first)
            self._commit(group)
            for loop in {job.loop for job in group}:
                settled = [job for job in group if job.loop is loop]
                loop.call_soon_threadsafe(lambda jobs=settled: [job.settle() for job in jobs])  # type: ignore[misc]
            if is_last:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        group = [first]
        while len(group) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _commit(self, group: list[_Job]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in group:
                self._attempt(job)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for job in group:  # nothing was committed, even if the job succeeded
                job.error = _unavailable(error)
                job.error.__cause__ = error

    def _attempt(self, job: _Job) -> None:
        self._writer.execute("SAVEPOINT job")
        try:
            job.result = self._drive(job.work())
        except BaseException as error:  # noqa: BLE001  # reported to the caller that waits for the job
            self._writer.execute("ROLLBACK TO job")
            job.error = self._translate(error)
        self._writer.execute("RELEASE job")

    def _drive(self, work: Work[T]) -> T:
        rows: list[Row] | None = None
        try:
            while True:
                step = work.send(rows) if rows is not None else next(work)
                rows = self._run_step(self._writer, step)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # the work's own type
        finally:
            work.close()

    def _run_step(self, connection: sqlite3.Connection, step: Step | Steps) -> list[Row]:
        compiled = self._statements[step.statement]
        if isinstance(step, Steps):
            connection.executemany(compiled.text, map(compiled.arguments, step.many))
            return []
        return [
            compiled.row(row) for row in connection.execute(compiled.text, compiled.arguments(step.values)).fetchall()
        ]

    def _translate(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.IntegrityError):
            if error.sqlite_errorname in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
                columns = frozenset(str(error).partition(": ")[2].split(", "))
                return _with_cause(UniqueViolation(self._unique.get(columns, "")), error)
            if error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY":
                return _with_cause(ReferenceViolation(""), error)
        if isinstance(error, sqlite3.OperationalError):
            return _with_cause(_unavailable(error), error)
        return error


def _unavailable(error: sqlite3.Error) -> Exception:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Conflict()
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_READONLY")):
        return StorageUnreachable(f"The database file cannot be used: {error}")
    return TableMissing() if str(error).startswith("no such table") else error


def _with_cause(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error
