"""Promise 2, and what inviters do with their invitations."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.service_env import START, ServiceEnv

from latchstring.crypto.link_tokens import Purpose
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import (
    AlreadyInvited,
    AlreadyMember,
    CredentialInvalid,
    GrantNotAllowed,
    GroupNotFound,
    InvalidFields,
    InvitationNotFound,
    InvitationNotPending,
    MailDisabled,
    NotAllowed,
)
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.mail import DeliveryState, SuppressionReason
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import InvitationRules, MailRules


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env)


def somebody(*permissions: str, may_grant: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Principal:
    """A user of the app with just these."""
    return Principal(
        ActorType.USER, new_id(START), "Some Body", frozenset(permissions), frozenset(may_grant), frozenset(groups)
    )


async def test_inviting_needs_the_permission(invitation_env: InvitationEnv) -> None:
    with pytest.raises(NotAllowed):
        await invitation_env.invite(by=somebody("invitations:read", may_grant=("team",)), role="team")


async def test_nobody_hands_out_more_than_they_may(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    by = somebody("invitations:write", may_grant=("customer",))
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invite(by=by, role="team")
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invite(by=by, groups=("spring",))
    with pytest.raises(GrantNotAllowed):  # not telling whether the group exists
        await invitation_env.invite(by=by, groups=("unknown",))
    await invitation_env.invite(by=replace(by, may_grant_groups=frozenset({"spring"})), groups=("spring",))
    await invitation_env.invite("b@people.test", by=somebody("invitations:write", "groups:write"), groups=("spring",))


async def test_resending_needs_the_ceiling_as_well(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite(role="team")
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invitations.resend(
            made.invitation.id, by=somebody("invitations:read", "invitations:write", may_grant=("customer",))
        )


async def test_all_broken_rules_are_told_at_once(invitation_env: InvitationEnv) -> None:
    with pytest.raises(InvalidFields) as caught:
        await invitation_env.invite(role="king", expires_in=timedelta(days=400), redirect_url="https://evil.test/x")
    assert {(e.pointer, e.code) for e in caught.value.errors} == {
        ("/role", "unknown-role"),
        ("/expiresIn", "out-of-bounds"),
        ("/redirectUrl", "redirect-not-allowed"),
    }


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://app.example.org/welcome?x=1", True),
        ("https://APP.example.org:443/", True),
        ("https://invite.example.org/profile", True),
        ("http://app.example.org/", False),
        ("https://app.example.org:8443/", False),
        ("https://app.example.org.evil.test/", False),
        ("https://app.example.org@evil.test/", False),
        ("https://evil.test\\@app.example.org/", False),
        ("javascript:alert(1)", False),
        ("//app.example.org/", False),
    ],
)
async def test_people_are_sent_on_to_allowed_origins_only(service_env: ServiceEnv, url: str, allowed: bool) -> None:  # noqa: FBT001
    invitation_env = build_invitation_env(
        service_env, rules=InvitationRules(redirect_origins=("https://app.example.org",))
    )
    if allowed:
        assert (await invitation_env.invite(role="team", redirect_url=url)).invitation.redirect_url == url
    else:
        with pytest.raises(InvalidFields):
            await invitation_env.invite(role="team", redirect_url=url)


async def test_an_unknown_group_is_not_found(invitation_env: InvitationEnv) -> None:
    with pytest.raises(GroupNotFound):
        await invitation_env.invite(groups=("nowhere",))


async def test_a_member_who_has_everything_is_not_invited_again(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    user = await invitation_env.service_env.user("team")
    with pytest.raises(AlreadyMember):
        await invitation_env.invite(user.email, role="team")
    made = await invitation_env.invite(user.email, role="team", groups=("spring",))
    await invitation_env.accept(invitation_env.token(made))
    with pytest.raises(AlreadyMember):
        await invitation_env.invite(user.email, role="team", groups=("spring",))


async def test_membership_and_other_peoples_invitations_are_not_told_to_who_may_not_list_them(
    invitation_env: InvitationEnv,
) -> None:
    blind = somebody("invitations:write", may_grant=("team",))
    user = await invitation_env.service_env.user("team")
    await invitation_env.invite(user.email, by=blind, role="team")
    first = await invitation_env.invite(role="team")
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invite(by=blind, role="team")
    assert caught.value.extra == {}
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invite(role="team")
    assert caught.value.extra == {"id": str(first.invitation.id)}
    own = await invitation_env.invite("own@people.test", by=blind, role="team")
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invite("own@people.test", by=blind, role="team")
    assert caught.value.extra == {"id": str(own.invitation.id)}


async def test_one_sees_what_one_sent_and_with_permission_everything(invitation_env: InvitationEnv) -> None:
    mine, theirs = (
        somebody("invitations:write", may_grant=("team",)),
        somebody("invitations:write", may_grant=("team",)),
    )
    made = await invitation_env.invite(by=mine, role="team")
    invitations = invitation_env.invitations
    seen = []
    for who in (mine, theirs, somebody("invitations:read")):
        page = await invitations.list(InvitationFilter(), by=who, limit=25)
        seen.append(len(page.items))
    assert seen == [1, 0, 1]
    with pytest.raises(InvitationNotFound):
        await invitations.get(made.invitation.id, by=theirs)
    with pytest.raises(InvitationNotFound):
        await invitations.revoke(made.invitation.id, by=theirs)
    with pytest.raises(NotAllowed):
        await invitations.list(InvitationFilter(), by=somebody("users:read"), limit=25)


async def test_a_resent_link_kills_the_old_one_and_its_mail(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    again = await invitation_env.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    first, second = await invitation_env.invitation_mails(made)
    assert (await invitation_env.can_be_sent(first), await invitation_env.can_be_sent(second)) == (False, True)
    assert again.invitation.link.generation == 2


async def test_resends_at_once_are_each_a_generation(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    tries = [invitation_env.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL) for _ in range(2)]
    again = await asyncio.gather(*tries)
    assert sorted(one.invitation.link.generation for one in again) == [2, 3]


async def test_resending_an_expired_one_meets_its_successor(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    invitation_env.service_env.clock.forward(timedelta(days=8))
    successor = await invitation_env.invite()
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    assert caught.value.extra == {"id": str(successor.invitation.id)}


async def test_revoking_twice_finds_nothing_the_second_time(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    codes = await asyncio.gather(
        *(invitation_env.invitations.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL) for _ in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(code).__name__ for code in codes) == ["InvitationNotFound"] * 4 + ["NoneType"]
    assert (await invitation_env.service_env.events()).count("invitation.revoked") == 1
    with pytest.raises(InvitationNotPending):
        await invitation_env.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)


async def test_a_mail_is_not_sent_for_an_invitation_that_ended_in_the_queue(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    (row,) = await invitation_env.invitation_mails(made)
    assert await invitation_env.can_be_sent(row)
    await invitation_env.invitations.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL)
    assert not await invitation_env.can_be_sent(row)


async def test_the_mailed_link_is_the_same_each_time_and_the_revealed_one_another(
    invitation_env: InvitationEnv,
) -> None:
    made = await invitation_env.invite()
    links = {invitation_env.token(made) for _ in range(3)}
    url = await invitation_env.invitations.reveal(made.invitation.id, by=OPERATOR_PRINCIPAL)
    revealed = url.partition("token=")[2]
    assert len(links) == 1
    assert revealed not in links
    assert invitation_env.service_env.tokens.verify(Purpose.INVITATION, revealed).channel is Channel.REVEALED
    with pytest.raises(NotAllowed):
        await invitation_env.invitations.reveal(made.invitation.id, by=somebody("invitations:read"))


async def test_nobody_is_shown_a_link_to_more_than_they_may_grant(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite(role="admin")
    peeker = somebody("invitations:read", "invitations:reveal", may_grant=("customer",))
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invitations.reveal(made.invitation.id, by=peeker)


async def test_without_mail_only_who_may_reveal_can_invite(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=MailRules(transport="off"))
    with pytest.raises(MailDisabled):
        await invitation_env.invite(by=somebody("invitations:write", may_grant=("team",)), role="team")
    made = await invitation_env.invite(role="team")
    assert made.delivery is not None
    assert (made.delivery.state, made.delivery.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)


async def test_the_end_of_a_group_revokes_what_leads_nowhere_else(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    only = await invitation_env.invite("a@people.test", groups=("spring",))
    both = await invitation_env.invite("b@people.test", role="team", groups=("spring",))
    await invitation_env.service_env.groups.delete("spring", by=OPERATOR_PRINCIPAL)
    assert (await invitation_env.state(only), await invitation_env.state(both)) == (State.REVOKED, State.PENDING)
    await invitation_env.service_env.group("spring")
    accepted = await invitation_env.accept(invitation_env.token(both))
    assert (accepted.user.role, accepted.user.groups) == ("team", ())


async def test_erasing_a_person_clears_invitations_and_keeps_history(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user(email="ada@people.test")
    made = await invitation_env.invite(role="team", first_name="Ada", message="Dear Ada")
    await invitation_env.service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    now = await invitation_env.reload(made)
    assert (now.email, now.first_name, now.message, now.state) == ("erased", None, None, State.REVOKED)
    events = await invitation_env.invitations.events(made.invitation.id, by=OPERATOR_PRINCIPAL, limit=25)
    assert [item.event.type for item in events.items] == [
        "invitation.created",
        "invitation.revoked",
        "invitation.erased",
    ]


# ---- a fresh link ----------------------------------------------------------------------------------------------------


async def test_a_link_that_is_still_good_is_mailed_again_once_in_five_minutes(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    token = invitation_env.token(made)
    await asyncio.gather(*(invitation_env.invitations.responses.request_new(token) for _ in range(5)))
    assert len(await invitation_env.invitation_mails(made)) == 2
    invitation_env.service_env.clock.forward(timedelta(minutes=5))
    await invitation_env.invitations.responses.request_new(token)
    mails = await invitation_env.invitation_mails(made)
    assert [mail.generation for mail in mails] == [1, 1, 1]


async def test_a_fresh_link_is_given_five_times(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    for _ in range(8):
        invitation_env.service_env.clock.forward(timedelta(minutes=6))
        await invitation_env.invitations.responses.request_new(invitation_env.token(made))
    assert len(await invitation_env.invitation_mails(made)) == 6


async def test_an_expired_link_brings_the_next_one_and_the_inviter_is_told(invitation_env: InvitationEnv) -> None:
    inviter = await invitation_env.service_env.user("lead")
    by = replace(invitation_env.service_env.users.principal_of(inviter), permissions=frozenset({"*"}))
    made = await invitation_env.invite(by=by, role="team")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    await invitation_env.invitations.responses.request_new(invitation_env.token(made))
    now = await invitation_env.reload(made)
    assert (now.state_at(invitation_env.service_env.clock()), now.link.generation) == (State.PENDING, 2)
    assert "link-requested" in [mail.kind for mail in await invitation_env.service_env.mails()]


async def test_no_fresh_link_when_the_sponsor_may_no_longer_send_it(invitation_env: InvitationEnv) -> None:
    inviter = await invitation_env.service_env.user("customer")
    by = replace(
        invitation_env.service_env.users.principal_of(inviter),
        permissions=frozenset({"*"}),
        may_grant=frozenset({"team"}),
    )
    made = await invitation_env.invite(by=by, role="team")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    await invitation_env.invitations.responses.request_new(invitation_env.token(made))
    assert (await invitation_env.reload(made)).link.generation == 1


async def test_nothing_is_sent_for_what_has_ended_or_was_made_up(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    await invitation_env.invitations.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL)
    await invitation_env.invitations.responses.request_new(invitation_env.token(made))
    await invitation_env.invitations.responses.request_new("ey.no.no")
    assert len(await invitation_env.invitation_mails(made)) == 1


# ---- tidying ---------------------------------------------------------------------------------------------------------


async def test_the_sweep_tells_an_expiry_once_and_forgets_after_the_retention(invitation_env: InvitationEnv) -> None:
    made = await invitation_env.invite()
    invitation_env.service_env.clock.forward(timedelta(days=8))
    await asyncio.gather(*(invitation_env.invitations.sweep() for _ in range(3)))
    assert (await invitation_env.service_env.events()).count("invitation.expired") == 1
    invitation_env.service_env.clock.forward(timedelta(days=91))
    await invitation_env.invitations.sweep()
    with pytest.raises(InvitationNotFound):
        await invitation_env.reload(made)


async def test_a_remembered_key_that_was_revoked_invites_nobody(invitation_env: InvitationEnv) -> None:
    accounts = invitation_env.service_env.users
    made = await accounts.api_keys.create(name="backend", scopes=("*",), by=OPERATOR_PRINCIPAL)
    by = await accounts.sessions.remembered_principal_of_api_key(made.text)
    await invitation_env.invite(by=by, role="team")
    await accounts.api_keys.revoke(made.key.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(CredentialInvalid):  # as another process would, which still remembers it
        await invitation_env.invite("b@people.test", by=by, role="team")
    with pytest.raises(CredentialInvalid):
        await accounts.sessions.remembered_principal_of_api_key(made.text)


async def test_a_group_made_again_under_its_key_is_found_anew(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    await invitation_env.invite("a@people.test", groups=("spring",))
    await invitation_env.service_env.groups.delete("spring", by=OPERATOR_PRINCIPAL)
    with pytest.raises(GroupNotFound):
        await invitation_env.invite("b@people.test", groups=("spring",))
    again = await invitation_env.service_env.group("spring")
    made = await invitation_env.invite("b@people.test", groups=("spring",))
    assert [grant.target_id for grant in made.invitation.bundle.groups] == [again.id]
