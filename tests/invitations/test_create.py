"""Creating, listing, resending, revealing and revoking invitations."""

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


def new_principal(*permissions: str, may_grant: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Principal:
    """A user with exactly these permissions and grants."""
    return Principal(
        ActorType.USER, new_id(START), "Some Body", frozenset(permissions), frozenset(may_grant), frozenset(groups)
    )


async def test_inviting_requires_the_permission(invitation_env: InvitationEnv) -> None:
    with pytest.raises(NotAllowed):
        await invitation_env.invite(by=new_principal("invitations:read", may_grant=("team",)), role="team")


async def test_the_ceiling_applies_to_invitations(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    by = new_principal("invitations:write", may_grant=("customer",))
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invite(by=by, role="team")
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invite(by=by, groups=("spring",))
    with pytest.raises(GrantNotAllowed):  # does not reveal whether the group exists
        await invitation_env.invite(by=by, groups=("unknown",))
    await invitation_env.invite(by=replace(by, may_grant_groups=frozenset({"spring"})), groups=("spring",))
    await invitation_env.invite(
        "b@people.test", by=new_principal("invitations:write", "groups:write"), groups=("spring",)
    )


async def test_the_ceiling_applies_to_resending(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite(role="team")
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invitations.resend(
            details.invitation.id, by=new_principal("invitations:read", "invitations:write", may_grant=("customer",))
        )


async def test_all_problems_are_reported_at_once(invitation_env: InvitationEnv) -> None:
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
async def test_redirects_go_to_allowed_origins_only(service_env: ServiceEnv, url: str, allowed: bool) -> None:  # noqa: FBT001
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


async def test_a_user_who_holds_everything_is_not_invited(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    user = await invitation_env.service_env.user("team")
    with pytest.raises(AlreadyMember):
        await invitation_env.invite(user.email, role="team")
    details = await invitation_env.invite(user.email, role="team", groups=("spring",))
    await invitation_env.accept(invitation_env.token(details))
    with pytest.raises(AlreadyMember):
        await invitation_env.invite(user.email, role="team", groups=("spring",))


async def test_members_and_other_invitations_are_not_revealed_without_the_read_permission(
    invitation_env: InvitationEnv,
) -> None:
    inviter = new_principal("invitations:write", may_grant=("team",))
    user = await invitation_env.service_env.user("team")
    await invitation_env.invite(user.email, by=inviter, role="team")
    first = await invitation_env.invite(role="team")
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invite(by=inviter, role="team")
    assert caught.value.extra == {}
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invite(role="team")
    assert caught.value.extra == {"id": str(first.invitation.id)}
    own = await invitation_env.invite("own@people.test", by=inviter, role="team")
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invite("own@people.test", by=inviter, role="team")
    assert caught.value.extra == {"id": str(own.invitation.id)}


async def test_inviters_see_their_own_invitations_and_readers_see_all(invitation_env: InvitationEnv) -> None:
    mine, theirs = (
        new_principal("invitations:write", may_grant=("team",)),
        new_principal("invitations:write", may_grant=("team",)),
    )
    details = await invitation_env.invite(by=mine, role="team")
    invitations = invitation_env.invitations
    counts = []
    for principal in (mine, theirs, new_principal("invitations:read")):
        page = await invitations.list(InvitationFilter(), by=principal, limit=25)
        counts.append(len(page.items))
    assert counts == [1, 0, 1]
    with pytest.raises(InvitationNotFound):
        await invitations.get(details.invitation.id, by=theirs)
    with pytest.raises(InvitationNotFound):
        await invitations.revoke(details.invitation.id, by=theirs)
    with pytest.raises(NotAllowed):
        await invitations.list(InvitationFilter(), by=new_principal("users:read"), limit=25)


async def test_resending_invalidates_the_previous_link_and_its_mail(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    resent = await invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)
    first, second = await invitation_env.invitation_mails(details)
    assert (await invitation_env.can_be_sent(first), await invitation_env.can_be_sent(second)) == (False, True)
    assert resent.invitation.link.generation == 2


async def test_resends_at_once_each_create_a_generation(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    calls = [invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL) for _ in range(2)]
    resent = await asyncio.gather(*calls)
    assert sorted(item.invitation.link.generation for item in resent) == [2, 3]


async def test_resending_an_expired_invitation_is_refused_if_a_newer_one_is_pending(
    invitation_env: InvitationEnv,
) -> None:
    details = await invitation_env.invite()
    invitation_env.service_env.clock.forward(timedelta(days=8))
    successor = await invitation_env.invite()
    with pytest.raises(AlreadyInvited) as caught:
        await invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)
    assert caught.value.extra == {"id": str(successor.invitation.id)}


async def test_of_revocations_at_once_one_succeeds(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    codes = await asyncio.gather(
        *(invitation_env.invitations.revoke(details.invitation.id, by=OPERATOR_PRINCIPAL) for _ in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(code).__name__ for code in codes) == ["InvitationNotFound"] * 4 + ["NoneType"]
    assert (await invitation_env.service_env.events()).count("invitation.revoked") == 1
    with pytest.raises(InvitationNotPending):
        await invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)


async def test_a_queued_mail_of_an_ended_invitation_is_not_sent(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    (row,) = await invitation_env.invitation_mails(details)
    assert await invitation_env.can_be_sent(row)
    await invitation_env.invitations.revoke(details.invitation.id, by=OPERATOR_PRINCIPAL)
    assert not await invitation_env.can_be_sent(row)


async def test_the_mailed_link_is_always_the_same_and_differs_from_the_revealed_one(
    invitation_env: InvitationEnv,
) -> None:
    details = await invitation_env.invite()
    links = {invitation_env.token(details) for _ in range(3)}
    url = await invitation_env.invitations.reveal(details.invitation.id, by=OPERATOR_PRINCIPAL)
    revealed = url.partition("token=")[2]
    assert len(links) == 1
    assert revealed not in links
    assert invitation_env.service_env.tokens.verify(Purpose.INVITATION, revealed).channel is Channel.REVEALED
    with pytest.raises(NotAllowed):
        await invitation_env.invitations.reveal(details.invitation.id, by=new_principal("invitations:read"))


async def test_the_ceiling_applies_to_revealing(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite(role="admin")
    principal = new_principal("invitations:read", "invitations:reveal", may_grant=("customer",))
    with pytest.raises(GrantNotAllowed):
        await invitation_env.invitations.reveal(details.invitation.id, by=principal)


async def test_without_mail_inviting_requires_the_reveal_permission(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=MailRules(transport="off"))
    with pytest.raises(MailDisabled):
        await invitation_env.invite(by=new_principal("invitations:write", may_grant=("team",)), role="team")
    details = await invitation_env.invite(role="team")
    assert details.delivery is not None
    assert (details.delivery.state, details.delivery.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)


async def test_deleting_a_group_revokes_invitations_without_other_grants(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    only = await invitation_env.invite("a@people.test", groups=("spring",))
    both = await invitation_env.invite("b@people.test", role="team", groups=("spring",))
    await invitation_env.service_env.groups.delete("spring", by=OPERATOR_PRINCIPAL)
    assert (await invitation_env.state(only), await invitation_env.state(both)) == (State.REVOKED, State.PENDING)
    await invitation_env.service_env.group("spring")
    accepted = await invitation_env.accept(invitation_env.token(both))
    assert (accepted.user.role, accepted.user.groups) == ("team", ())


async def test_erasing_a_user_clears_invitations_and_keeps_events(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user(email="ada@people.test")
    details = await invitation_env.invite(role="team", first_name="Ada", message="Dear Ada")
    await invitation_env.service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    now = await invitation_env.reload(details)
    assert (now.email, now.first_name, now.message, now.state) == ("erased", None, None, State.REVOKED)
    events = await invitation_env.invitations.events(details.invitation.id, by=OPERATOR_PRINCIPAL, limit=25)
    assert [item.event.type for item in events.items] == [
        "invitation.created",
        "invitation.revoked",
        "invitation.erased",
    ]


# ---- new links on request --------------------------------------------------------------------------------------------


async def test_a_working_link_is_mailed_again_at_most_once_in_five_minutes(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    token = invitation_env.token(details)
    await asyncio.gather(*(invitation_env.invitations.responses.request_new(token) for _ in range(5)))
    assert len(await invitation_env.invitation_mails(details)) == 2
    invitation_env.service_env.clock.forward(timedelta(minutes=5))
    await invitation_env.invitations.responses.request_new(token)
    mails = await invitation_env.invitation_mails(details)
    assert [mail.generation for mail in mails] == [1, 1, 1]


async def test_a_new_link_is_sent_at_most_five_times(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    for _ in range(8):
        invitation_env.service_env.clock.forward(timedelta(minutes=6))
        await invitation_env.invitations.responses.request_new(invitation_env.token(details))
    assert len(await invitation_env.invitation_mails(details)) == 6


async def test_an_expired_link_is_renewed_and_the_inviter_is_notified(invitation_env: InvitationEnv) -> None:
    inviter = await invitation_env.service_env.user("lead")
    by = replace(invitation_env.service_env.users.principal_of(inviter), permissions=frozenset({"*"}))
    details = await invitation_env.invite(by=by, role="team")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    await invitation_env.invitations.responses.request_new(invitation_env.token(details))
    now = await invitation_env.reload(details)
    assert (now.state_at(invitation_env.service_env.clock()), now.link.generation) == (State.PENDING, 2)
    assert "link-requested" in [mail.kind for mail in await invitation_env.service_env.mails()]


async def test_a_link_is_not_renewed_when_the_sponsor_may_no_longer_send_it(invitation_env: InvitationEnv) -> None:
    inviter = await invitation_env.service_env.user("customer")
    by = replace(
        invitation_env.service_env.users.principal_of(inviter),
        permissions=frozenset({"*"}),
        may_grant=frozenset({"team"}),
    )
    details = await invitation_env.invite(by=by, role="team")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    await invitation_env.invitations.responses.request_new(invitation_env.token(details))
    assert (await invitation_env.reload(details)).link.generation == 1


async def test_nothing_is_sent_for_ended_invitations_and_forged_links(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    await invitation_env.invitations.revoke(details.invitation.id, by=OPERATOR_PRINCIPAL)
    await invitation_env.invitations.responses.request_new(invitation_env.token(details))
    await invitation_env.invitations.responses.request_new("ey.no.no")
    assert len(await invitation_env.invitation_mails(details)) == 1


# ---- sweeps ----------------------------------------------------------------------------------------------------------


async def test_the_sweep_expires_once_and_deletes_after_the_retention(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    invitation_env.service_env.clock.forward(timedelta(days=8))
    await asyncio.gather(*(invitation_env.invitations.sweep() for _ in range(3)))
    assert (await invitation_env.service_env.events()).count("invitation.expired") == 1
    invitation_env.service_env.clock.forward(timedelta(days=91))
    await invitation_env.invitations.sweep()
    with pytest.raises(InvitationNotFound):
        await invitation_env.reload(details)


async def test_a_revoked_key_cannot_invite_even_if_it_is_cached(invitation_env: InvitationEnv) -> None:
    accounts = invitation_env.service_env.users
    details = await accounts.api_keys.create(name="backend", scopes=("*",), by=OPERATOR_PRINCIPAL)
    by = await accounts.sessions.cached_principal_of_api_key(details.secret)
    await invitation_env.invite(by=by, role="team")
    await accounts.api_keys.revoke(details.key.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(CredentialInvalid):  # like another process that has it cached
        await invitation_env.invite("b@people.test", by=by, role="team")
    with pytest.raises(CredentialInvalid):
        await accounts.sessions.cached_principal_of_api_key(details.secret)


async def test_a_recreated_group_is_found_by_its_key(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    await invitation_env.invite("a@people.test", groups=("spring",))
    await invitation_env.service_env.groups.delete("spring", by=OPERATOR_PRINCIPAL)
    with pytest.raises(GroupNotFound):
        await invitation_env.invite("b@people.test", groups=("spring",))
    resent = await invitation_env.service_env.group("spring")
    details = await invitation_env.invite("b@people.test", groups=("spring",))
    assert [grant.target_id for grant in details.invitation.bundle.groups] == [resent.id]
