"""PostgreSQL through a connection pool of asyncpg."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.engine import URL
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
)

T = TypeVar("T")

CONFLICTS = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
UNREACHABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection was lost during a step
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments of asyncpg.connect for an SQLAlchemy URL. `host` in the query may be a socket directory."""
    query = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    arguments = {
        "host": query.pop("host", None) or url.host,
        "port": int(query.pop("port", 0)) or url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "ssl": query.pop("ssl", None) or query.pop("sslmode", None),
    }
    return {key: value for key, value in arguments.items() if value is not None}


class Postgres:
    """A pool of connections with settings chosen by measurements of the hot paths (decision 0008)."""

    dialect_name = "postgresql"

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._statements = Statements(asyncpg_dialect())  # type: ignore[no-untyped-call]

    @classmethod
    async def connect(
        cls, url: URL, *, isolation: str = "read committed", pool_size: int = 12, statement_cache: int = 512
    ) -> "Postgres":
        """Open the pool. statement_cache: 0 behind PgBouncer in transaction mode."""

        async def skip_reset(_connection: object) -> None:
            """Send no reset query on release: it costs a second round trip, and no code here sets session state."""

        try:
            pool = await asyncpg.create_pool(
                **connect_arguments(url),
                min_size=1,
                max_size=pool_size,
                max_queries=2**31,
                reset=skip_reset,
                statement_cache_size=statement_cache,
                max_cached_statement_lifetime=0,
                server_settings={
                    "application_name": "latchstring",
                    "plan_cache_mode": "force_generic_plan",
                    "jit": "off",
                    "lock_timeout": "5s",
                    "default_transaction_isolation": isolation,
                },
            )
        except UNREACHABLE as error:
            raise StorageUnreachable("The database does not answer.") from error
        return cls(pool)

    async def fetch(self, statement: Executable, /, **values: Any) -> list[Row]:
        return await self._repeat(lambda: self._run_alone(Step(statement, values)))

    write = fetch

    async def transact(self, work: Callable[[], Work[T]]) -> T:
        return await self._repeat(lambda: self._run_work(work))

    async def close(self) -> None:
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _repeat(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for number in range(ATTEMPTS):
            await pause_before(number)
            try:
                return await attempt()
            except Conflict as conflict:
                last = conflict
            except asyncpg.UniqueViolationError as error:
                raise UniqueViolation(error.constraint_name or "") from error
            except asyncpg.ForeignKeyViolationError as error:
                raise ReferenceViolation(error.constraint_name or "") from error
            except asyncpg.UndefinedTableError as error:
                raise TableMissing from error
            except UNREACHABLE as error:
                raise StorageUnreachable("The database does not answer.") from error
        if isinstance(last.__cause__, asyncpg.LockNotAvailableError):
            raise LockTimeout from last
        raise StorageBusy("Too many concurrent changes of the same rows.") from last

    async def _run_alone(self, step: Step) -> list[Row]:
        async with self._pool.acquire() as connection:
            try:
                return await self._run_step(connection, step)
            except CONFLICTS as error:
                raise Conflict from error
            except UNREACHABLE:
                connection.terminate()  # the pool replaces it
                raise

    async def _run_work(self, work: Callable[[], Work[T]]) -> T:
        async with self._pool.acquire() as connection:
            try:
                async with connection.transaction():
                    return await self._drive(connection, work())
            except CONFLICTS as error:
                raise Conflict from error
            except UNREACHABLE:
                connection.terminate()
                raise

    async def _drive(self, connection: Any, work: Work[T]) -> T:
        rows: list[Row] | None = None
        try:
            while True:
                step = work.send(rows) if rows is not None else next(work)
                rows = await self._run_step(connection, step)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # the work's own type
        finally:
            work.close()

    async def _run_step(self, connection: Any, step: Step | Steps) -> list[Row]:
        compiled = self._statements[step.statement]
        if isinstance(step, Steps):
            await connection.executemany(compiled.text, [compiled.arguments(values) for values in step.many])
            return []
        raw = await connection.fetch(compiled.text, *compiled.arguments(step.values))
        return [compiled.row(row) for row in raw]


class LockTimeout(StorageBusy):
    """Another transaction held a row lock for longer than the timeout of five seconds."""
