"""Landed migrations do not change, and migrations preserve rows."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, select
from sqlalchemy.engine import URL, Connection
from tests.support.invitation_env import build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.storage.engine import schema

VERSIONS = Path(schema.__file__).with_name("migrations") / "versions"
# A revision is never edited once it has landed: add the next one, and its digest here.
LANDED = {"0001_foundation.py": "fc3e18e34576df0afc5dfd7f63f7ff3c49012826aa488ecc6d6ba4628d495bce"}
Tables = Mapping[str, tuple[frozenset[str], list[dict[str, Any]]]]  # columns and rows by table


def test_landed_revisions_are_not_edited() -> None:
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VERSIONS.glob("[0-9]*.py")}
    assert digests == LANDED


def revisions() -> list[str]:
    """Return every revision, oldest first."""
    return [script.revision for script in ScriptDirectory(str(VERSIONS.parent)).walk_revisions()][::-1]


def test_revisions_form_one_line_and_each_has_landed() -> None:
    assert len(ScriptDirectory(str(VERSIONS.parent)).get_heads()) == 1
    assert [name.partition("_")[0] for name in sorted(LANDED)] == revisions()


def read_tables(connection: Connection) -> Tables:
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        table.name: (
            frozenset(column.name for column in table.columns),
            [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()],
        )
        for table in metadata.tables.values()
    }


async def test_rows_survive_every_migration(service_env: ServiceEnv, database_url: URL) -> None:
    """Migrate down to each revision and up again: the data of the older tables and columns is preserved."""
    invitations = build_invitation_env(service_env)
    await service_env.group("crew")
    await service_env.user("admin", groups=("crew",))
    await service_env.users.api_keys.create(name="backend", scopes=["*"], by=OPERATOR_PRINCIPAL)
    pending = await invitations.invite("bob@people.test", groups=("crew",))
    await invitations.accept(invitations.token(await invitations.invite("ada@people.test")))

    def down_and_up(connection: Connection) -> None:
        before = read_tables(connection)
        assert len(before["users"][1]) == 2
        assert len(before["invitations"][1]) == 2
        for revision in revisions():
            schema.downgrade(connection, revision)
            old = read_tables(connection)
            schema.upgrade(connection)
            after = read_tables(connection)
            for name, (columns, rows) in before.items():
                common = columns & old[name][0] if name in old else frozenset()
                assert pick(after[name][1], common) == pick(rows, common), (revision, name)

    await schema.on_connection(database_url.difference_update_query(["isolation"]), down_and_up)
    assert (await invitations.reload(pending)).email == "bob@people.test"


def pick(rows: list[dict[str, Any]], columns: frozenset[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name in columns} for row in rows]
