"""Lookups use indexes, so that their cost does not depend on the number of invitations."""

import sqlite3
from contextlib import closing
from uuid import uuid4

from sqlalchemy.dialects.sqlite.pysqlite import dialect
from sqlalchemy.engine import URL

from latchstring.storage.engine.database import Compiled
from latchstring.storage.invitations import existing as matching
from latchstring.storage.invitations.read import _FIND, _LOOK_UP


def test_a_lookup_does_not_scan_a_table(sqlite_url: URL) -> None:
    with closing(sqlite3.connect(str(sqlite_url.database))) as connection:
        for statement in (_FIND, _LOOK_UP):
            compiled = Compiled(statement, dialect(paramstyle="qmark"))
            plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", compiled.arguments({"id": uuid4()}))
            assert [detail for *_, detail in plan if detail.startswith("SCAN")] == []


def test_comparing_a_list_uses_indexes(sqlite_url: URL) -> None:
    values = {"email_keys": ["a"], "ids": [uuid4()], "after": uuid4()}
    with closing(sqlite3.connect(str(sqlite_url.database))) as connection:
        for statement in (matching._BY_ADDRESSES, matching._HISTORIES, matching._FIND_ACCOUNTS, *matching._OPEN[0]):
            compiled = Compiled(statement, dialect(paramstyle="qmark"))
            plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", compiled.arguments(values))
            steps = [detail for *_, detail in plan if "json_each" not in detail and "SUBQUERY" not in detail]
            assert [step for step in steps if not step.startswith("SEARCH") or "type=?" in step] == []
