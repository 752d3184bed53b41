"""Sweeps delete expired rows only."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select

from latchstring.domain.clock import system_clock
from latchstring.domain.idempotency import KEPT_FOR, Claim, StoredAnswer
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.engine.tables import idempotency
from latchstring.worker.sweeps import AnswerPurge, Sweep, run_once

ANSWER = StoredAnswer(201, b"{}")
STORED_KEYS = select(idempotency.c.key)


async def test_stored_answers_are_purged_after_a_day(database: Database) -> None:
    now = system_clock()
    old, young = (Claim(uuid4(), "POST /x", key, b"{}", b"digest") for key in ("old", "young"))
    for claim, age in ((old, KEPT_FOR + timedelta(minutes=1)), (young, KEPT_FOR - timedelta(minutes=1))):
        await database.transact(
            lambda claim=claim, age=age: store_answer(  # type: ignore[misc]
                database.dialect_name, claim, ANSWER, subject_id=uuid4(), now=now - age
            )
        )
    await run_once(Sweep("answers", AnswerPurge(database, lambda: now)))
    assert [row.key for row in await database.fetch(STORED_KEYS)] == ["young"]
