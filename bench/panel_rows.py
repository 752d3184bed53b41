"""Invitations as an installation has them after ninety days, written by PostgreSQL itself: a million in a minute.

Most of the last week wait for an answer; of the older ones 70 in a hundred were accepted and 25 ran out. One mail in a
hundred bounced. A few inviters sent most, a thousand people sent a handful each. Everything follows from the number
of a row, so two runs are alike.
"""

# ruff: noqa: S608  # statements of our own, made of numbers of our own

import asyncio
from typing import Any

import asyncpg

DAYS = 90
PER_DAY_MS = 86_400_000
INVITERS = 8  # admins, who sent nine in ten
USERS = 1000
GROUPS = 60
OBJECTS = 2000
BATCH = 100_000

# A number below the first, as if thrown; the second makes another throw.
_THROWN = "((hashint8extended(n, {1}) & 2147483647) % {0})"
_UUID = "(lpad(to_hex({ms}), 12, '0') || '7000' || '8000' || lpad(to_hex({tail}), 12, '0'))::uuid"
_INSTANT = "to_timestamp(({ms}) / 1000.0)"


def _id(ms: str, tail: str) -> str:
    return _UUID.format(ms=ms, tail=tail)


_START = "(extract(epoch FROM $3::timestamptz)::bigint * 1000)"
_CREATED = f"({_START} + (n * {DAYS * PER_DAY_MS}::bigint / $4))"
_PEOPLE = f"""
INSERT INTO admins (id, email_key, email, name, role, link_generation)
SELECT {_id("0", "n")}, 'admin' || n || '@bench.test', 'admin' || n || '@bench.test', 'Admin ' || n, 'manager', 1
FROM generate_series(1, {INVITERS}) n;
INSERT INTO users (id, email_key, email, email_verified, first_name, last_name, search_name, search_last_name, blocked)
SELECT {_id("1", "n")}, 'user' || n || '@bench.test', 'user' || n || '@bench.test', true, 'Ann', 'User ' || n,
  'ann user ' || n, 'user ' || n, false
FROM generate_series(1, {USERS}) n;
INSERT INTO groups (id, key, name, translations)
SELECT {_id("2", "n")}, 'group-' || n, 'Group ' || n, '{{}}' FROM generate_series(1, {GROUPS}) n;
INSERT INTO content (id, type, key, owner_id, visibility, title, version, updated_at)
SELECT {_id("3", "n")}, 'articles', 'object-' || n, {_id("1", "1")}, 1, 'Object ' || n, 1, now()
FROM generate_series(1, {OBJECTS}) n
"""
_FATE = _THROWN.format(100, 5)
_SENDER = _THROWN.format(10, 6)
_ROWS = f"""
CREATE TEMPORARY TABLE made AS
SELECT n, ms, {_SENDER} AS sender, {_THROWN.format(OBJECTS, 7)} + 1 AS object, {_id("ms", "n")} AS id, state,
  {_THROWN.format(100, 1)} AS hundredth, {_THROWN.format(1000, 2)} AS thousandth,
  (ARRAY['ann','bob','cem','dana','eva','finn','gita','hugo','ida','jonas','kim','lea','mo','nils','olga','pia','quin',
    'rosa','sam','tom'])[{_THROWN.format(20, 3)} + 1] AS first, 'name' || {_THROWN.format(5000, 4)} AS last
FROM (
  SELECT n, {_CREATED} AS ms,
    CASE WHEN n > $4 * {DAYS - 7} / {DAYS} THEN CASE WHEN {_FATE} < 70 THEN 0 ELSE 1 END
      ELSE CASE WHEN {_FATE} < 70 THEN 1 WHEN {_FATE} < 95 THEN 4 WHEN {_FATE} < 98 THEN 2 ELSE 3 END END AS state
  FROM generate_series($1::bigint, $2::bigint) n
) numbered
"""
_EXPIRES = "ms + 7 * 86400000::bigint"
_INVITATIONS = f"""
INSERT INTO invitations (id, email_key, email, terms_key, state, role, inviter_type, inviter_id, lifetime_seconds,
  generation, link_starts_at, expires_at, sponsor_type, sponsor_id, master_key_id, ended_at, first_name, last_name,
  search_name, search_last_name)
SELECT id, first || '.' || last || '.' || n || '@people.test', first || '.' || last || '.' || n || '@people.test', id,
  state,
  CASE WHEN thousandth = 0 THEN 'partner' WHEN hundredth < 60 THEN 'customer' WHEN hundredth < 95 THEN 'team' END,
  CASE WHEN sender = 0 THEN 'USER' ELSE 'ADMIN' END,
  CASE WHEN sender = 0 THEN {_id("1", f"n % {USERS} + 1")} ELSE {_id("0", f"n % {INVITERS} + 1")} END,
  604800, 1, {_INSTANT.format(ms="ms")}, {_INSTANT.format(ms=_EXPIRES)},
  CASE WHEN sender = 0 THEN 'USER' ELSE 'ADMIN' END,
  CASE WHEN sender = 0 THEN {_id("1", f"n % {USERS} + 1")} ELSE {_id("0", f"n % {INVITERS} + 1")} END, 'k1',
  CASE WHEN state = 4 THEN {_INSTANT.format(ms=_EXPIRES)}
    WHEN state > 0 THEN {_INSTANT.format(ms="ms + (1 + hundredth) * 3600000")} END,
  initcap(first), initcap(last), first || ' ' || last, last
FROM made;
INSERT INTO invitation_grants (invitation_id, target_id, kind, target_key)
SELECT id, {_id("2", "1")}, 1, 'group-1' FROM made WHERE hundredth % 2 = 0
UNION ALL
SELECT id, {_id("2", f"n % ({GROUPS} - 1) + 2")}, 1, 'group-' || n % ({GROUPS} - 1) + 2 FROM made WHERE n % 3 > 0;
INSERT INTO invitation_grants (invitation_id, target_id, kind, target_type, target_key, role)
SELECT id, {_id("3", "object")}, 2, 'articles', 'object-' || object, 1
FROM made WHERE sender = 3;
INSERT INTO outbox (id, kind, subject_id, generation, priority, state, attempts, due_at, last_at)
SELECT {_id("ms", "n + 1")}, 'invitation', id, 1, 5, word, CASE WHEN word = 'QUEUED' THEN 0 ELSE 1 END,
  CASE WHEN word IN ('QUEUED', 'DEFERRED') THEN now() + interval '1 day' END, {_INSTANT.format(ms="ms")}
FROM (
  SELECT made.*, CASE WHEN state = 0 AND thousandth < 3 THEN 'QUEUED' WHEN state = 0 AND thousandth < 6 THEN 'DEFERRED'
    WHEN state <> 1 AND hundredth = 7 THEN 'BOUNCED' WHEN thousandth = 9 THEN 'SUPPRESSED' ELSE 'SENT' END AS word
  FROM made
) mails;
DROP TABLE made
"""
TABLES = "invitations, invitation_grants, outbox, groups, content, users, admins"


async def write_rows(connection: Any, count: int) -> None:
    """This many invitations into an empty installation, the newest of this minute, and let PostgreSQL learn of them."""
    start = await connection.fetchval(f"SELECT now() - interval '{DAYS} days'")
    await connection.execute(_PEOPLE)
    for first in range(0, count, BATCH):
        async with connection.transaction():
            await connection.execute(_filled(_ROWS, first + 1, min(first + BATCH, count), start, count))
            await connection.execute(_INVITATIONS)
    await connection.execute(f"VACUUM ANALYZE {TABLES}")


def _filled(statement: str, first: int, last: int, start: Any, count: int) -> str:
    """With the values written in: several statements at once take none."""
    values = {"$1": str(first), "$2": str(last), "$3": f"'{start.isoformat()}'", "$4": f"{count}::bigint"}
    for mark, value in values.items():
        statement = statement.replace(mark, value)
    return statement


def write_rows_at(url: str, count: int) -> None:
    """The same by the URL of a database."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await write_rows(connection, count)
        finally:
            await connection.close()

    asyncio.run(run())
