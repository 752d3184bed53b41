"""What invitations are filtered by.

Every filter has two forms. As a *condition* it judges a row that is read already; all conditions are one expression,
in which those not asked for are switched off by a value, so there is one statement instead of one for every
combination. As a *finder* it knows the index that leads to its rows: it finds their ids, bounded, and counts them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from latchstring.domain.ids import first_id_at
from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.storage.engine.tables import IN_TROUBLE, invitation_grants, invitations, outbox
from latchstring.storage.engine.types import CanonicalText, Id, Instant, ListOf, any_of
from latchstring.storage.lists.prefix_search import fold_name, prefix_end
from latchstring.storage.outbox.outbox import newest_invitation_mail

COUNTED_UP_TO = 10_000
FIRST_ID = UUID(int=0)
LAST_ID = UUID(int=2**128 - 1)
FIRST_INSTANT = datetime.fromtimestamp(0, UTC)
LAST_INSTANT = datetime(9999, 1, 1, tzinfo=UTC)

_i = invitations.c
_g = invitation_grants.c
_o = outbox.c
_MOST: ColumnElement[int] = literal_column(str(COUNTED_UP_TO + 1), Integer)
_ONE: ColumnElement[int] = literal_column("1", Integer)
_NOW = bindparam("now", type_=Instant)


# ---- the values ------------------------------------------------------------------------------------------------------


def bound_values(wanted: InvitationFilter, *, at: datetime) -> dict[str, Any]:
    """Everything that conditions and finders take, whether asked for or not."""
    q = fold_name(wanted.q or "")
    return {
        "now": at,
        **_state_values(wanted.states, at=at),
        **_listed("role", wanted.roles),
        **_listed("group", wanted.group_ids),
        **_listed("inviter", wanted.inviter_ids),
        **_listed("delivery", wanted.deliveries),
        **_single("only_inviter", wanted.only_inviter_id),
        **_single("email_key", wanted.email_key),
        **_single("content_type", wanted.content_type),
        **_single("content_key", wanted.content_key),
        **_single("q", q or None),
        "q_end": prefix_end(q),
        **_ranges(wanted, at=at),
    }


def _listed(name: str, values: Collection[Any]) -> dict[str, Any]:
    return {f"{name}s": list(values), f"any_{name}": not values}


def _single(name: str, value: Any) -> dict[str, Any]:
    return {name: value, f"any_{name}": value is None}


def _state_values(states: Collection[State], *, at: datetime) -> dict[str, Any]:
    """PENDING is stored and in time; EXPIRED is stored, or stored as PENDING and out of time."""
    wanted = frozenset(states or State)
    stored = wanted | ({State.PENDING} if State.EXPIRED in wanted else frozenset())
    return {
        "states": sorted(int(state) for state in stored),
        "ended_states": sorted(int(state) for state in wanted - {State.PENDING}),
        "wants_pending": State.PENDING in wanted,
        "wants_expired": State.EXPIRED in wanted,
        "pending_from": FIRST_INSTANT if State.EXPIRED in wanted else at,
        "pending_to": LAST_INSTANT if State.PENDING in wanted else at,
    }


def _ranges(wanted: InvitationFilter, *, at: datetime) -> dict[str, Any]:
    """The ranges, each as narrow as the other filters imply: what ends before an instant was made before it, what is
    pending ends later than now, what ran out does not.
    """
    expires_from = wanted.expires_after or FIRST_INSTANT
    expires_to = wanted.expires_before or LAST_INSTANT
    if set(wanted.states) == {State.PENDING}:
        expires_from = max(expires_from, at)
    elif set(wanted.states) == {State.EXPIRED}:
        expires_to = min(expires_to, at + timedelta(milliseconds=1))
    made_before = min(wanted.created_before or LAST_INSTANT, expires_to)
    return {
        "id_from": first_id_at(wanted.created_after) if wanted.created_after else FIRST_ID,
        "id_to": LAST_ID if made_before == LAST_INSTANT else first_id_at(made_before),
        "expires_from": expires_from,
        "expires_to": expires_to,
    }


# ---- conditions ------------------------------------------------------------------------------------------------------


def in_ranges(i: Any) -> ColumnElement[bool]:
    """Made, and running out, when asked for. Indexes by id and by expiry answer it."""
    return and_(
        i.id >= bindparam("id_from", type_=Id),
        i.id < bindparam("id_to", type_=Id),
        i.expires_at >= bindparam("expires_from", type_=Instant),
        i.expires_at < bindparam("expires_to", type_=Instant),
    )


def _unless(name: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(bindparam(f"any_{name}", type_=Boolean), condition)


def begins(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Prefix search as a range, which an index in byte order serves."""
    return and_(column >= bindparam("q", type_=CanonicalText), column < bindparam("q_end", type_=CanonicalText))


