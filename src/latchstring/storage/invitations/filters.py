"""What invitations are filtered by."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, SmallInteger, Text, and_, bindparam, literal_column, or_, select

from latchstring.domain.ids import first_id_at
from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.storage.engine.tables import IN_TROUBLE, PENDING, SUPPRESSED, invitation_grants, invitations, outbox
from latchstring.storage.engine.types import CanonicalText, Id, Instant, any_of
from latchstring.storage.lists.declaration import Columns, Filter
from latchstring.storage.lists.index_scan import (
    COUNTED_UP_TO,
    EACH,
    HIGHEST_ID,
    HIGHEST_INSTANT,
    LOWEST_ID,
    LOWEST_INSTANT,
    IndexScan,
    as_indexed,
    literal_number,
    prefix_scan,
)
from latchstring.storage.lists.prefix_search import fold_name, prefix_values, starts_with
from latchstring.storage.outbox.outbox import newest_invitation_mail

_i = invitations.c
_g = invitation_grants.c
_o = outbox.c
_ONE: ColumnElement[int] = literal_column("1", Integer)
_NOW = bindparam("now", type_=Instant)
_ID_FROM, _ID_TO = bindparam("id_from", type_=Id), bindparam("id_to", type_=Id)
_EXPIRES_FROM, _EXPIRES_TO = bindparam("expires_from", type_=Instant), bindparam("expires_to", type_=Instant)
_CONTENT_TYPE, _CONTENT_KEY = bindparam("content_type", type_=Text), bindparam("content_key", type_=Text)
_IS_CONTENT = _g.kind == literal_column("2")


# ---- the values ------------------------------------------------------------------------------------------------------


def filters_in_use(wanted: InvitationFilter) -> list[str]:
    """The filters that are asked for, those first that usually have the fewest rows.

    No index leads to mails that were sent, which is nearly all: there the range of ids stands in.
    """
    is_sent = "SENT" in wanted.deliveries
    in_use = {
        "email_key": wanted.email_key is not None,
        "object": bool(wanted.content_type and wanted.content_key),
        "delivery": bool(wanted.deliveries and not is_sent),
        "q": bool(wanted.q),
        "group": bool(wanted.group_ids),
        "inviter": bool(wanted.inviter_ids),
        "only_inviter": wanted.only_inviter_id is not None,
        "content_type": bool(wanted.content_type and not wanted.content_key),
        "range": bool(wanted.created_after or wanted.created_before or is_sent),
        "role": bool(wanted.roles),
        "expiry": bool(wanted.expires_after or wanted.expires_before),
        "state": bool(len(set(wanted.states)) % len(State)),  # all states are any
        "sent": is_sent,
    }
    return [name for name, is_used in in_use.items() if is_used]


def bound_values(wanted: InvitationFilter, filters: Collection[str], *, now: datetime) -> dict[str, Any]:
    """Everything that conditions, candidate queries and scans bind, whether asked for or not."""
    return {
        "now": now,
        **{f"any_{name}": name not in filters for name in FILTERS},
        **state_values(wanted.states, now=now),
        "roles": list(wanted.roles),
        "groups": list(wanted.group_ids),
        "inviters": list(wanted.inviter_ids),
        "deliveries": list(wanted.deliveries),
        "only_inviter": wanted.only_inviter_id,
        "email_key": wanted.email_key,
        "content_type": wanted.content_type,
        "content_key": wanted.content_key,
        **prefix_values("q", fold_name(wanted.q) if wanted.q else None),
        **_ranges(wanted, now=now),
    }


def state_values(states: Collection[State], *, now: datetime) -> dict[str, Any]:
    """PENDING is stored and in time; EXPIRED is stored, or stored as PENDING and out of time."""
    chosen = frozenset(states or State)
    stored = chosen | ({State.PENDING} if State.EXPIRED in chosen else frozenset())
    return {
        "states": sorted(int(state) for state in stored),
        "ended_states": sorted(int(state) for state in chosen - {State.PENDING}),
        "pending_from": LOWEST_INSTANT if State.EXPIRED in chosen else now,
        "pending_to": HIGHEST_INSTANT if State.PENDING in chosen else now,
    }


def _ranges(wanted: InvitationFilter, *, now: datetime) -> dict[str, Any]:
    """The ranges, each as narrow as the other filters imply: what ends before an instant was made before it, what is
    pending ends later than now, what has expired does not.
    """
    expires_from = wanted.expires_after or LOWEST_INSTANT
    expires_to = wanted.expires_before or HIGHEST_INSTANT
    if set(wanted.states) == {State.PENDING}:
        expires_from = max(expires_from, now)
    elif set(wanted.states) == {State.EXPIRED}:
        expires_to = min(expires_to, now + timedelta(milliseconds=1))
    created_before = min(wanted.created_before or HIGHEST_INSTANT, expires_to)
    return {
        "id_from": first_id_at(wanted.created_after) if wanted.created_after else LOWEST_ID,
        "id_to": HIGHEST_ID if created_before == HIGHEST_INSTANT else first_id_at(created_before),
        "expires_from": expires_from,
        "expires_to": expires_to,
    }


# ---- index scans -----------------------------------------------------------------------------------------------------


def _overdue() -> IndexScan:
    """Expired, and not stored so yet: few, for the sweep comes every minute."""
    late = select(_i.id).where(as_indexed(PENDING), _i.expires_at <= _NOW).order_by(_i.expires_at)
    return IndexScan([late.limit(literal_number(COUNTED_UP_TO)).subquery("overdue").c.id])


SCANS = {
    "all": IndexScan([_i.id]),
    "expires": IndexScan([_i.expires_at, _i.id]),
    "email": IndexScan([_i.email_key, _i.id]),
    "accepted": IndexScan([_i.ended_at, _i.id], where=[_i.state == literal_column("1")]),
    "object": IndexScan(
        [_g.invitation_id],
        prefix=[(_g.target_type, _CONTENT_TYPE), (_g.target_key, _CONTENT_KEY)],
        where=[_IS_CONTENT],
    ),
    "group": IndexScan([_g.invitation_id], prefix=[(_g.target_id, EACH)]),
    "inviter": IndexScan([_i.id], prefix=[(_i.inviter_id, EACH)]),
    "role": IndexScan([_i.id], prefix=[(_i.role, EACH)]),
    "state": IndexScan([_i.id], prefix=[(_i.state, EACH)]),
    "overdue": _overdue(),
}


# ---- conditions ------------------------------------------------------------------------------------------------------


def _is_in_state(i: Columns) -> ColumnElement[bool]:
    in_time = and_(
        i.expires_at > bindparam("pending_from", type_=Instant), i.expires_at <= bindparam("pending_to", type_=Instant)
    )
    return and_(any_of(i.state, "states", SmallInteger), or_(i.state != literal_column("0"), in_time))


def _has(rows: Select[Any], table: Any) -> ColumnElement[bool]:
    """Whether there is a row. Not EXISTS: PostgreSQL would think of reading all such rows beforehand."""
    return rows.limit(_ONE).correlate_except(table).scalar_subquery() == _ONE


def _has_group(i: Columns) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    return _has(select(_ONE).where(g.c.invitation_id == i.id, any_of(g.c.target_id, "groups")), g)


def _has_content(i: Columns, *, with_key: bool) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    rows = select(_ONE).where(
        g.c.invitation_id == i.id, g.c.kind == literal_column("2"), g.c.target_type == _CONTENT_TYPE
    )
    return _has(rows.where(g.c.target_key == _CONTENT_KEY) if with_key else rows, g)


def _is_delivery(i: Columns) -> ColumnElement[bool]:
    mail = outbox.alias()
    rows = select(_ONE).where(mail.c.id == newest_invitation_mail(i.id), any_of(mail.c.state, "deliveries", Text))
    return _has(rows, mail)


def _matches_q(i: Columns) -> ColumnElement[bool]:
    return or_(*(starts_with(column, "q") for column in (i.email_key, i.search_name, i.search_last_name)))


# ---- candidates ------------------------------------------------------------------------------------------------------


def _in_order(id_: ColumnElement[UUID], *columns: ColumnElement[Any]) -> Select[Any]:
    """Ids in the order of an index. The order is what makes PostgreSQL use it, whatever it thinks of the values."""
    return select(id_.label("id")).order_by(*columns)


_EXPIRES_WITHIN = and_(_i.expires_at >= _EXPIRES_FROM, _i.expires_at < _EXPIRES_TO)


def _by_state(dialect_name: str) -> Sequence[Select[Any]]:
    pending_from, pending_to = bindparam("pending_from", type_=Instant), bindparam("pending_to", type_=Instant)
    pending = _in_order(_i.id, _i.expires_at).where(_i.state == literal_column("0"), _EXPIRES_WITHIN)
    return [
        pending.where(_i.expires_at > pending_from, _i.expires_at <= pending_to),
        SCANS["state"].candidates(dialect_name, "ended_states"),
    ]


def _by_delivery(dialect_name: str) -> Sequence[Select[Any]]:
    is_in_state = any_of(_o.state, "deliveries", Text)
    is_invitation = _o.kind == literal_column("'invitation'")
    trouble = IndexScan([_o.id], prefix=[(_o.state, EACH)], where=[as_indexed(IN_TROUBLE)])
    queued = _in_order(_o.subject_id, _o.priority, _o.due_at).where(
        _o.due_at.is_not(None), _o.state == literal_column("'QUEUED'"), is_in_state
    )
    suppressed = _in_order(_o.subject_id, _o.id).where(as_indexed(SUPPRESSED), is_in_state)
    return [
        trouble.candidates(dialect_name, "deliveries", id_column=_o.subject_id),
        queued.where(is_invitation),
        suppressed.where(is_invitation),
    ]


def _by_content_type(_dialect_name: str) -> Sequence[Select[Any]]:
    by_type = _in_order(_g.invitation_id, _g.target_type, _g.target_key, _g.invitation_id)
    return [by_type.where(_IS_CONTENT, _g.target_type == _CONTENT_TYPE)]


def _by_column(column: ColumnElement[Any], name: str) -> Sequence[Select[Any]]:
    return [_in_order(_i.id, column, _i.id).where(column == bindparam(name, type_=column.type))]


def _q_candidates(_dialect_name: str) -> Sequence[Select[Any]]:
    return [
        prefix_scan(_i.email_key, "q", _i.id),
        _in_order(_i.id, _i.search_name).where(starts_with(_i.search_name, "q")),
        _in_order(_i.id, _i.search_last_name).where(starts_with(_i.search_last_name, "q")),
    ]


FILTERS = {
    "email_key": Filter(
        lambda i: i.email_key == bindparam("email_key", type_=CanonicalText),
        lambda _: _by_column(_i.email_key, "email_key"),
    ),
    "object": Filter(lambda i: _has_content(i, with_key=True), lambda name: [SCANS["object"].candidates(name)]),
    "delivery": Filter(_is_delivery, _by_delivery, is_exact=False),
    "q": Filter(_matches_q, _q_candidates, overlaps=True),
    "group": Filter(_has_group, lambda name: [SCANS["group"].candidates(name, "groups")]),
    "inviter": Filter(
        lambda i: any_of(i.inviter_id, "inviters", Id), lambda name: [SCANS["inviter"].candidates(name, "inviters")]
    ),
    "only_inviter": Filter(
        lambda i: i.inviter_id == bindparam("only_inviter", type_=Id),
        lambda _: _by_column(_i.inviter_id, "only_inviter"),
    ),
    "content_type": Filter(lambda i: _has_content(i, with_key=False), _by_content_type),
    "range": Filter(
        lambda i: and_(i.id >= _ID_FROM, i.id < _ID_TO),
        lambda _: [_in_order(_i.id, _i.id).where(_i.id >= _ID_FROM, _i.id < _ID_TO)],
        is_permanent=True,
    ),
    "role": Filter(lambda i: any_of(i.role, "roles", Text), lambda name: [SCANS["role"].candidates(name, "roles")]),
    "expiry": Filter(
        lambda i: and_(i.expires_at >= _EXPIRES_FROM, i.expires_at < _EXPIRES_TO),
        lambda _: [_in_order(_i.id, _i.expires_at, _i.id).where(_EXPIRES_WITHIN)],
        is_permanent=True,
    ),
    "state": Filter(_is_in_state, _by_state, is_permanent=True),
    "sent": Filter(_is_delivery),
}
