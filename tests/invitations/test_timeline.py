"""The timeline of an invitation."""

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


async def get_timeline(invitation_env: InvitationEnv, details: InvitationDetails) -> Timeline:
    return (await invitation_env.invitations.timelines.get(details.invitation.id, by=OPERATOR_PRINCIPAL)).timeline


def labels_of(timeline: Timeline) -> list[str]:
    """A short label for each entry."""
    labels: dict[TimelineEntryKind, Callable[[Any], str]] = {
        TimelineEntryKind.EVENT: lambda entry: entry.type.removeprefix("invitation."),
        TimelineEntryKind.MAIL: lambda entry: f"mail {entry.mail.generation}",
        TimelineEntryKind.ATTEMPT: lambda entry: f"{entry.state} {entry.number}",
        TimelineEntryKind.LINK_VIEWS: lambda entry: f"viewed {entry.link_views.times}",
        TimelineEntryKind.EXPIRED: lambda _: "expired, not swept",
    }
    return [labels[entry.kind](entry) for entry in timeline.entries]


async def attempt_delivery(
    invitation_env: InvitationEnv, reply: str, state: DeliveryState, *, again_in: timedelta | None = None
) -> None:
    now, me = invitation_env.service_env.clock(), uuid4()
    again_at = now + again_in if again_in else None
    for row in await claim_mails(invitation_env.service_env.db, me, limit=9, now=now, until=now + MINUTE):
        await finish_mail(
            invitation_env.service_env.db, me, row.id, Delivery(state, None, 1, now, reply), again_at=again_at
        )


async def open_link(invitation_env: InvitationEnv, details: InvitationDetails, generation: int = 1) -> None:
    counter = LinkViewCounter(invitation_env.service_env.db, invitation_env.service_env.clock)
    counter.count(details.invitation.id, generation)
    await counter.flush()


async def test_entries_are_in_chronological_order(invitation_env: InvitationEnv) -> None:
    clock = invitation_env.service_env.clock
    details = await invitation_env.invite()
    await attempt_delivery(invitation_env, "451 4.7.1 greylisted", DeliveryState.DEFERRED, again_in=5 * MINUTE)
    clock.forward(5 * MINUTE)
    await attempt_delivery(invitation_env, "250 2.0.0 queued", DeliveryState.SENT)
    clock.forward(MINUTE)
    await open_link(invitation_env, details)
    clock.forward(MINUTE)
    resent = await invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)
    await attempt_delivery(invitation_env, "250 2.0.0 queued", DeliveryState.SENT)
    await open_link(invitation_env, details)  # the previous link again
    await open_link(invitation_env, details, generation=2)
    clock.forward(MINUTE)
    await invitation_env.accept(invitation_env.token(resent), PROFILE)
    history = await invitation_env.invitations.timelines.get(details.invitation.id, by=OPERATOR_PRINCIPAL)
    assert labels_of(history.timeline) == [
        "created",
        "mail 1",
        "DEFERRED 1",
        "SENT 2",
        "viewed 2",
        "resent",
        "mail 2",
        "SENT 1",
        "viewed 1",
        "accepted",
    ]
    assert history.accepted_by_name == "Ada Löwe"
    assert history.timeline.next_steps == ()
    assert [entry.reply for entry in history.timeline.entries if entry.reply] == [
        "451 4.7.1 greylisted",
        *["250 2.0.0 queued"] * 2,
    ]


async def test_the_next_attempt_and_the_answer_are_awaited(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    await attempt_delivery(invitation_env, "451 later", DeliveryState.DEFERRED, again_in=5 * MINUTE)
    mail, answer = (await get_timeline(invitation_env, details)).next_steps
    assert mail.mail is not None
    assert mail.until == invitation_env.service_env.clock() + 5 * MINUTE
    assert (answer.mail, answer.until) == (None, details.invitation.link.expires_at)


async def test_expiry_is_shown_before_and_after_the_sweep(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    await attempt_delivery(invitation_env, "250 ok", DeliveryState.SENT)
    invitation_env.service_env.clock.forward(timedelta(days=8))
    before = await get_timeline(invitation_env, details)
    assert labels_of(before) == ["created", "mail 1", "SENT 1", "expired, not swept"]
    assert before.entries[-1].at == details.invitation.link.expires_at
    assert before.next_steps == ()
    await invitation_env.invitations.sweep()
    assert labels_of(await get_timeline(invitation_env, details)) == ["created", "mail 1", "SENT 1", "expired"]


async def test_actors_have_names(invitation_env: InvitationEnv) -> None:
    lead = await invitation_env.service_env.principal("admin", first_name="Mira", last_name="Okafor")
    details = await invitation_env.invite(by=lead)
    await invitation_env.invitations.revoke(details.invitation.id, by=lead)
    entries = (await get_timeline(invitation_env, details)).entries
    assert [(entry.type, entry.actor_name) for entry in entries if entry.kind is TimelineEntryKind.EVENT] == [
        ("invitation.created", "Mira Okafor"),
        ("invitation.revoked", "Mira Okafor"),
    ]


async def test_a_mail_suppressed_as_mail_is_off_is_shown(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=replace(MailRules(), transport="off"))
    _, mail = (await get_timeline(invitation_env, await invitation_env.invite())).entries
    assert (mail.kind, mail.state) == (TimelineEntryKind.MAIL, DeliveryState.SUPPRESSED)


async def test_a_notification_of_the_inviter_has_no_link(invitation_env: InvitationEnv) -> None:
    lead = await invitation_env.service_env.principal("admin")
    details = await invitation_env.invite(by=lead)
    invitation_env.service_env.clock.forward(MINUTE)
    await invitation_env.invitations.responses.decline(invitation_env.token(details))
    *_, notice = (await get_timeline(invitation_env, details)).entries
    assert notice.mail is not None
    assert not notice.mail.has_link


async def test_the_timeline_requires_the_permission(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    other = await invitation_env.service_env.principal("team")
    with pytest.raises(NotAllowed):
        await invitation_env.invitations.timelines.get(details.invitation.id, by=other)
