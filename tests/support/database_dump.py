"""Dump a database, to check what it stores."""

import asyncio
import sqlite3
from contextlib import closing

import asyncpg

SELECT = 'SELECT * FROM "{}"'


def dump(url: str) -> str:
    """Return all rows of all tables as text; bytes in hexadecimal."""
    if url.startswith("sqlite"):
        return _dump_sqlite(url.partition(":///")[2])
    return asyncio.run(_dump_postgres(url.replace("postgresql+asyncpg", "postgresql")))


def _dump_sqlite(path: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [(table, row) for table in tables for row in connection.execute(SELECT.format(table))]
    return "\n".join(f"{table}: {' | '.join(map(_format_value, row))}" for table, row in rows)


async def _dump_postgres(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        lines = list[str]()
        for (table,) in tables:
            rows = await connection.fetch(SELECT.format(table))
            lines += [f"{table}: {' | '.join(map(_format_value, row.values()))}" for row in rows]
        return "\n".join(lines)
    finally:
        await connection.close()


def _format_value(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex() + " " + value.decode("utf-8", "replace")
    return str(value)
