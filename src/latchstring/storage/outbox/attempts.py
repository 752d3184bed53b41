"""Every try at sending a mail, with the server's words: what the timeline of an invitation tells.

A try is kept by whoever finishes the mail, together with that: one statement on PostgreSQL, one transaction on SQLite.
Somebody whose lease was taken over keeps nothing. What servers say often repeats the address, so it is forgotten with
the mail, and with the person.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import CTE, bindparam, delete, insert, null, select, update
from sqlalchemy.sql import Executable
from sqlalchemy.sql.dml import ReturningUpdate

from latchstring.storage.engine.database import Row, Step, Work, step
from latchstring.storage.engine.tables import delivery_attempts, outbox
from latchstring.storage.engine.types import Id, any_of

_a = delivery_attempts.c

# A statement that finishes a mail returns these, as they are afterwards.
FINISHED = (outbox.c.id, outbox.c.subject_id, outbox.c.state, outbox.c.last_reply)

_INSERT = insert(delivery_attempts).values({column.name: bindparam(column.name, type_=column.type) for column in _a})
_FORGET = delete(delivery_attempts).where(any_of(_a.subject_id, "subject_ids"))
# the index is that of the subject; a mail's id alone would read the whole table
_FORGET_OF_MAILS = _FORGET.where(any_of(_a.mail_id, "mail_ids"))
_FORGET_REPLIES = update(delivery_attempts).where(any_of(_a.subject_id, "subject_ids")).values(reply=null())


def with_attempt(finish: ReturningUpdate[UUID, UUID, str, str | None]) -> Executable:
    """One statement for PostgreSQL that finishes a mail and, if it did, keeps the try under `attempt_id`."""
    done: CTE = finish.cte("done")
    tried = select(bindparam("attempt_id", type_=Id), done.c.id, done.c.subject_id, done.c.state, done.c.last_reply)
    kept = insert(delivery_attempts).from_select([_a.id, _a.mail_id, _a.subject_id, _a.state, _a.reply], tried)
    return select(done.c.id).add_cte(kept.cte("kept"))


def finish_with_attempt(finish: Step, attempt_id: UUID) -> Work[list[Row]]:
    """The same as two statements of one transaction, for SQLite."""
    rows = yield finish
    for row in rows:
        yield step(
            _INSERT, id=attempt_id, mail_id=row.id, subject_id=row.subject_id, state=row.state, reply=row.last_reply
        )
    return rows


def forget_attempts(subject_ids: Sequence[UUID]) -> Step:
    """Delete every try at a mail about these subjects: for the day the subject itself is deleted."""
    return step(_FORGET, subject_ids=subject_ids)


def forget_attempts_of(mail_ids: Sequence[UUID], subject_ids: Sequence[UUID]) -> Step:
    """Delete the tries at these mails, which are about these subjects."""
    return step(_FORGET_OF_MAILS, mail_ids=mail_ids, subject_ids=subject_ids)


def forget_attempt_replies(subject_ids: Sequence[UUID]) -> Step:
    """Erase what mail servers said at each try; that there was a try stays."""
    return step(_FORGET_REPLIES, subject_ids=subject_ids)
