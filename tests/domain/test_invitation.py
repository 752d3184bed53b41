"""The state table of invitations: the result of every action in every state."""

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

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
USER_ID = UUID(int=1)
SPONSOR = Actor(ActorType.USER, UUID(int=2))
ENDED = (State.ACCEPTED, State.DECLINED, State.REVOKED)


def make_invitation(state: State = State.PENDING, *, generation: int = 1) -> Invitation:
    """Create an invitation that is in this state at NOW. EXPIRED ones are overdue and not yet swept."""
    start = NOW - 2 * WEEK if state is State.EXPIRED else NOW
    link = Link(generation, start, start + WEEK, OPERATOR, "k1")
    stored = State.PENDING if state is State.EXPIRED else state
    ended_at = NOW if state in ENDED else None
    id_ = new_id(start)
    return Invitation(id_, "a@b.test", "a@b.test", Bundle("team"), OPERATOR, WEEK, link, stored, ended_at)


class Action(StrEnum):
    """The columns of the state table."""

    ACCEPT = "accept"
    DECLINE = "decline"
    REVOKE = "revoke"
    RESEND = "resend"
    RENEW = "renew"
    REVEAL = "reveal"
    EXPIRE = "expire"


def apply_action(action: Action, invitation: Invitation) -> Invitation | None:
    """Apply one action at NOW, with the newest link."""
    generation = invitation.link.generation
    results: dict[Action, Callable[[], Invitation | None]] = {
        Action.ACCEPT: lambda: rules.accept(invitation, generation=generation, by=USER_ID, now=NOW),
        Action.DECLINE: lambda: rules.decline(invitation, generation=generation, now=NOW),
        Action.REVOKE: lambda: rules.revoke(invitation, now=NOW),
        Action.RESEND: lambda: rules.resend(invitation, sponsor=SPONSOR, master_key_id="k2", now=NOW),
        Action.RENEW: lambda: rules.renew(invitation, generation=generation, master_key_id="k2", now=NOW),
        Action.REVEAL: lambda: rules.check_revealable(invitation, now=NOW) or invitation,
        Action.EXPIRE: lambda: rules.expire(invitation, now=NOW),
    }
    return results[action]()


Result = tuple[State, int] | type[LatchstringError] | None  # state and generation after the action, or the error
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


def test_the_table_has_every_state_and_action() -> None:
    assert set(TABLE) == {(state, action) for state in State for action in Action}


@pytest.mark.parametrize(("state", "action"), TABLE)
def test_each_action_in_each_state_gives_the_result_in_the_table(state: State, action: Action) -> None:
    expected, before = TABLE[state, action], make_invitation(state)
    if expected is None:
        assert apply_action(action, before) is None
    elif isinstance(expected, type):
        with pytest.raises(expected):
            apply_action(action, before)
    else:
        after = apply_action(action, before)
        assert after is not None
        assert (after.state_at(NOW), after.link.generation) == expected


@pytest.mark.parametrize("action", Action)
def test_a_swept_invitation_behaves_like_an_overdue_one(action: Action) -> None:
    overdue = make_invitation(State.EXPIRED)
    swept = rules.expire(overdue, now=NOW)
    expected = TABLE[State.EXPIRED, action]
    if isinstance(expected, type):
        with pytest.raises(expected):
            apply_action(action, swept)
    else:
        after = apply_action(action, swept)
        assert after is not None
        assert (after.state_at(NOW), after.link.generation) == expected


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
        rules.check_link(make_invitation(state, generation=2), generation=1, now=NOW)


def test_a_link_works_until_the_millisecond_before_its_end() -> None:
    invitation = make_invitation()
    end = invitation.link.expires_at
    rules.check_link(invitation, generation=1, now=end - timedelta(milliseconds=1))
    with pytest.raises(InvitationExpired):
        rules.check_link(invitation, generation=1, now=end)


def test_the_next_link_has_the_same_lifetime_and_its_own_sponsor() -> None:
    later = NOW + timedelta(days=3)
    after = rules.resend(make_invitation(), sponsor=SPONSOR, master_key_id="k2", now=later)
    assert after.link == Link(2, later, later + WEEK, SPONSOR, "k2")
    assert after.inviter == OPERATOR


def test_renewing_a_superseded_link_creates_the_next_one() -> None:
    renewed = rules.renew(make_invitation(generation=3), generation=1, master_key_id="k1", now=NOW)
    assert renewed is not None
    assert renewed.link.generation == 4


def test_terms_never_change() -> None:
    before = make_invitation()
    for action in (Action.ACCEPT, Action.DECLINE, Action.REVOKE, Action.RESEND, Action.RENEW):
        after = apply_action(action, before)
        assert after is not None
        unchanged = {"state": before.state, "ended_at": None, "accepted_by": None, "link": before.link}
        assert replace(after, **unchanged) == before  # type: ignore[arg-type]


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
def test_two_bundles_have_the_same_digest_exactly_when_they_grant_the_same(first: Bundle, second: Bundle) -> None:
    def granted(bundle: Bundle) -> tuple[str | None, frozenset[tuple[UUID, ContentRole | None]]]:
        return bundle.role, frozenset((grant.target_id, grant.role) for grant in bundle.grants)

    same = terms_digest("a@b.test", first) == terms_digest("a@b.test", second)
    assert same == (granted(first) == granted(second))


@given(bundles)
def test_another_address_gives_another_digest(bundle: Bundle) -> None:
    assert terms_digest("a@b.test", bundle) != terms_digest("b@b.test", bundle)


@given(st.lists(st.integers(min_value=0, max_value=3), min_size=2, max_size=50))
def test_ids_of_one_process_are_sorted_by_creation(gaps: list[int]) -> None:
    now, ids = NOW, []
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        ids.append(new_id(now))
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(id_.version == 7 and id_.variant == "specified in RFC 4122" for id_ in ids)
