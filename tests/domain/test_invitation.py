"""The whole life of an invitation: every state, every action, its result."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchstring.domain import invitation as rules
from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.errors import (
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationNotFound,
    InvitationNotPending,
    InvitationRevoked,
    InvitationSuperseded,
    LatchstringError,
)
from latchstring.domain.grant import Bundle, ContentRole, Grant, GrantKind, terms_digest
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link, State

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
ADA = UUID(int=1)
SPONSOR = Actor(ActorType.USER, UUID(int=2))
ENDED = (State.ACCEPTED, State.DECLINED, State.REVOKED)


def make_invitation(state: State = State.PENDING, *, generation: int = 1) -> Invitation:
    """An invitation as it stands at AT; EXPIRED is one the sweep has not seen."""
    start = AT - 2 * WEEK if state is State.EXPIRED else AT
    link = Link(generation, start, start + WEEK, OPERATOR, "k1")
    stored = State.PENDING if state is State.EXPIRED else state
    ended_at = AT if state in ENDED else None
    id_ = new_id(start)
    return Invitation(id_, "a@b.test", "a@b.test", Bundle("team"), OPERATOR, WEEK, link, stored, ended_at)


class Action(StrEnum):
    """The columns of the table."""

    ACCEPT = "accept"
    DECLINE = "decline"
    REVOKE = "revoke"
    RESEND = "resend"
    RENEW = "renew"
    REVEAL = "reveal"
    EXPIRE = "expire"


def act(action: Action, invitation: Invitation) -> Invitation | None:
    """One action at AT, by whoever may take it, through the newest link."""
    generation = invitation.link.generation
    results: dict[Action, Callable[[], Invitation | None]] = {
        Action.ACCEPT: lambda: rules.accept(invitation, generation=generation, by=ADA, now=AT),
        Action.DECLINE: lambda: rules.decline(invitation, generation=generation, now=AT),
        Action.REVOKE: lambda: rules.revoke(invitation, now=AT),
        Action.RESEND: lambda: rules.resend(invitation, sponsor=SPONSOR, master_key_id="k2", now=AT),
        Action.RENEW: lambda: rules.renew(invitation, generation=generation, master_key_id="k2", now=AT),
        Action.REVEAL: lambda: rules.check_revealable(invitation, now=AT) or invitation,
        Action.EXPIRE: lambda: rules.expire(invitation, now=AT),
    }
    return results[action]()


Result = tuple[State, int] | type[LatchstringError] | None  # state and generation afterwards, or the refusal
P, E, A, D, R = State.PENDING, State.EXPIRED, State.ACCEPTED, State.DECLINED, State.REVOKED
TABLE: dict[tuple[State, Action], Result] = {
    (P, Action.ACCEPT): (A, 1),
    (P, Action.DECLINE): (D, 1),
    (P, Action.REVOKE): (R, 1),
    (P, Action.RESEND): (P, 2),
    (P, Action.RENEW): (P, 1),
    (P, Action.REVEAL): (P, 1),
    (P, Action.EXPIRE): InvitationNotPending,
    (E, Action.ACCEPT): InvitationExpired,
    (E, Action.DECLINE): InvitationExpired,
    (E, Action.REVOKE): (R, 1),
    (E, Action.RESEND): (P, 2),
    (E, Action.RENEW): (P, 2),
    (E, Action.REVEAL): InvitationNotPending,
    (E, Action.EXPIRE): (E, 1),
    (A, Action.ACCEPT): InvitationAccepted,
    (A, Action.DECLINE): InvitationAccepted,
    (A, Action.REVOKE): InvitationNotPending,
    (A, Action.RESEND): InvitationNotPending,
    (A, Action.RENEW): None,
    (A, Action.REVEAL): InvitationNotPending,
    (A, Action.EXPIRE): InvitationNotPending,
    (D, Action.ACCEPT): InvitationDeclined,
    (D, Action.DECLINE): InvitationDeclined,
    (D, Action.REVOKE): InvitationNotPending,
    (D, Action.RESEND): InvitationNotPending,
    (D, Action.RENEW): None,
    (D, Action.REVEAL): InvitationNotPending,
    (D, Action.EXPIRE): InvitationNotPending,
    (R, Action.ACCEPT): InvitationRevoked,
    (R, Action.DECLINE): InvitationRevoked,
    (R, Action.REVOKE): InvitationNotFound,
    (R, Action.RESEND): InvitationNotPending,
    (R, Action.RENEW): None,
    (R, Action.REVEAL): InvitationNotPending,
    (R, Action.EXPIRE): InvitationNotPending,
}


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == {(state, action) for state in State for action in Action}


@pytest.mark.parametrize(("state", "action"), TABLE)
def test_every_state_and_action(state: State, action: Action) -> None:
    expected, before = TABLE[state, action], make_invitation(state)
    if expected is None:
        assert act(action, before) is None
    elif isinstance(expected, type):
        with pytest.raises(expected):
            act(action, before)
    else:
        after = act(action, before)
        assert after is not None
        assert (after.state_at(AT), after.link.generation) == expected


@pytest.mark.parametrize("action", Action)
def test_a_swept_invitation_behaves_like_one_whose_time_has_come(action: Action) -> None:
    due = make_invitation(State.EXPIRED)
    swept = rules.expire(due, now=AT)
    expected = TABLE[State.EXPIRED, action]
    if isinstance(expected, type):
        with pytest.raises(expected):
            act(action, swept)
    else:
        after = act(action, swept)
        assert after is not None
        assert (after.state_at(AT), after.link.generation) == expected


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (State.PENDING, InvitationSuperseded),
        (State.EXPIRED, InvitationSuperseded),
        (State.ACCEPTED, InvitationAccepted),
        (State.DECLINED, InvitationDeclined),
        (State.REVOKED, InvitationRevoked),
    ],
)
def test_an_older_link_is_superseded_unless_the_invitation_has_ended(
    state: State, refusal: type[LatchstringError]
) -> None:
    with pytest.raises(refusal):
        rules.check_link(make_invitation(state, generation=2), generation=1, now=AT)


def test_a_link_works_until_the_millisecond_before_its_end() -> None:
    invitation = make_invitation()
    end = invitation.link.expires_at
    rules.check_link(invitation, generation=1, now=end - timedelta(milliseconds=1))
    with pytest.raises(InvitationExpired):
        rules.check_link(invitation, generation=1, now=end)


def test_the_next_link_is_valid_as_long_as_the_first_was_and_names_its_sponsor() -> None:
    later = AT + timedelta(days=3)
    after = rules.resend(make_invitation(), sponsor=SPONSOR, master_key_id="k2", now=later)
    assert after.link == Link(2, later, later + WEEK, SPONSOR, "k2")
    assert after.inviter == OPERATOR


def test_a_superseded_link_asks_for_the_next_one() -> None:
    renewed = rules.renew(make_invitation(generation=3), generation=1, master_key_id="k1", now=AT)
    assert renewed is not None
    assert renewed.link.generation == 4


def test_terms_never_change() -> None:
    before = make_invitation()
    for action in (Action.ACCEPT, Action.DECLINE, Action.REVOKE, Action.RESEND, Action.RENEW):
        after = act(action, before)
        assert after is not None
        kept = {"state": before.state, "ended_at": None, "accepted_by": None, "link": before.link}
        assert replace(after, **kept) == before  # type: ignore[arg-type]


keys = st.integers(min_value=1, max_value=5)
grants = st.builds(
    lambda id_, role: Grant(GrantKind.CONTENT, UUID(int=id_), f"k{id_}", "articles", role),
    keys,
    st.sampled_from(ContentRole),
)
bundles = st.builds(
    Bundle, st.sampled_from([None, "team", "customer"]), st.lists(grants, unique_by=lambda g: g.target_id).map(tuple)
)


@given(bundles, bundles)
def test_two_bundles_have_one_digest_exactly_when_they_give_the_same(one: Bundle, other: Bundle) -> None:
    def essence(bundle: Bundle) -> tuple[str | None, frozenset[tuple[UUID, ContentRole | None]]]:
        return bundle.role, frozenset((grant.target_id, grant.role) for grant in bundle.grants)

    same = terms_digest("a@b.test", one) == terms_digest("a@b.test", other)
    assert same == (essence(one) == essence(other))


@given(bundles)
def test_another_address_has_another_digest(bundle: Bundle) -> None:
    assert terms_digest("a@b.test", bundle) != terms_digest("b@b.test", bundle)


@given(st.lists(st.integers(min_value=0, max_value=3), min_size=2, max_size=50))
def test_ids_of_one_process_are_in_the_order_of_their_making(gaps: list[int]) -> None:
    at, made = AT, []
    for gap in gaps:
        at += timedelta(milliseconds=gap)
        made.append(new_id(at))
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(id_.version == 7 and id_.variant == "specified in RFC 4122" for id_ in made)
