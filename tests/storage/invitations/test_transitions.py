"""The conditions in SQL and the rules in `domain/invitation.py` allow the same changes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from latchstring.domain import invitation as rules
from latchstring.domain.actor import OPERATOR
from latchstring.domain.errors import LatchstringError
from latchstring.domain.grant import Bundle
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link, State
from latchstring.storage.engine.database import Database, Steps, Work
from latchstring.storage.invitations.create import INSERT_INVITATION, invitation_values
from latchstring.storage.invitations.read import find_invitation
from latchstring.storage.invitations.transitions import TransitionLost, end_invitation, replace_link, sweep_expired

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
GENERATION = 2
GENERATIONS = (1, 2, 3)
ACCOUNT = UUID(int=5)
ENDINGS: dict[State, Callable[[Invitation, int], Invitation]] = {
    State.ACCEPTED: lambda before, generation: rules.accept(before, generation=generation, by=ACCOUNT, now=NOW),
    State.DECLINED: lambda before, generation: rules.decline(before, generation=generation, now=NOW),
    State.REVOKED: lambda before, _: rules.revoke(before, now=NOW),
    State.EXPIRED: lambda before, _: rules.expire(before, now=NOW),
}


class RolledBack(Exception):
    """Rolls back a transaction that succeeded."""


def build_invitations() -> Iterator[Invitation]:
    """Build invitations in each stored state that expire a millisecond before, at and after NOW."""
    for number, (state, offset) in enumerate(product(State, (-1, 0, 1))):
        expires_at = NOW + timedelta(milliseconds=offset)
        if state is State.EXPIRED and expires_at > NOW:
            continue  # never stored
        email, starts_at = f"p{number}@people.test", expires_at - WEEK
        link = Link(GENERATION, starts_at, expires_at, OPERATOR, "k1")
        ended_at = None if state is State.PENDING else min(expires_at, NOW)
        yield Invitation(new_id(starts_at), email, email, Bundle("team"), OPERATOR, WEEK, link, state, ended_at)


@pytest.fixture
async def invitations(database: Database) -> list[Invitation]:
    """All invitations of `build_invitations`, stored."""
    stored = list(build_invitations())

    def work() -> Work[None]:
        yield Steps(INSERT_INVITATION, [invitation_values(invitation) for invitation in stored])

    await database.transact(work)
    return stored


async def is_stored(database: Database, change: Callable[[], Work[None]]) -> bool:
    """Whether the condition in SQL allows a change. The change is rolled back."""

    def work() -> Work[None]:
        yield from change()
        raise RolledBack

    try:
        await database.transact(work)
    except RolledBack:
        return True
    except TransitionLost:
        return False
    raise AssertionError("neither stored nor lost")


def decide(before: Invitation, ending: State, generation: int) -> Invitation | None:
    try:
        return ENDINGS[ending](before, generation)
    except LatchstringError:
        return None


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_end_is_stored_exactly_when_the_rules_allow_it(
    database: Database, invitations: list[Invitation], ending: State
) -> None:
    for before, generation in product(invitations, GENERATIONS):
        decided = decide(before, ending, generation)
        # changes that the rules refuse are tried as well, to test the condition alone
        forced = replace(before, state=ending, ended_at=NOW, link=replace(before.link, generation=generation))
        is_change = decided is not None and decided.state is not before.state
        assert await is_stored(database, lambda: end_invitation(forced)) == is_change, (before, generation)  # noqa: B023


async def test_the_next_link_is_stored_exactly_when_the_rules_allow_it(
    database: Database, invitations: list[Invitation]
) -> None:
    for before in invitations:
        pending = replace(before, state=State.PENDING)
        after = rules.resend(pending, sponsor=OPERATOR, master_key_id="k2", now=NOW)
        try:
            rules.resend(before, sponsor=OPERATOR, master_key_id="k2", now=NOW)
            is_allowed = True
        except LatchstringError:
            is_allowed = False

        def change() -> Work[None]:
            yield from replace_link(before, after, renewals=0, renewed_at=None)  # noqa: B023

        assert await is_stored(database, change) == is_allowed, before


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_result_of_the_rules_is_stored(
    database: Database, invitations: list[Invitation], ending: State
) -> None:
    for before in invitations:
        decided = decide(before, ending, GENERATION)
        if decided is None or decided.state is before.state:
            continue
        await database.transact(lambda: end_invitation(decided))  # noqa: B023
        stored = await find_invitation(database, before.id)
        assert stored is not None
        assert stored.invitation == decided


async def test_the_sweep_stores_the_result_of_the_rules(database: Database, invitations: list[Invitation]) -> None:
    await sweep_expired(database, now=NOW)
    for before in invitations:
        stored = await find_invitation(database, before.id)
        assert stored is not None
        decided = decide(before, State.EXPIRED, GENERATION)
        assert stored.invitation == (decided if before.state is State.PENDING and decided else before)
