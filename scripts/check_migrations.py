"""Checks that migrating an empty database creates exactly the tables that the code declares."""

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL

from latchstring.storage.engine import schema


async def find_differences() -> list[object]:
    """The changes that an automatic migration would make."""
    with tempfile.TemporaryDirectory() as folder:
        url = URL.create("sqlite+aiosqlite", database=str(Path(folder) / "empty.db"))
        await schema.migrate(url)
        return await schema.on_connection(url, schema.differences)


def main() -> None:
    """Print the differences and end with status 1 if there are any."""
    differences = asyncio.run(find_differences())
    if differences:
        lines = "\n".join(f"  {difference}" for difference in differences)
        sys.exit(f"Tables and migrations differ. Write a migration for:\n{lines}")


if __name__ == "__main__":
    main()
