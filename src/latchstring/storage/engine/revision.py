"""The schema revision that this code needs, and the check whether a database has it.

Separate from `schema`, which migrates: the check runs at every start and readiness probe and needs no migration tool.
"""

from pathlib import Path

from sqlalchemy import Text, column, select, table

from latchstring.storage.engine.database import Database, TableMissing

# Files are named `<revision>_<name>.py`; a test compares with what the migration tool says.
_NEWEST_FILE = max(path.name for path in Path(__file__).with_name("migrations").joinpath("versions").glob("[0-9]*.py"))
HEAD_REVISION = _NEWEST_FILE.partition("_")[0]

_VERSIONS = table("alembic_version", column("version_num", Text))
_FIND_REVISION = select(_VERSIONS.c.version_num)


async def find_revision(db: Database) -> str | None:
    """Return the revision of the database, None before the first migration. Raises StorageUnreachable."""
    try:
        rows = await db.fetch(_FIND_REVISION)
    except TableMissing:
        return None
    return str(rows[0].version_num) if len(rows) == 1 else None


async def is_at_head(db: Database) -> bool:
    """Whether the database has the schema this code needs. Raises StorageUnreachable."""
    return await find_revision(db) == HEAD_REVISION
