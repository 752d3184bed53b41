"""Which schema this code needs, and whether a database has it.

Apart from `schema`, which migrates: asking needs no migration tool, and every start and every readiness probe asks.
"""

from sqlalchemy import Text, column, select, table

from latchstring.storage.engine.database import Database, TableMissing

HEAD_REVISION = "0001"  # the newest file under migrations/versions; a test compares

_VERSIONS = table("alembic_version", column("version_num", Text))
_FIND_REVISION = select(_VERSIONS.c.version_num)


async def find_revision(db: Database) -> str | None:
    """The revision the database is at, None before the first migration. Raises StorageUnreachable."""
    try:
        rows = await db.fetch(_FIND_REVISION)
    except TableMissing:
        return None
    return str(rows[0].version_num) if len(rows) == 1 else None


async def is_at_head(db: Database) -> bool:
    """Whether the database has the schema this code needs. Raises StorageUnreachable when it is away."""
    return await find_revision(db) == HEAD_REVISION