def _is_in_state(i: Any) -> ColumnElement[bool]:
    in_time = and_(
        i.expires_at > bindparam("pending_from", type_=Instant), i.expires_at <= bindparam("pending_to", type_=Instant)
    )
    return and_(any_of(i.state, "states", SmallInteger), or_(i.state != literal_column("0"), in_time))


def _found(rows: Select[Any], i: Any) -> ColumnElement[bool]:
    """Whether there is a row. Not EXISTS: PostgreSQL would think of reading all such rows beforehand."""
    return rows.limit(_ONE).correlate(i.id.table).scalar_subquery() == _ONE


def _has_group(i: Any) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    return _found(select(_ONE).where(g.c.invitation_id == i.id, any_of(g.c.target_id, "groups")), i)


def _has_content(i: Any) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    rows = select(_ONE).where(
        g.c.invitation_id == i.id,
        g.c.kind == literal_column("2"),
        g.c.target_type == bindparam("content_type", type_=Text),
        _unless("content_key", g.c.target_key == bindparam("content_key", type_=Text)),
    )
    return _found(rows, i)


def _delivery_is(i: Any) -> ColumnElement[bool]:
    mail = outbox.alias()
    rows = select(_ONE).where(mail.c.id == newest_invitation_mail(i.id), any_of(mail.c.state, "deliverys", Text))
    return _found(rows, i)


def matches(i: Any) -> ColumnElement[bool]:
    """Every filter, judged on the columns of an invitation; the dearest last."""
    named = or_(*(begins(column) for column in (i.email_key, i.search_name, i.search_last_name)))
    return and_(
        in_ranges(i),
        _is_in_state(i),
        _unless("role", any_of(i.role, "roles", Text)),
        _unless("inviter", any_of(i.inviter_id, "inviters", Id)),
        _unless("only_inviter", i.inviter_id == bindparam("only_inviter", type_=Id)),
        _unless("email_key", i.email_key == bindparam("email_key", type_=CanonicalText)),
        _unless("q", named),
        _unless("group", _has_group(i)),
        _unless("content_type", _has_content(i)),
        _unless("delivery", _delivery_is(i)),
    )


# ---- finders ---------------------------------------------------------------------------------------------------------

# Those that usually lead to few rows come first.
FINDERS: Sequence[str] = (
    "email_key",
    "object",
    "delivery",
    "q",
    "group",
    "inviter",
    "only_inviter",
    "content_type",
    "range",
    "role",
    "expiry",
    "state",
)


def finders_of(wanted: InvitationFilter) -> Sequence[str]:
    """The finders of the filters that are asked for, the most promising first. Empty: nothing is asked for.

    No index leads to mails that were sent, which is nearly all: there the range of ids stands in.
    """
    is_sent = "SENT" in wanted.deliveries
    asked = {
        "email_key": wanted.email_key,
        "object": wanted.content_type and wanted.content_key,
        "delivery": wanted.deliveries and not is_sent,
        "q": wanted.q,
        "group": wanted.group_ids,
        "inviter": wanted.inviter_ids,
        "only_inviter": wanted.only_inviter_id,
        "content_type": wanted.content_type and not wanted.content_key,
        "range": wanted.created_after or wanted.created_before or is_sent,
        "role": wanted.roles,
        "expiry": wanted.expires_after or wanted.expires_before,
        "state": len(set(wanted.states)) % len(State),  # all states are any
    }
    return [name for name in FINDERS if asked[name]]


Strand = Select[Any]  # ids from one index, bounded


def _strand(id_: ColumnElement[UUID], *along: ColumnElement[Any]) -> Strand:
    """Ids in the order of an index. The order is what makes PostgreSQL use it, whatever it thinks of the values."""
    return select(id_.label("id")).order_by(*(along or (id_,))).limit(_MOST)


def _each(name: str, column: ColumnElement[Any], strand: Strand, type_: Any, dialect_name: str) -> Strand:
    """The strands of several values of a column."""
    if dialect_name != "postgresql":
        return strand.where(any_of(column, name, type_))
    values: Any = func.unnest(bindparam(name, type_=ListOf(type_))).table_valued("value").render_derived(name="chosen")
    own = strand.where(column == values.c.value).lateral("strand")
    return select(own.c.id).select_from(values.join(own, true()))


