"""Claims of idempotency keys and the stored answers."""

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


def add_claim_conflict(insert: Any) -> Any:
    """Make an INSERT of a claim succeed unless an answer of the last day has its key.

    A parallel request with the same key waits here for the first to commit. The statement returns a row when the claim
    was inserted.
    """
    return insert.on_conflict_do_update(
        index_elements=list(idempotency.primary_key),
        set_={c.name: insert.excluded[c.name] for c in idempotency.columns if not c.primary_key},
        where=idempotency.c.created_at < bindparam("oldest", type_=Instant),
    ).returning(idempotency.c.principal_id)


_VALUES = {column.name: bindparam(column.name, type_=column.type) for column in idempotency.columns}
CLAIM: dict[str, Executable] = {
    "postgresql": add_claim_conflict(postgresql.insert(idempotency).values(_VALUES)),
    "sqlite": add_claim_conflict(sqlite.insert(idempotency).values(_VALUES)),
}
_FIND = select(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.location, idempotency.c.body).where(
    idempotency.c.principal_id == bindparam("principal_id"),
    idempotency.c.route == bindparam("route"),
    idempotency.c.key == bindparam("key"),
    idempotency.c.created_at >= bindparam("oldest", type_=Instant),
)
_PURGE_BATCH = 1000
_old = (
    select(idempotency.c.created_at)
    .where(idempotency.c.created_at < bindparam("before", type_=Instant))
    .order_by(idempotency.c.created_at)
    .limit(literal_column(str(_PURGE_BATCH)))
    .subquery()
)
_END_OF_BATCH = select(func.max(_old.c.created_at, type_=Instant).label("end"))
_PURGE = delete(idempotency).where(idempotency.c.created_at <= bindparam("end", type_=Instant))
_DELETE_OF_SUBJECTS = delete(idempotency).where(any_of(idempotency.c.subject_id, "subject_ids"))
_DELETE_OF_PRINCIPAL = delete(idempotency).where(idempotency.c.principal_id == bindparam("principal_id"))


def oldest_stored_answer(now: datetime) -> datetime:
    """Return the instant before which answers may be replaced."""
    return now - KEPT_FOR


def claim_values(claim: Claim, answer: StoredAnswer, *, subject_id: UUID, now: datetime) -> dict[str, Any]:
    """Return the column values of a claim."""
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
    """Store the answer with its effect: `yield from` this first in the transaction. Raises AnswerStored."""
    rows = yield step(
        CLAIM[dialect_name],
        **claim_values(claim, answer, subject_id=subject_id, now=now),
        oldest=oldest_stored_answer(now),
    )
    if not rows:
        raise AnswerStored


def delete_answers(subject_ids: Sequence[UUID]) -> Step:
    """Erase the answers about these people or invitations."""
    return step(_DELETE_OF_SUBJECTS, subject_ids=subject_ids)


def delete_answers_to(principal_id: UUID) -> Step:
    """Erase the answers to a principal: they name the principal as the inviter."""
    return step(_DELETE_OF_PRINCIPAL, principal_id=principal_id)


async def find_answer(db: Database, claim: Claim, *, now: datetime) -> tuple[bytes, StoredAnswer] | None:
    """Return the digest of the first request of the last day, and its answer."""
    values = {"principal_id": claim.principal_id, "route": claim.route, "key": claim.key}
    rows = await db.fetch(_FIND, **values, oldest=oldest_stored_answer(now))
    if not rows:
        return None
    row = rows[0]
    return row.fingerprint, StoredAnswer(row.status, row.body, row.location)


async def purge_answers(db: Database, *, now: datetime) -> bool:
    """Delete a batch of expired answers. Returns True when there may be more."""
    (row,) = await db.fetch(_END_OF_BATCH, before=now - KEPT_FOR)
    if row.end is None:
        return False
    await db.write(_PURGE, end=row.end)
    return True
