"""What an invitation's timeline tells, and to whom."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.invitation_env import PROFILE, InvitationEnv, build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.domain.errors import NotAllowed
from latchstring.domain.invitation import InvitationDetails
from latchstring.domain.mail import Delivery, DeliveryState
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.settings import MailRules
from latchstring.domain.views.timeline import Timeline, TimelineEntryKind
from latchstring.invitations.link_views import LinkViewCounter
from latchstring.storage.outbox.outbox import claim_mails, finish_mail

pytestmark = pytest.mark.reads

MINUTE = timedelta(minutes=1)


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env)


async def told(invitation_env: InvitationEnv, standing: InvitationDetails) -> Timeline:
    return (await invitation_env.invitations.timelines.get(standing.invitation.id, by=OPERATOR_PRINCIPAL)).timeline


def words(timeline: Timeline) -> list[str]:
    """Each knot in a word."""
    named: dict[TimelineEntryKind, Callable[[Any], str]] = {
        TimelineEntryKind.EVENT: lambda knot: knot.type.removeprefix("invitation."),
        TimelineEntryKind.MAIL: lambda knot: f"mail {knot.mail.generation}",
        TimelineEntryKind.ATTEMPT: lambda knot: f"{knot.state} {knot.number}",
        TimelineEntryKind.LINK_VIEWS: lambda knot: f"visited {knot.link_views.times}",
        TimelineEntryKind.EXPIRED: lambda _: "ran out",
    }
    return [named[knot.kind](knot) for knot in timeline.entries]


async def try_to_send(
    invitation_env: InvitationEnv, reply: str, state: DeliveryState, *, again_in: timedelta | None = None
) -> None:
    now, me = invitation_env.service_env.clock(), uuid4()
    again_at = now + again_in if again_in else None
    for row in await claim_mails(invitation_env.service_env.db, me, limit=9, now=now, until=now + MINUTE):
        await finish_mail(
            invitation_env.service_env.db, me, row.id, Delivery(state, None, 1, now, reply), again_at=again_at
        )


async def visit(invitation_env: InvitationEnv, standing: InvitationDetails, generation: int = 1) -> None:
    counter = LinkViewCounter(invitation_env.service_env.db, invitation_env.service_env.clock)
    counter.count(standing.invitation.id, generation)
    await counter.flush()


async def test_a_whole_life_in_the_order_it_happened(invitation_env: InvitationEnv) -> None:
    clock = invitation_env.service_env.clock
    made = await invitation_env.invite()
    await try_to_send(invitation_env, "451 4.7.1 greylisted", DeliveryState.DEFERRED, again_in=5 * MINUTE)
    clock.forward(5 * MINUTE)
    await try_to_send(invitation_env, "250 2.0.0 queued", DeliveryState.SENT)
    clock.forward(MINUTE)
    await visit(invitation_env, made)
    clock.forward(MINUTE)
    again = await invitation_env.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    await try_to_send(invitation_env, "250 2.0.0 queued", DeliveryState.SENT)
    await visit(invitation_env, made)  # the old link once more
    await visit(invitation_env, made, generation=2)
    clock.forward(MINUTE)
    await invitation_env.accept(invitation_env.token(again), PROFILE)
    found = await invitation_env.invitations.timelines.get(made.invitation.id, by=OPERATOR_PRINCIPAL)
    assert words(found.timeline) == [
        "created",
        "mail 1",
        "DEFERRED 1",
        "SENT 2",
        "visited 2",
        "resent",
        "mail 2",
        "SENT 1",
        "visited 1",
        "accepted",
    ]
    assert found.accepted_by_name == "Ada Löwe"
    assert found.timeline.next_steps == ()
    assert [k.reply for k in found.timeline.entries if k.reply] == ["451 4.7.1 greylisted", *["250 2.0.0 queued"] * 2]


async def test_the_next_try_and_the_answer_are_awaited(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    await try_to_send(invitation_env, "451 later", DeliveryState.DEFERRED, again_in=5 * MINUTE)
    mail, answer = (await told(invitation_env, made)).next_steps
    assert mail.mail is not None
    assert mail.until == invitation_env.service_env.clock() + 5 * MINUTE
    assert (answer.mail, answer.until) == (None, made.invitation.link.expires_at)


async def test_what_ran_out_says_so_before_and_after_the_sweep(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    await try_to_send(invitation_env, "250 ok", DeliveryState.SENT)
    invitation_env.service_env.clock.forward(timedelta(days=8))
    before = await told(invitation_env, made)
    assert words(before) == ["created", "mail 1", "SENT 1", "ran out"]
    assert before.entries[-1].at == made.invitation.link.expires_at
    assert before.next_steps == ()
    await invitation_env.invitations.sweep()
    assert words(await told(invitation_env, made)) == ["created", "mail 1", "SENT 1", "expired"]


async def test_who_acted_is_named(invitation_env: InvitationEnv) -> None:
    lead = await invitation_env.service_env.principal("admin", first_name="Mira", last_name="Okafor")
    made = await invitation_env.invite(by=lead)
    await invitation_env.invitations.revoke(made.invitation.id, by=lead)
    knots = (await told(invitation_env, made)).entries
    assert [(knot.type, knot.actor_name) for knot in knots if knot.kind is TimelineEntryKind.EVENT] == [
        ("invitation.created", "Mira Okafor"),
        ("invitation.revoked", "Mira Okafor"),
    ]


async def test_a_mail_that_is_off_is_told(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=replace(MailRules(), transport="off"))
    _, mail = (await told(invitation_env, await invitation_env.invite())).entries
    assert (mail.kind, mail.state) == (TimelineEntryKind.MAIL, DeliveryState.SUPPRESSED)


async def test_a_notice_to_the_inviter_is_no_invitation(invitation_env: InvitationEnv) -> None:
    lead = await invitation_env.service_env.principal("admin")
    made = await invitation_env.invite(by=lead)
    invitation_env.service_env.clock.forward(MINUTE)
    await invitation_env.invitations.responses.decline(invitation_env.token(made))
    *_, notice = (await told(invitation_env, made)).entries
    assert notice.mail is not None
    assert not notice.mail.has_link


async def test_a_stranger_is_told_nothing(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    stranger = await invitation_env.service_env.principal("team")
    with pytest.raises(NotAllowed):
        await invitation_env.invitations.timelines.get(made.invitation.id, by=stranger)
