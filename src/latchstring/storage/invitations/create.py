"""Creating an invitation: on PostgreSQL one statement, one round trip, one commit; on SQLite one transaction.

The statement checks again what may have changed since the request was authenticated: the caller's API key, the targets,
and whether the invitee already has everything. If a check fails, nothing is written, and one SELECT, the same on both
databases, finds out which. The unique index guarantees that only one pending invitation has the same terms; its
violation rolls back the idempotency row as well. A pending invitation that has expired is then marked as expired, and
the create is tried again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import Executable

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import AlreadyMember, CredentialInvalid, NotFound, StorageBusy
from latchstring.domain.event import Event
from latchstring.domain.grant import Grant, terms_digest
from latchstring.domain.idempotency import AnswerStored, Claim, StoredAnswer
from latchstring.domain.invitation import Invitation
from latchstring.domain.mail import OutgoingMail
from latchstring.domain.terms import terms_of
from latchstring.storage.engine.database import ATTEMPTS, Database, UniqueViolation, Work, step
from latchstring.storage.engine.idempotency import add_claim_conflict, claim_values, oldest_stored_answer, store_answer
from latchstring.storage.engine.tables import (
    api_keys,
    content,
    events,
    group_members,
    groups,
    idempotency,
    invitation_grants,
    invitations,
    outbox,
    users,
)
from latchstring.storage.engine.types import Id, Instant, ListOf, any_of
from latchstring.storage.events.record import event_values, insert_event
from latchstring.storage.invitations.transitions import PENDING_TERMS, expire_blocking_invitation
from latchstring.storage.lists.prefix_search import fold_name
from latchstring.storage.outbox.outbox import outbox_values, queue_mail


@dataclass(frozen=True, slots=True)
class InvitationInsert:
    """All that one create writes. stored_answer: of a request with an Idempotency-Key.

    may_reveal_membership: whether the caller may learn that the invitee has everything. may_reveal_conflict: whether
    the caller may learn which pending invitation has the same terms.
    """

    invitation: Invitation
    event: Event
    mail: OutgoingMail
    may_reveal_membership: bool
    may_reveal_conflict: bool
    stored_answer: tuple[Claim, StoredAnswer] | None = None


# ---- checks ----------------------------------------------------------------------------------------------------------


def _is_key_valid() -> ColumnElement[bool]:
    """True if the inviter is no API key, or its key is neither revoked nor expired."""
    key = bindparam("api_key_id", type_=Id)
    now = bindparam("now", type_=Instant)
    good = exists(
        select(api_keys.c.id).where(
            api_keys.c.id == key,
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
        )
    )
    return or_(key.is_(None), good)


def _has_everything() -> ColumnElement[bool]:
    """Whether a verified account of this address has the role and is in every group. Content was checked before."""
    role = bindparam("member_role", type_=users.c.role.type)
    joined = (
        select(func.count())
        .select_from(group_members)
        .where(group_members.c.user_id == users.c.id, any_of(group_members.c.group_id, "group_ids"))
        .scalar_subquery()
    )
    return and_(
        bindparam("may_reveal_membership", type_=Boolean),
        exists(
            select(users.c.id).where(
                users.c.email_key == bindparam("member_email_key", type_=users.c.email_key.type),
                users.c.email_verified == true(),
                or_(role.is_(None), users.c.role == role),
                joined == bindparam("group_count", type_=Integer),
            )
        ),
    )


def _count_existing_groups() -> ColumnElement[int]:
    """How many of the groups exist. PostgreSQL locks them against deletion until the commit."""
    existing = select(groups.c.id).where(any_of(groups.c.id, "group_ids")).with_for_update(read=True, key_share=True)
    return select(func.count()).select_from(existing.subquery("targets")).scalar_subquery()


def _count_existing_objects() -> ColumnElement[int]:
    """How many of the content objects exist, locked like groups."""
    existing = (
        select(content.c.id).where(any_of(content.c.id, "content_ids")).with_for_update(read=True, key_share=True)
    )
    return select(func.count()).select_from(existing.subquery("objects")).scalar_subquery()


def _do_targets_exist() -> ColumnElement[bool]:
    """Whether all targets exist. Objects are locked before groups, as everywhere, so that nothing deadlocks."""
    return and_(
        _count_existing_objects() == bindparam("content_count", type_=Integer),
        _count_existing_groups() == bindparam("group_count", type_=Integer),
    )


_CHECKS = select(
    _is_key_valid().label("is_key_valid"),
    _has_everything().label("has_everything"),
    _do_targets_exist().label("targets_exist"),
)


def _check_values(new: InvitationInsert, now: datetime) -> dict[str, Any]:
    invitation = new.invitation
    group_ids = [grant.target_id for grant in invitation.bundle.groups]
    content_ids = [grant.target_id for grant in invitation.bundle.content]
    return {
        "api_key_id": invitation.inviter.id if invitation.inviter.type is ActorType.API_KEY else None,
        "may_reveal_membership": new.may_reveal_membership,
        "member_role": invitation.bundle.role,
        "member_email_key": invitation.email_key,
        "group_ids": group_ids,
        "group_count": len(group_ids),
        "content_ids": content_ids,
        "content_count": len(content_ids),
        "now": now,
    }


def _refuse(checks: Any) -> None:
    """Raise for the first check that failed."""
    if not checks.is_key_valid:
        raise CredentialInvalid("This API key is revoked or expired.")
    if not checks.targets_exist:
        raise NotFound("The groups or objects of this invitation no longer exist.")
    if checks.has_everything:
        raise AlreadyMember("This person already has everything the invitation would give.")


# ---- the rows --------------------------------------------------------------------------------------------------------


def invitation_values(invitation: Invitation) -> dict[str, Any]:
    """The columns of one invitation."""
    names = (invitation.first_name, invitation.last_name)
    return {
        "id": invitation.id,
        "email_key": invitation.email_key,
        "email": invitation.email,
        "terms_key": terms_digest(invitation.email_key, invitation.bundle),
        "state": int(invitation.state),
        "role": invitation.bundle.role,
        "inviter_type": invitation.inviter.type.value,
        "inviter_id": invitation.inviter.id,
        "lifetime_seconds": int(invitation.lifetime.total_seconds()),
        "generation": invitation.link.generation,
        "link_starts_at": invitation.link.starts_at,
        "expires_at": invitation.link.expires_at,
        "sponsor_type": invitation.link.sponsor.type.value,
        "sponsor_id": invitation.link.sponsor.id,
        "master_key_id": invitation.link.master_key_id,
        "ended_at": invitation.ended_at,
        "accepted_by": invitation.accepted_by,
        "search_name": fold_name(" ".join(name for name in names if name)) or None,
        "search_last_name": invitation.last_name and fold_name(invitation.last_name),
        "renewals": 0,
        "renewed_at": None,
        **terms_of(invitation),
    }


def grant_values(invitation: Invitation, grant: Grant) -> dict[str, Any]:
    """The columns of one grant."""
    return {
        "invitation_id": invitation.id,
        "target_id": grant.target_id,
        "kind": int(grant.kind),
        "target_type": grant.target_type,
        "target_key": grant.target_key,
        "role": grant.role and int(grant.role),
        "voided_at": None,
    }


def _grant_lists(invitation: Invitation) -> dict[str, list[Any]]:
    grants = invitation.bundle.grants
    return {
        "target_ids": [grant.target_id for grant in grants],
        "kinds": [int(grant.kind) for grant in grants],
        "target_types": [grant.target_type for grant in grants],
        "target_keys": [grant.target_key for grant in grants],
        "content_roles": [grant.role and int(grant.role) for grant in grants],
    }


def _binds(table: Table, prefix: str) -> dict[str, Any]:
    return {column.name: bindparam(prefix + column.name, type_=column.type) for column in table.c}


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in values.items()}


INSERT_INVITATION = insert(invitations).values(_binds(invitations, ""))
INSERT_GRANT = insert(invitation_grants).values(_binds(invitation_grants, ""))


# ---- PostgreSQL: everything in one statement -------------------------------------------------------------------------


def _insert_from(table: Table, prefix: str, source: Any, insert: Callable[[Table], Any] = insert) -> Any:
    """INSERT … SELECT of bound values FROM the source: a row for each row of the source."""
    names = [column.name for column in table.c]
    values = [bind.label(name) for name, bind in _binds(table, prefix).items()]
    return insert(table).from_select(names, select(*values).select_from(source))


def _insert_listed_grants(inserted: Any) -> Any:
    """One row for each grant, from lists, so that the statement is the same for every number of grants."""
    lists = func.unnest(
        bindparam("target_ids", type_=ListOf(Id)),
        bindparam("kinds", type_=ListOf(Integer)),
        bindparam("target_types", type_=ListOf(Text)),
        bindparam("target_keys", type_=ListOf(Text)),
        bindparam("content_roles", type_=ListOf(Integer)),
    )
    names = ("target_id", "kind", "target_type", "target_key", "role")
    listed = lists.table_valued(*names).render_derived(name="listed")
    rows = select(inserted.c.id, *(listed.c[name] for name in names)).select_from(inserted.join(listed, true()))
    return insert(invitation_grants).from_select(["invitation_id", *names], rows)


@cache
def _create(*, claims: bool) -> Executable:
    """The whole create. claims: nothing is written unless the Idempotency-Key is free."""
    allowed = (
        select(literal_column("1").label("one"))
        .where(_is_key_valid(), not_(_has_everything()), _do_targets_exist())
        .cte("allowed")
    )
    source: Any = allowed
    if claims:
        source = add_claim_conflict(_insert_from(idempotency, "c_", allowed, postgresql.insert)).cte("claimed")
    inserted = _insert_from(invitations, "i_", source).returning(invitations.c.id).cte("made")
    dependent = [
        _insert_listed_grants(inserted).cte("granted"),
        _insert_from(events, "e_", inserted).cte("recorded"),
        _insert_from(outbox, "o_", inserted).cte("promised"),
    ]
    counts = [
        select(func.count()).select_from(cte).scalar_subquery().label(name)
        for name, cte in (("allowed", allowed), ("made", inserted))
    ]
    return select(*counts).add_cte(*dependent)


def _create_values(new: InvitationInsert, now: datetime) -> dict[str, Any]:
    values = _check_values(new, now) | _grant_lists(new.invitation)
    values |= _prefixed("i_", invitation_values(new.invitation))
    values |= _prefixed("e_", event_values(new.event)) | _prefixed("o_", outbox_values(new.mail))
    if new.stored_answer is not None:
        claim = claim_values(*new.stored_answer, subject_id=new.invitation.id, now=now)
        values |= _prefixed("c_", claim) | {"oldest": oldest_stored_answer(now)}
    return values


async def _create_in_one_statement(db: Database, new: InvitationInsert, now: datetime) -> None:
    statement = _create(claims=new.stored_answer is not None)
    (counts,) = await db.write(statement, **_create_values(new, now))
    if counts.made:
        return
    if counts.allowed:
        raise AnswerStored
    (checks,) = await db.fetch(_CHECKS, **_check_values(new, now))
    _refuse(checks)
    raise StorageBusy("The groups or objects of this invitation changed while it was created.")


# ---- SQLite: the same in several statements --------------------------------------------------------------------------


def _create_in_steps(dialect_name: str, new: InvitationInsert, now: datetime) -> Work[None]:
    (checks,) = yield step(_CHECKS, **_check_values(new, now))
    _refuse(checks)
    if new.stored_answer is not None:
        yield from store_answer(dialect_name, *new.stored_answer, subject_id=new.invitation.id, now=now)
    yield step(INSERT_INVITATION, **invitation_values(new.invitation))
    for grant in new.invitation.bundle.grants:
        yield step(INSERT_GRANT, **grant_values(new.invitation, grant))
    yield insert_event(new.event)
    yield queue_mail(new.mail)


async def insert_invitation(db: Database, new: InvitationInsert, *, now: datetime) -> None:
    """Store a new invitation with its event, its mail and its idempotent answer, all or nothing.

    Raises AlreadyInvited, AlreadyMember, NotFound, CredentialInvalid, or AnswerStored when the same request was
    answered before.
    """
    terms_key = terms_digest(new.invitation.email_key, new.invitation.bundle)
    for _ in range(ATTEMPTS):
        try:
            if db.dialect_name == "postgresql":
                return await _create_in_one_statement(db, new, now)
            return await db.transact(lambda: _create_in_steps(db.dialect_name, new, now))
        except UniqueViolation as violation:
            if violation.constraint != PENDING_TERMS:
                raise
        await expire_blocking_invitation(
            db, terms_key, now=now, may_list_all=new.may_reveal_conflict, viewer=new.invitation.inviter
        )
    raise StorageBusy("Invitations with the same terms came and went too quickly.")
