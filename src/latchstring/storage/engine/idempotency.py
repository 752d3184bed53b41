"""Claims of idempotency keys and the answers kept for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from latchstring.domain.idempotency import KEPT_FOR, AnswerStored, Claim, StoredAnswer
from latchstring.storage.engine.database import Database, Step, Work, step
from latchstring.storage.engine.tables import idempotency
from latchstring.storage.engine.types import Instant, any_of


def if_free(insert: Any) -> Any:
    """Let an INSERT of a claim through unless an answer of the last day has its key. A parallel twin waits here for
    the first to commit. Returns a row when the claim was made.
    """
    return insert.on_conflict_do_update(
        index_elements=list(idempotency.primary_key),
        set_={c.name: insert.excluded[c.name] for c in idempotency.columns if not c.primary_key},
        where=idempotency.c.created_at < bindparam("oldest", type_=Instant),
    ).returning(idempotency.c.principal_id)


_VALUES = {column.name: bindparam(column.name, type_=column.type) for column in idempotency.columns}
CLAIM: dict[str, Executable] = {
    "postgresql": if_free(postgresql.insert(idempotency).values(_VALUES)),
    "sqlite": if_free(sqlite.insert(idempotency).values(_VALUES)),
}
_FIND = select(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.location, idempotency.c.body).where(
    idempotency.c.principal_id == bindparam("principal_id"),
    idempotency.c.route == bindparam("route"),
    idempotency.c.key == bindparam("key"),
    idempotency.c.created_at >= bindparam("oldest", type_=Instant),
)
_PURGED_AT_ONCE = 1000
_old = (
    select(idempotency.c.created_at)
    .where(idempotency.c.created_at < bindparam("before", type_=Instant))
    .order_by(idempotency.c.created_at)
    .limit(literal_column(str(_PURGED_AT_ONCE)))
    .subquery()
)
_END_OF_BATCH = select(func.max(_old.c.created_at, type_=Instant).label("end"))
_PURGE = delete(idempotency).where(idempotency.c.created_at <= bindparam("end", type_=Instant))
_FORGET_SUBJECTS = delete(idempotency).where(any_of(idempotency.c.subject_id, "subject_ids"))
_FORGET_PRINCIPAL = delete(idempotency).where(idempotency.c.principal_id == bindparam("principal_id"))


def oldest_stored_answer(now: datetime) -> datetime:
    """Answers from before this instant give way."""
    return now - KEPT_FOR


def claim_values(claim: Claim, answer: StoredAnswer, *, subject_id: UUID, now: datetime) -> dict[str, Any]:
    """The columns of a claim."""
    return {
        "principal_id": claim.principal_id,
        "route": claim.route,
        "key": claim.key,
        "fingerprint": claim.digest,
        "status": answer.status,
        "location": answer.location,
        "body": answer.body,
        "subject_id": subject_id,
        "created_at": now,
    }


def store_answer(
    dialect_name: str, claim: Claim, answer: StoredAnswer, *, subject_id: UUID, now: datetime
) -> Work[None]:
    """Keep the answer with its effect: `yield from` this first in the transaction. Raises AnswerStored."""
    rows = yield step(
        CLAIM[dialect_name],
        **claim_values(claim, answer, subject_id=subject_id, now=now),
        oldest=oldest_stored_answer(now),
    )
    if not rows:
        raise AnswerStored


def forget_answers(subject_ids: Sequence[UUID]) -> Step:
    """Erase the answers that speak of these people or invitations."""
    return step(_FORGET_SUBJECTS, subject_ids=subject_ids)


def forget_answers_to(principal_id: UUID) -> Step:
    """Erase the answers that were given to somebody: they name him as the inviter."""
    return step(_FORGET_PRINCIPAL, principal_id=principal_id)


async def find_answer(db: Database, claim: Claim, *, now: datetime) -> tuple[bytes, StoredAnswer] | None:
    """The digest of the first request of the last day, and its answer."""
    values = {"principal_id": claim.principal_id, "route": claim.route, "key": claim.key}
    rows = await db.fetch(_FIND, **values, oldest=oldest_stored_answer(now))
    if not rows:
        return None
    row = rows[0]
    return row.fingerprint, StoredAnswer(row.status, row.body, row.location)


async def purge_answers(db: Database, *, now: datetime) -> bool:
    """Delete a batch of answers whose time is over. True: there may be more."""
    (row,) = await db.fetch(_END_OF_BATCH, before=now - KEPT_FOR)
    if row.end is None:
        return False
    await db.write(_PURGE, end=row.end)
    return True
