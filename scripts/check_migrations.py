"""Checks that migrating an empty database gives exactly the tables the code describes."""

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL

from latchstring.storage.engine import schema


async def find_differences() -> list[object]:
    """What an automatic migration would still change."""
    with tempfile.TemporaryDirectory() as folder:
        url = URL.create("sqlite+aiosqlite", database=str(Path(folder) / "empty.db"))
        await schema.migrate(url)
        return await schema.on_connection(url, schema.differences)


def main() -> None:
    """Print the differences and end with status 1 if there are any."""
    found = asyncio.run(find_differences())
    if found:
        lines = "\n".join(f"  {difference}" for difference in found)
        sys.exit(f"Tables and migrations are not in step. Write a migration for:\n{lines}")


if __name__ == "__main__":
    main()
