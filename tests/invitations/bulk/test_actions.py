"""One thing to many invitations: what was promised is done, each by the rules of one, or nothing is."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.service_env import START, ServiceEnv

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import MailDisabled, NotAllowed
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import Limits, MailRules
from latchstring.invitations.bulk.actions import (
    MOST,
    BulkAction,
    BulkActions,
    RowResult,
    Selection,
    SelectionChanged,
    TooManySelected,
)

BOTH = ("invitations:read", "invitations:write")


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env)


@pytest.fixture
def bulk_actions(invitation_env: InvitationEnv) -> BulkActions:
    return invitation_env.invitations.bulk_actions


def somebody(*permissions: str, may_grant: tuple[str, ...] = ("customer",)) -> Principal:
    return Principal(ActorType.ADMIN, new_id(START), "Some", frozenset(permissions), frozenset(may_grant), frozenset())


async def do(
    invitation_env: InvitationEnv, deed: BulkAction, selection: Selection, *, by: Principal = OPERATOR_PRINCIPAL
) -> Mapping[RowResult, int]:
    """A dry run and its confirmation."""
    bulk_actions = invitation_env.invitations.bulk_actions
    run = await bulk_actions.plan(deed, selection, by=by)
    return await bulk_actions.carry_out(deed, selection, run.digest, by=by)


async def test_each_is_judged_by_the_rules_of_one(invitation_env: InvitationEnv, bulk_actions: BulkActions) -> None:
    pending, accepted, revoked = [await invitation_env.invite(f"{name}@people.test") for name in ("ada", "bob", "cem")]
    await invitation_env.accept(invitation_env.token(accepted))
    await invitation_env.invitations.revoke(revoked.invitation.id, by=OPERATOR_PRINCIPAL)
    selection = Selection(ids=[one.invitation.id for one in (pending, accepted, revoked)])
    for deed in BulkAction:
        run = await bulk_actions.plan(deed, selection, by=OPERATOR_PRINCIPAL)
        assert run.counts == {RowResult.DONE: 1, RowResult.ACCEPTED: 1, RowResult.REVOKED: 1}
    assert await do(invitation_env, BulkAction.REVOKE, selection) == run.counts
    assert await invitation_env.state(pending) is State.REVOKED


async def test_the_ceiling_holds_for_each(invitation_env: InvitationEnv) -> None:
    high, low = (
        await invitation_env.invite("ada@people.test", role="team"),
        await invitation_env.invite("bob@people.test"),
    )
    selection = Selection(ids=[high.invitation.id, low.invitation.id])
    found = await do(invitation_env, BulkAction.RESEND, selection, by=somebody(*BOTH))
    assert found == {RowResult.DONE: 1, RowResult.NOT_ALLOWED: 1}
    assert [(await invitation_env.reload(one)).link.generation for one in (high, low)] == [1, 2]


async def test_every_resent_link_has_its_event_and_its_mail(invitation_env: InvitationEnv) -> None:
    invitations = [await invitation_env.invite(f"p{number}@people.test") for number in range(9)]
    found = await do(invitation_env, BulkAction.RESEND, Selection(wanted=InvitationFilter(roles=["customer"])))
    assert found == {RowResult.DONE: 9}
    assert (await invitation_env.service_env.events()).count("invitation.resent") == 9
    assert [len(await invitation_env.invitation_mails(one)) for one in invitations] == [2] * 9


async def test_a_filter_takes_none_that_was_made_later(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    await invitation_env.invite("ada@people.test")
    invitation_env.service_env.clock.forward(timedelta(minutes=1))
    selection = Selection(wanted=InvitationFilter(), as_of=invitation_env.service_env.clock())
    invitation_env.service_env.clock.forward(timedelta(minutes=1))
    late = await invitation_env.invite("late@people.test")
    assert await bulk_actions.count(selection, by=OPERATOR_PRINCIPAL) == 1
    assert await do(invitation_env, BulkAction.REVOKE, selection) == {RowResult.DONE: 1}
    assert await invitation_env.state(late) is State.PENDING


async def test_nothing_is_done_when_the_dry_run_comes_out_differently(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    one, other = await invitation_env.invite("ada@people.test"), await invitation_env.invite("bob@people.test")
    selection = Selection(wanted=InvitationFilter(states=[State.PENDING]))
    run = await bulk_actions.plan(BulkAction.REVOKE, selection, by=OPERATOR_PRINCIPAL)
    await invitation_env.invitations.revoke(one.invitation.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(SelectionChanged) as refused:
        await bulk_actions.carry_out(BulkAction.REVOKE, selection, run.digest, by=OPERATOR_PRINCIPAL)
    assert refused.value.now.counts == {RowResult.DONE: 1}
    assert await invitation_env.state(other) is State.PENDING


async def test_two_who_confirm_at_once_send_each_link_once(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    invitations = [await invitation_env.invite(f"p{number}@people.test") for number in range(6)]
    selection = Selection(ids=[one.invitation.id for one in invitations])
    run = await bulk_actions.plan(BulkAction.REVOKE, selection, by=OPERATOR_PRINCIPAL)
    tries = [bulk_actions.carry_out(BulkAction.REVOKE, selection, run.digest, by=OPERATOR_PRINCIPAL) for _ in range(2)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    done = sum(each.get(RowResult.DONE, 0) for each in found if isinstance(each, Mapping))
    assert done == 6
    assert (await invitation_env.service_env.events()).count("invitation.revoked") == 6


async def test_of_expired_twins_one_is_sent_again(invitation_env: InvitationEnv, bulk_actions: BulkActions) -> None:
    for _ in range(3):
        await invitation_env.invite("ada@people.test")
        invitation_env.service_env.clock.forward(timedelta(days=8))
    everything = Selection(wanted=InvitationFilter())
    run = await bulk_actions.plan(BulkAction.RESEND, everything, by=OPERATOR_PRINCIPAL)
    assert run.counts == {RowResult.DONE: 1, RowResult.ALREADY_INVITED: 2}
    assert await do(invitation_env, BulkAction.RESEND, everything) == run.counts


async def test_addresses_with_too_many_mails_are_left_out(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, limits=Limits(per_recipient="1/day"))
    manager = somebody(*BOTH)
    ada = await invitation_env.invite("ada@people.test", by=manager)
    await invitation_env.invite("bob@people.test")
    counts = await do(invitation_env, BulkAction.RESEND, Selection(wanted=InvitationFilter()), by=manager)
    assert counts == {RowResult.DONE: 1, RowResult.TOO_MANY: 1}
    assert (await invitation_env.reload(ada)).link.generation == 1


async def test_resending_many_counts_for_recipients_and_not_for_the_inviter(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, limits=Limits(per_inviter="1/hour"))
    await invitation_env.invite("ada@people.test")
    await invitation_env.invite("bob@people.test")
    counts = await do(invitation_env, BulkAction.RESEND, Selection(wanted=InvitationFilter()), by=somebody(*BOTH))
    assert counts == {RowResult.DONE: 2}


@pytest.mark.parametrize("permissions", [("invitations:read",), ("invitations:write",), ()])
async def test_it_takes_reading_and_writing(
    invitation_env: InvitationEnv, bulk_actions: BulkActions, permissions: tuple[str, ...]
) -> None:
    one = await invitation_env.invite()
    for deed in BulkAction:
        with pytest.raises(NotAllowed):
            await bulk_actions.plan(deed, Selection(ids=[one.invitation.id]), by=somebody(*permissions))


async def test_without_mail_only_those_resend_who_may_see_links(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=replace(MailRules(), transport="off"))
    one = await invitation_env.invite()
    with pytest.raises(MailDisabled):
        await do(invitation_env, BulkAction.RESEND, Selection(ids=[one.invitation.id]), by=somebody(*BOTH))


async def test_no_action_takes_more_than_a_minute_of_work(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    selection = Selection(ids=[new_id(START) for _ in range(MOST + 1)])
    with pytest.raises(TooManySelected):
        await bulk_actions.plan(BulkAction.REVOKE, selection, by=OPERATOR_PRINCIPAL)
    assert await invitation_env.service_env.events() == []
