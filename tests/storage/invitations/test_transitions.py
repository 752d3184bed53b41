"""The guards in SQL against the rules in `domain/invitation.py`: both allow the same changes of the same rows."""

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
ASKED = (1, 2, 3)
ACCOUNT = UUID(int=5)
ENDINGS: dict[State, Callable[[Invitation, int], Invitation]] = {
    State.ACCEPTED: lambda before, asked: rules.accept(before, generation=asked, by=ACCOUNT, now=NOW),
    State.DECLINED: lambda before, asked: rules.decline(before, generation=asked, now=NOW),
    State.REVOKED: lambda before, _: rules.revoke(before, now=NOW),
    State.EXPIRED: lambda before, _: rules.expire(before, now=NOW),
}


class Undone(Exception):
    """Ends a transaction that went through, and leaves nothing behind."""


def every_invitation() -> Iterator[Invitation]:
    """One in each stored state, expiring a millisecond before, at and after NOW."""
    for number, (state, offset) in enumerate(product(State, (-1, 0, 1))):
        expires_at = NOW + timedelta(milliseconds=offset)
        if state is State.EXPIRED and expires_at > NOW:
            continue  # nothing stores this
        email, starts_at = f"p{number}@people.test", expires_at - WEEK
        link = Link(GENERATION, starts_at, expires_at, OPERATOR, "k1")
        ended_at = None if state is State.PENDING else min(expires_at, NOW)
        yield Invitation(new_id(starts_at), email, email, Bundle("team"), OPERATOR, WEEK, link, state, ended_at)


@pytest.fixture
async def invitations(database: Database) -> list[Invitation]:
    """Every invitation, stored."""
    stored = list(every_invitation())

    def work() -> Work[None]:
        yield Steps(INSERT_INVITATION, [invitation_values(invitation) for invitation in stored])

    await database.transact(work)
    return stored


async def is_stored(database: Database, change: Callable[[], Work[None]]) -> bool:
    """Whether the guard lets a change through. It is undone."""

    def work() -> Work[None]:
        yield from change()
        raise Undone

    try:
        await database.transact(work)
    except Undone:
        return True
    except TransitionLost:
        return False
    raise AssertionError("neither stored nor lost")


def decide(before: Invitation, ending: State, asked: int) -> Invitation | None:
    try:
        return ENDINGS[ending](before, asked)
    except LatchstringError:
        return None


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_end_is_stored_exactly_when_the_rules_allow_it(
    database: Database, invitations: list[Invitation], ending: State
) -> None:
    for before, asked in product(invitations, ASKED):
        decided = decide(before, ending, asked)
        # what the rules refuse is stored nevertheless, as if nobody had asked them
        forced = replace(before, state=ending, ended_at=NOW, link=replace(before.link, generation=asked))
        is_change = decided is not None and decided.state is not before.state
        assert await is_stored(database, lambda: end_invitation(forced)) == is_change, (before, asked)  # noqa: B023


async def test_the_next_link_is_stored_exactly_when_the_rules_allow_it(
    database: Database, invitations: list[Invitation]
) -> None:
    for before in invitations:
        again = replace(before, state=State.PENDING)
        after = rules.resend(again, sponsor=OPERATOR, master_key_id="k2", now=NOW)
        try:
            rules.resend(before, sponsor=OPERATOR, master_key_id="k2", now=NOW)
            allowed = True
        except LatchstringError:
            allowed = False

        def change() -> Work[None]:
            yield from replace_link(before, after, renewals=0, renewed_at=None)  # noqa: B023

        assert await is_stored(database, change) == allowed, before


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_the_rules_return_is_what_is_stored(
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


async def test_the_sweep_stores_what_the_rules_return_for_each(
    database: Database, invitations: list[Invitation]
) -> None:
    await sweep_expired(database, now=NOW)
    for before in invitations:
        stored = await find_invitation(database, before.id)
        assert stored is not None
        decided = decide(before, State.EXPIRED, GENERATION)
        assert stored.invitation == (decided if before.state is State.PENDING and decided else before)