_RUNS_OUT = and_(
    _i.expires_at >= bindparam("expires_from", type_=Instant), _i.expires_at < bindparam("expires_to", type_=Instant)
)


def _by_state(dialect_name: str) -> list[Strand]:
    pending = _strand(_i.id, _i.expires_at).where(_i.state == literal_column("0"), _RUNS_OUT)
    wants_pending, wants_expired = bindparam("wants_pending", type_=Boolean), bindparam("wants_expired", type_=Boolean)
    ended = _each("ended_states", _i.state, _strand(_i.id), SmallInteger, dialect_name)
    return [
        pending.where(wants_pending, _i.expires_at > _NOW),
        pending.where(wants_expired, _i.expires_at <= _NOW),
        ended,
    ]


def _by_delivery(dialect_name: str) -> list[Strand]:
    wanted = any_of(_o.state, "deliverys", Text)
    is_invitation = _o.kind == literal_column("'invitation'")
    trouble = _each("deliverys", _o.state, _strand(_o.subject_id, _o.id).where(IN_TROUBLE), Text, dialect_name)
    queued = _strand(_o.subject_id, _o.priority, _o.due_at).where(
        _o.due_at.is_not(None), _o.state == literal_column("'QUEUED'"), wanted
    )
    suppressed = _strand(_o.subject_id, _o.id).where(_o.state == literal_column("'SUPPRESSED'"), wanted)
    return [trouble, queued.where(is_invitation), suppressed.where(is_invitation)]


def _by_content(*, with_key: bool) -> Strand:
    along = (_g.target_type, _g.target_key, _g.invitation_id)
    strand = _strand(_g.invitation_id, *along).where(
        _g.kind == literal_column("2"), _g.target_type == bindparam("content_type", type_=Text)
    )
    return strand.where(_g.target_key == bindparam("content_key", type_=Text)) if with_key else strand


def _one_column(column: ColumnElement[Any], name: str, type_: Any) -> Strand:
    return _strand(_i.id, column, _i.id).where(column == bindparam(name, type_=type_))


_ID_FROM, _ID_TO = bindparam("id_from", type_=Id), bindparam("id_to", type_=Id)
_STRANDS: Mapping[str, Callable[[str], Sequence[Strand]]] = {
    "email_key": lambda _: [_one_column(_i.email_key, "email_key", CanonicalText)],
    "only_inviter": lambda _: [_one_column(_i.inviter_id, "only_inviter", Id)],
    "object": lambda _: [_by_content(with_key=True)],
    "content_type": lambda _: [_by_content(with_key=False)],
    "delivery": _by_delivery,
    "q": lambda _: [_strand(_i.id, c).where(begins(c)) for c in (_i.email_key, _i.search_name, _i.search_last_name)],
    "group": lambda name: [_each("groups", _g.target_id, _strand(_g.invitation_id), Id, name)],
    "inviter": lambda name: [_each("inviters", _i.inviter_id, _strand(_i.id), Id, name)],
    "role": lambda name: [_each("roles", _i.role, _strand(_i.id), Text, name)],
    "range": lambda _: [_strand(_i.id).where(_i.id >= _ID_FROM, _i.id < _ID_TO)],
    "expiry": lambda _: [_strand(_i.id, _i.expires_at, _i.id).where(_RUNS_OUT)],
    "state": _by_state,
}


@cache
def found_by(name: str, dialect_name: str) -> FromClause:
    """The ids a finder leads to, each once, in no order. Bounded; complete only where the count says so."""
    parts = [select(strand.subquery().c.id) for strand in _STRANDS[name](dialect_name)]
    found = union_all(*parts).subquery("strands")
    return select(found.c.id).distinct().subquery("found")


@cache
def count_found_by(name: str, dialect_name: str) -> Select[Any]:
    """How many rows each strand of a finder has, up to one more than is counted."""
    counts = [
        select(func.count()).select_from(strand.subquery()).scalar_subquery().label(f"n{number}")
        for number, strand in enumerate(_STRANDS[name](dialect_name))
    ]
    return select(*counts)


def counted(name: str, row: Sequence[int]) -> int:
    """The count of a finder from that of its strands. Those of a search overlap: a name is often in the address."""
    return max(row) if name == "q" else sum(row)
