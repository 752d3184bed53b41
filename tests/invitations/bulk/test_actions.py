"""Bulk actions: the dry run and its confirmation follow the rules of single invitations."""

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
    MAX_INVITATIONS,
    BulkAction,
    BulkActionResult,
    BulkActions,
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


def new_principal(*permissions: str, may_grant: tuple[str, ...] = ("customer",)) -> Principal:
    return Principal(ActorType.ADMIN, new_id(START), "Some", frozenset(permissions), frozenset(may_grant), frozenset())


async def carry_out(
    invitation_env: InvitationEnv, action: BulkAction, selection: Selection, *, by: Principal = OPERATOR_PRINCIPAL
) -> Mapping[BulkActionResult, int]:
    """A dry run and its confirmation."""
    bulk_actions = invitation_env.invitations.bulk_actions
    run = await bulk_actions.plan(action, selection, by=by)
    return await bulk_actions.carry_out(action, selection, run.digest, by=by)


async def test_each_invitation_follows_the_rules_of_a_single_one(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    pending, accepted, revoked = [await invitation_env.invite(f"{name}@people.test") for name in ("ada", "bob", "cem")]
    await invitation_env.accept(invitation_env.token(accepted))
    await invitation_env.invitations.revoke(revoked.invitation.id, by=OPERATOR_PRINCIPAL)
    selection = Selection(ids=[item.invitation.id for item in (pending, accepted, revoked)])
    for action in BulkAction:
        run = await bulk_actions.plan(action, selection, by=OPERATOR_PRINCIPAL)
        assert run.counts == {BulkActionResult.DONE: 1, BulkActionResult.ACCEPTED: 1, BulkActionResult.REVOKED: 1}
    assert await carry_out(invitation_env, BulkAction.REVOKE, selection) == run.counts
    assert await invitation_env.state(pending) is State.REVOKED


async def test_the_ceiling_applies_to_each_invitation(invitation_env: InvitationEnv) -> None:
    high, low = (
        await invitation_env.invite("ada@people.test", role="team"),
        await invitation_env.invite("bob@people.test"),
    )
    selection = Selection(ids=[high.invitation.id, low.invitation.id])
    counts = await carry_out(invitation_env, BulkAction.RESEND, selection, by=new_principal(*BOTH))
    assert counts == {BulkActionResult.DONE: 1, BulkActionResult.NOT_ALLOWED: 1}
    assert [(await invitation_env.reload(item)).link.generation for item in (high, low)] == [1, 2]


async def test_every_resent_link_has_its_event_and_its_mail(invitation_env: InvitationEnv) -> None:
    invitations = [await invitation_env.invite(f"p{number}@people.test") for number in range(9)]
    counts = await carry_out(invitation_env, BulkAction.RESEND, Selection(filters=InvitationFilter(roles=["customer"])))
    assert counts == {BulkActionResult.DONE: 9}
    assert (await invitation_env.service_env.events()).count("invitation.resent") == 9
    assert [len(await invitation_env.invitation_mails(item)) for item in invitations] == [2] * 9


async def test_invitations_created_after_the_selection_are_not_included(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    await invitation_env.invite("ada@people.test")
    invitation_env.service_env.clock.forward(timedelta(minutes=1))
    selection = Selection(filters=InvitationFilter(), as_of=invitation_env.service_env.clock())
    invitation_env.service_env.clock.forward(timedelta(minutes=1))
    late = await invitation_env.invite("late@people.test")
    assert await bulk_actions.count(selection, by=OPERATOR_PRINCIPAL) == 1
    assert await carry_out(invitation_env, BulkAction.REVOKE, selection) == {BulkActionResult.DONE: 1}
    assert await invitation_env.state(late) is State.PENDING


async def test_nothing_is_done_when_the_dry_run_has_changed(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    first, second = await invitation_env.invite("ada@people.test"), await invitation_env.invite("bob@people.test")
    selection = Selection(filters=InvitationFilter(states=[State.PENDING]))
    run = await bulk_actions.plan(BulkAction.REVOKE, selection, by=OPERATOR_PRINCIPAL)
    await invitation_env.invitations.revoke(first.invitation.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(SelectionChanged) as refused:
        await bulk_actions.carry_out(BulkAction.REVOKE, selection, run.digest, by=OPERATOR_PRINCIPAL)
    assert refused.value.now.counts == {BulkActionResult.DONE: 1}
    assert await invitation_env.state(second) is State.PENDING


async def test_two_confirmations_at_once_revoke_each_invitation_once(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    invitations = [await invitation_env.invite(f"p{number}@people.test") for number in range(6)]
    selection = Selection(ids=[item.invitation.id for item in invitations])
    run = await bulk_actions.plan(BulkAction.REVOKE, selection, by=OPERATOR_PRINCIPAL)
    calls = [bulk_actions.carry_out(BulkAction.REVOKE, selection, run.digest, by=OPERATOR_PRINCIPAL) for _ in range(2)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(counts.get(BulkActionResult.DONE, 0) for counts in results if isinstance(counts, Mapping)) == 6
    assert (await invitation_env.service_env.events()).count("invitation.revoked") == 6


async def test_of_expired_duplicates_only_one_is_resent(
    invitation_env: InvitationEnv, bulk_actions: BulkActions
) -> None:
    for _ in range(3):
        await invitation_env.invite("ada@people.test")
        invitation_env.service_env.clock.forward(timedelta(days=8))
    selection = Selection(filters=InvitationFilter())
    run = await bulk_actions.plan(BulkAction.RESEND, selection, by=OPERATOR_PRINCIPAL)
    assert run.counts == {BulkActionResult.DONE: 1, BulkActionResult.ALREADY_INVITED: 2}
    assert await carry_out(invitation_env, BulkAction.RESEND, selection) == run.counts


async def test_addresses_over_the_mail_limit_are_left_out(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, limits=Limits(per_recipient="1/day"))
    manager = new_principal(*BOTH)
    ada = await invitation_env.invite("ada@people.test", by=manager)
    await invitation_env.invite("bob@people.test")
    counts = await carry_out(invitation_env, BulkAction.RESEND, Selection(filters=InvitationFilter()), by=manager)
    assert counts == {BulkActionResult.DONE: 1, BulkActionResult.TOO_MANY: 1}
    assert (await invitation_env.reload(ada)).link.generation == 1


async def test_bulk_resend_counts_for_recipients_and_not_for_the_inviter(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, limits=Limits(per_inviter="1/hour"))
    await invitation_env.invite("ada@people.test")
    await invitation_env.invite("bob@people.test")
    counts = await carry_out(
        invitation_env, BulkAction.RESEND, Selection(filters=InvitationFilter()), by=new_principal(*BOTH)
    )
    assert counts == {BulkActionResult.DONE: 2}


@pytest.mark.parametrize("permissions", [("invitations:read",), ("invitations:write",), ()])
async def test_bulk_actions_require_read_and_write_permissions(
    invitation_env: InvitationEnv, bulk_actions: BulkActions, permissions: tuple[str, ...]
) -> None:
    invitation = await invitation_env.invite()
    for action in BulkAction:
        with pytest.raises(NotAllowed):
            await bulk_actions.plan(action, Selection(ids=[invitation.invitation.id]), by=new_principal(*permissions))


async def test_without_mail_resending_requires_the_reveal_permission(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=replace(MailRules(), transport="off"))
    invitation = await invitation_env.invite()
    with pytest.raises(MailDisabled):
        await carry_out(
            invitation_env, BulkAction.RESEND, Selection(ids=[invitation.invitation.id]), by=new_principal(*BOTH)
        )


async def test_too_many_invitations_are_refused(invitation_env: InvitationEnv, bulk_actions: BulkActions) -> None:
    selection = Selection(ids=[new_id(START) for _ in range(MAX_INVITATIONS + 1)])
    with pytest.raises(TooManySelected):
        await bulk_actions.plan(BulkAction.REVOKE, selection, by=OPERATOR_PRINCIPAL)
    assert await invitation_env.service_env.events() == []
