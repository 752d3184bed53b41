"""Filters of invitation lists."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, SmallInteger, Text, and_, bindparam, literal_column, or_, select

from latchstring.domain.ids import MAX_ID, NIL_ID, first_id_at
from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.storage.engine.tables import IN_TROUBLE, PENDING, SUPPRESSED, invitation_grants, invitations, outbox
from latchstring.storage.engine.types import CanonicalText, Id, Instant, any_of
from latchstring.storage.lists.declaration import Columns, Filter
from latchstring.storage.lists.index_scan import (
    COUNTED_UP_TO,
    EACH,
    HIGHEST_INSTANT,
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
_NUMBER_ONE: ColumnElement[int] = literal_column("1", Integer)
_NOW = bindparam("now", type_=Instant)
_ID_FROM, _ID_TO = bindparam("id_from", type_=Id), bindparam("id_to", type_=Id)
_EXPIRES_FROM, _EXPIRES_TO = bindparam("expires_from", type_=Instant), bindparam("expires_to", type_=Instant)
_CONTENT_TYPE, _CONTENT_KEY = bindparam("content_type", type_=Text), bindparam("content_key", type_=Text)
_IS_CONTENT = _g.kind == literal_column("2")


# ---- bind values -----------------------------------------------------------------------------------------------------


def list_used_filters(filter_: InvitationFilter) -> list[str]:
    """Return the names of the filters in use, usually most selective first.

    Sent mails have no index, because nearly all mails are sent: the id range is scanned instead.
    """
    is_sent = "SENT" in filter_.deliveries
    in_use = {
        "email_key": filter_.email_key is not None,
        "object": bool(filter_.content_type and filter_.content_key),
        "delivery": bool(filter_.deliveries and not is_sent),
        "q": bool(filter_.q),
        "group": bool(filter_.group_ids),
        "inviter": bool(filter_.inviter_ids),
        "only_inviter": filter_.only_inviter_id is not None,
        "content_type": bool(filter_.content_type and not filter_.content_key),
        "range": bool(filter_.created_after or filter_.created_before or is_sent),
        "role": bool(filter_.roles),
        "expiry": bool(filter_.expires_after or filter_.expires_before),
        "state": bool(len(set(filter_.states)) % len(State)),  # all states together match everything
        "sent": is_sent,
    }
    return [name for name, is_used in in_use.items() if is_used]


def build_bind_values(filter_: InvitationFilter, filters: Collection[str], *, now: datetime) -> dict[str, Any]:
    """Return all bind values of conditions, candidate queries and scans, also of unused filters."""
    return {
        "now": now,
        **{f"any_{name}": name not in filters for name in FILTERS},
        **build_state_values(filter_.states, now=now),
        "roles": list(filter_.roles),
        "groups": list(filter_.group_ids),
        "inviters": list(filter_.inviter_ids),
        "deliveries": list(filter_.deliveries),
        "only_inviter": filter_.only_inviter_id,
        "email_key": filter_.email_key,
        "content_type": filter_.content_type,
        "content_key": filter_.content_key,
        **prefix_values("q", fold_name(filter_.q) if filter_.q else None),
        **_build_ranges(filter_, now=now),
    }


def build_state_values(states: Collection[State], *, now: datetime) -> dict[str, Any]:
    """Return the bind values of the states.

    PENDING: stored as PENDING and not overdue. EXPIRED: stored as EXPIRED, or stored as PENDING and overdue.
    """
    selected = frozenset(states or State)
    stored = selected | ({State.PENDING} if State.EXPIRED in selected else frozenset())
    return {
        "states": sorted(int(state) for state in stored),
        "ended_states": sorted(int(state) for state in selected - {State.PENDING}),
        "pending_from": LOWEST_INSTANT if State.EXPIRED in selected else now,
        "pending_to": HIGHEST_INSTANT if State.PENDING in selected else now,
    }


def _build_ranges(filter_: InvitationFilter, *, now: datetime) -> dict[str, Any]:
    """Return the bind values of the ranges, narrowed by what the other filters imply.

    An invitation that expires before an instant was created before it; pending ones expire after now, expired ones do
    not.
    """
    expires_from = filter_.expires_after or LOWEST_INSTANT
    expires_to = filter_.expires_before or HIGHEST_INSTANT
    if set(filter_.states) == {State.PENDING}:
        expires_from = max(expires_from, now)
    elif set(filter_.states) == {State.EXPIRED}:
        expires_to = min(expires_to, now + timedelta(milliseconds=1))
    created_before = min(filter_.created_before or HIGHEST_INSTANT, expires_to)
    return {
        "id_from": first_id_at(filter_.created_after) if filter_.created_after else NIL_ID,
        "id_to": MAX_ID if created_before == HIGHEST_INSTANT else first_id_at(created_before),
        "expires_from": expires_from,
        "expires_to": expires_to,
    }


# ---- index scans -----------------------------------------------------------------------------------------------------


def _overdue_scan() -> IndexScan:
    """Scan the expired invitations that are still stored as PENDING. They are few: the sweep runs every minute."""
    overdue = select(_i.id).where(as_indexed(PENDING), _i.expires_at <= _NOW).order_by(_i.expires_at)
    return IndexScan([overdue.limit(literal_number(COUNTED_UP_TO)).subquery("overdue").c.id])


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
    "overdue": _overdue_scan(),
}


# ---- conditions ------------------------------------------------------------------------------------------------------


def _is_in_state(i: Columns) -> ColumnElement[bool]:
    in_time = and_(
        i.expires_at > bindparam("pending_from", type_=Instant), i.expires_at <= bindparam("pending_to", type_=Instant)
    )
    return and_(any_of(i.state, "states", SmallInteger), or_(i.state != literal_column("0"), in_time))


def _has_row(rows: Select[Any], table: Any) -> ColumnElement[bool]:
    """Whether there is a row. Not EXISTS: PostgreSQL might plan to read all such rows beforehand."""
    return rows.limit(_NUMBER_ONE).correlate_except(table).scalar_subquery() == _NUMBER_ONE


def _has_group(i: Columns) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    return _has_row(select(_NUMBER_ONE).where(g.c.invitation_id == i.id, any_of(g.c.target_id, "groups")), g)


def _has_content(i: Columns, *, with_key: bool) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    rows = select(_NUMBER_ONE).where(
        g.c.invitation_id == i.id, g.c.kind == literal_column("2"), g.c.target_type == _CONTENT_TYPE
    )
    return _has_row(rows.where(g.c.target_key == _CONTENT_KEY) if with_key else rows, g)


def _has_delivery(i: Columns) -> ColumnElement[bool]:
    mail = outbox.alias()
    rows = select(_NUMBER_ONE).where(
        mail.c.id == newest_invitation_mail(i.id), any_of(mail.c.state, "deliveries", Text)
    )
    return _has_row(rows, mail)


def _matches_q(i: Columns) -> ColumnElement[bool]:
    return or_(*(starts_with(column, "q") for column in (i.email_key, i.search_name, i.search_last_name)))


# ---- candidates ------------------------------------------------------------------------------------------------------


def _select_ordered_ids(id_: ColumnElement[UUID], *columns: ColumnElement[Any]) -> Select[Any]:
    """Select ids in the order of an index. The order makes PostgreSQL use the index, whatever its statistics say."""
    return select(id_.label("id")).order_by(*columns)


_EXPIRES_WITHIN = and_(_i.expires_at >= _EXPIRES_FROM, _i.expires_at < _EXPIRES_TO)


def _state_candidates(dialect_name: str) -> Sequence[Select[Any]]:
    pending_from, pending_to = bindparam("pending_from", type_=Instant), bindparam("pending_to", type_=Instant)
    pending = _select_ordered_ids(_i.id, _i.expires_at).where(_i.state == literal_column("0"), _EXPIRES_WITHIN)
    return [
        pending.where(_i.expires_at > pending_from, _i.expires_at <= pending_to),
        SCANS["state"].candidates(dialect_name, "ended_states"),
    ]


def _delivery_candidates(dialect_name: str) -> Sequence[Select[Any]]:
    is_in_state = any_of(_o.state, "deliveries", Text)
    is_invitation = _o.kind == literal_column("'invitation'")
    undelivered = IndexScan([_o.id], prefix=[(_o.state, EACH)], where=[as_indexed(IN_TROUBLE)])
    queued = _select_ordered_ids(_o.subject_id, _o.priority, _o.due_at).where(
        _o.due_at.is_not(None), _o.state == literal_column("'QUEUED'"), is_in_state
    )
    suppressed = _select_ordered_ids(_o.subject_id, _o.id).where(as_indexed(SUPPRESSED), is_in_state)
    return [
        undelivered.candidates(dialect_name, "deliveries", id_column=_o.subject_id),
        queued.where(is_invitation),
        suppressed.where(is_invitation),
    ]


def _content_type_candidates(_dialect_name: str) -> Sequence[Select[Any]]:
    by_type = _select_ordered_ids(_g.invitation_id, _g.target_type, _g.target_key, _g.invitation_id)
    return [by_type.where(_IS_CONTENT, _g.target_type == _CONTENT_TYPE)]


def _column_candidates(column: ColumnElement[Any], name: str) -> Sequence[Select[Any]]:
    return [_select_ordered_ids(_i.id, column, _i.id).where(column == bindparam(name, type_=column.type))]


def _q_candidates(_dialect_name: str) -> Sequence[Select[Any]]:
    return [
        prefix_scan(_i.email_key, "q", _i.id),
        _select_ordered_ids(_i.id, _i.search_name).where(starts_with(_i.search_name, "q")),
        _select_ordered_ids(_i.id, _i.search_last_name).where(starts_with(_i.search_last_name, "q")),
    ]


FILTERS = {
    "email_key": Filter(
        lambda i: i.email_key == bindparam("email_key", type_=CanonicalText),
        lambda _: _column_candidates(_i.email_key, "email_key"),
    ),
    "object": Filter(lambda i: _has_content(i, with_key=True), lambda name: [SCANS["object"].candidates(name)]),
    "delivery": Filter(_has_delivery, _delivery_candidates, is_exact=False),
    "q": Filter(_matches_q, _q_candidates, overlaps=True),
    "group": Filter(_has_group, lambda name: [SCANS["group"].candidates(name, "groups")]),
    "inviter": Filter(
        lambda i: any_of(i.inviter_id, "inviters", Id), lambda name: [SCANS["inviter"].candidates(name, "inviters")]
    ),
    "only_inviter": Filter(
        lambda i: i.inviter_id == bindparam("only_inviter", type_=Id),
        lambda _: _column_candidates(_i.inviter_id, "only_inviter"),
    ),
    "content_type": Filter(lambda i: _has_content(i, with_key=False), _content_type_candidates),
    "range": Filter(
        lambda i: and_(i.id >= _ID_FROM, i.id < _ID_TO),
        lambda _: [_select_ordered_ids(_i.id, _i.id).where(_i.id >= _ID_FROM, _i.id < _ID_TO)],
        is_permanent=True,
    ),
    "role": Filter(lambda i: any_of(i.role, "roles", Text), lambda name: [SCANS["role"].candidates(name, "roles")]),
    "expiry": Filter(
        lambda i: and_(i.expires_at >= _EXPIRES_FROM, i.expires_at < _EXPIRES_TO),
        lambda _: [_select_ordered_ids(_i.id, _i.expires_at, _i.id).where(_EXPIRES_WITHIN)],
        is_permanent=True,
    ),
    "state": Filter(_is_in_state, _state_candidates, is_permanent=True),
    "sent": Filter(_has_delivery),
}
