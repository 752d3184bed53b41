"""Delivery attempts with the server's reply, for the timeline of an invitation.

The worker that finishes a mail stores its attempt together with the result: in one statement on PostgreSQL, in one
transaction on SQLite. A worker that lost its lease stores nothing. Replies often repeat the address, so they are erased
with the mail and with the person.
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

# A statement that finishes a mail returns the new values of these columns.
FINISHED_COLUMNS = (outbox.c.id, outbox.c.subject_id, outbox.c.state, outbox.c.last_reply)

_INSERT = insert(delivery_attempts).values({column.name: bindparam(column.name, type_=column.type) for column in _a})
_DELETE = delete(delivery_attempts).where(any_of(_a.subject_id, "subject_ids"))
# there is an index of subjects; with the ids of mails alone it would read the whole table
_DELETE_OF_MAILS = _DELETE.where(any_of(_a.mail_id, "mail_ids"))
_ERASE_REPLIES = update(delivery_attempts).where(any_of(_a.subject_id, "subject_ids")).values(reply=null())


def with_attempt(finish: ReturningUpdate[UUID, UUID, str, str | None]) -> Executable:
    """Return a statement for PostgreSQL that finishes a mail and, if it did, stores the attempt as `attempt_id`."""
    finished: CTE = finish.cte("done")
    attempt = select(
        bindparam("attempt_id", type_=Id), finished.c.id, finished.c.subject_id, finished.c.state, finished.c.last_reply
    )
    insertion = insert(delivery_attempts).from_select([_a.id, _a.mail_id, _a.subject_id, _a.state, _a.reply], attempt)
    return select(finished.c.id).add_cte(insertion.cte("kept"))


def finish_with_attempt(finish: Step, attempt_id: UUID) -> Work[list[Row]]:
    """Finish a mail and store the attempt with two statements of one transaction, for SQLite."""
    rows = yield finish
    for row in rows:
        yield step(
            _INSERT, id=attempt_id, mail_id=row.id, subject_id=row.subject_id, state=row.state, reply=row.last_reply
        )
    return rows


def delete_attempts(subject_ids: Sequence[UUID]) -> Step:
    """Delete every attempt for mails about these subjects, when the subjects themselves are deleted."""
    return step(_DELETE, subject_ids=subject_ids)


def delete_attempts_of(mail_ids: Sequence[UUID], subject_ids: Sequence[UUID]) -> Step:
    """Delete the attempts for these mails, which are about these subjects."""
    return step(_DELETE_OF_MAILS, mail_ids=mail_ids, subject_ids=subject_ids)


def erase_attempt_replies(subject_ids: Sequence[UUID]) -> Step:
    """Erase the servers' replies. The attempts themselves remain."""
    return step(_ERASE_REPLIES, subject_ids=subject_ids)
