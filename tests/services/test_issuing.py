"""Promise 2, and what inviters do with their invitations."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.services.conftest import START, World
from tests.services.door import Door, build_door

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
def door(world: World) -> Door:
    return build_door(world)


def somebody(*permissions: str, may_grant: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Principal:
    """A user of the app with just these."""
    return Principal(
        ActorType.USER, new_id(START), "Some Body", frozenset(permissions), frozenset(may_grant), frozenset(groups)
    )


async def test_inviting_needs_the_permission(door: Door) -> None:
    with pytest.raises(NotAllowed):
        await door.invite(by=somebody("invitations:read", may_grant=("team",)), role="team")


async def test_nobody_hands_out_more_than_they_may(door: Door) -> None:
    await door.world.group("spring")
    by = somebody("invitations:write", may_grant=("customer",))
    with pytest.raises(GrantNotAllowed):
        await door.invite(by=by, role="team")
    with pytest.raises(GrantNotAllowed):
        await door.invite(by=by, groups=("spring",))
    with pytest.raises(GrantNotAllowed):  # not telling whether the group exists
        await door.invite(by=by, groups=("unknown",))
    await door.invite(by=replace(by, may_grant_groups=frozenset({"spring"})), groups=("spring",))
    await door.invite("b@people.test", by=somebody("invitations:write", "groups:write"), groups=("spring",))


async def test_resending_needs_the_ceiling_as_well(door: Door) -> None:
    made = await door.invite(role="team")
    with pytest.raises(GrantNotAllowed):
        await door.invitations.issuing.resend(
            made.invitation.id, by=somebody("invitations:read", "invitations:write", may_grant=("customer",))
        )


async def test_all_broken_rules_are_told_at_once(door: Door) -> None:
    with pytest.raises(InvalidFields) as caught:
        await door.invite(role="king", expires_in=timedelta(days=400), redirect_url="https://evil.test/x")
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
async def test_people_are_sent_on_to_allowed_origins_only(world: World, url: str, allowed: bool) -> None:  # noqa: FBT001
    door = build_door(world, rules=InvitationRules(redirect_origins=("https://app.example.org",)))
    if allowed:
        assert (await door.invite(role="team", redirect_url=url)).invitation.redirect_url == url
    else:
        with pytest.raises(InvalidFields):
            await door.invite(role="team", redirect_url=url)


async def test_an_unknown_group_is_not_found(door: Door) -> None:
    with pytest.raises(GroupNotFound):
        await door.invite(groups=("nowhere",))


async def test_a_member_who_has_everything_is_not_invited_again(door: Door) -> None:
    await door.world.group("spring")
    user = await door.world.user("team")
    with pytest.raises(AlreadyMember):
        await door.invite(user.email, role="team")
    made = await door.invite(user.email, role="team", groups=("spring",))
    await door.accept(door.token(made))
    with pytest.raises(AlreadyMember):
        await door.invite(user.email, role="team", groups=("spring",))


async def test_membership_and_other_peoples_invitations_are_not_told_to_who_may_not_list_them(door: Door) -> None:
    blind = somebody("invitations:write", may_grant=("team",))
    user = await door.world.user("team")
    await door.invite(user.email, by=blind, role="team")
    first = await door.invite(role="team")
    with pytest.raises(AlreadyInvited) as caught:
        await door.invite(by=blind, role="team")
    assert caught.value.extra == {}
    with pytest.raises(AlreadyInvited) as caught:
        await door.invite(role="team")
    assert caught.value.extra == {"id": str(first.invitation.id)}
    own = await door.invite("own@people.test", by=blind, role="team")
    with pytest.raises(AlreadyInvited) as caught:
        await door.invite("own@people.test", by=blind, role="team")
    assert caught.value.extra == {"id": str(own.invitation.id)}


async def test_one_sees_what_one_sent_and_with_permission_everything(door: Door) -> None:
    mine, theirs = (
        somebody("invitations:write", may_grant=("team",)),
        somebody("invitations:write", may_grant=("team",)),
    )
    made = await door.invite(by=mine, role="team")
    issuing = door.invitations.issuing
    seen = []
    for who in (mine, theirs, somebody("invitations:read")):
        page = await issuing.list(InvitationFilter(), by=who, limit=25)
        seen.append(len(page.items))
    assert seen == [1, 0, 1]
    with pytest.raises(InvitationNotFound):
        await issuing.get(made.invitation.id, by=theirs)
    with pytest.raises(InvitationNotFound):
        await issuing.revoke(made.invitation.id, by=theirs)
    with pytest.raises(NotAllowed):
        await issuing.list(InvitationFilter(), by=somebody("users:read"), limit=25)


async def test_a_resent_link_kills_the_old_one_and_its_mail(door: Door) -> None:
    made = await door.invite()
    again = await door.invitations.issuing.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    first, second = await door.invitation_mails(made)
    assert (await door.can_be_sent(first), await door.can_be_sent(second)) == (False, True)
    assert again.invitation.link.generation == 2


async def test_resends_at_once_are_each_a_generation(door: Door) -> None:
    made = await door.invite()
    tries = [door.invitations.issuing.resend(made.invitation.id, by=OPERATOR_PRINCIPAL) for _ in range(2)]
    again = await asyncio.gather(*tries)
    assert sorted(one.invitation.link.generation for one in again) == [2, 3]


async def test_resending_an_expired_one_meets_its_successor(door: Door) -> None:
    made = await door.invite()
    door.world.clock.forward(timedelta(days=8))
    successor = await door.invite()
    with pytest.raises(AlreadyInvited) as caught:
        await door.invitations.issuing.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    assert caught.value.extra == {"id": str(successor.invitation.id)}


async def test_revoking_twice_finds_nothing_the_second_time(door: Door) -> None:
    made = await door.invite()
    codes = await asyncio.gather(
        *(door.invitations.issuing.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL) for _ in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(code).__name__ for code in codes) == ["InvitationNotFound"] * 4 + ["NoneType"]
    assert (await door.world.events()).count("invitation.revoked") == 1
    with pytest.raises(InvitationNotPending):
        await door.invitations.issuing.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)


async def test_a_mail_is_not_sent_for_an_invitation_that_ended_in_the_queue(door: Door) -> None:
    made = await door.invite()
    (row,) = await door.invitation_mails(made)
    assert await door.can_be_sent(row)
    await door.invitations.issuing.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL)
    assert not await door.can_be_sent(row)


async def test_the_mailed_link_is_the_same_each_time_and_the_revealed_one_another(door: Door) -> None:
    made = await door.invite()
    links = {door.token(made) for _ in range(3)}
    url = await door.invitations.issuing.reveal(made.invitation.id, by=OPERATOR_PRINCIPAL)
    revealed = url.partition("token=")[2]
    assert len(links) == 1
    assert revealed not in links
    assert door.world.tokens.verify(Purpose.INVITATION, revealed).channel is Channel.REVEALED
    with pytest.raises(NotAllowed):
        await door.invitations.issuing.reveal(made.invitation.id, by=somebody("invitations:read"))


async def test_nobody_is_shown_a_link_to_more_than_they_may_grant(door: Door) -> None:
    made = await door.invite(role="admin")
    peeker = somebody("invitations:read", "invitations:reveal", may_grant=("customer",))
    with pytest.raises(GrantNotAllowed):
        await door.invitations.issuing.reveal(made.invitation.id, by=peeker)


async def test_without_mail_only_who_may_reveal_can_invite(world: World) -> None:
    door = build_door(world, mail=MailRules(transport="off"))
    with pytest.raises(MailDisabled):
        await door.invite(by=somebody("invitations:write", may_grant=("team",)), role="team")
    made = await door.invite(role="team")
    assert made.delivery is not None
    assert (made.delivery.state, made.delivery.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)


async def test_the_end_of_a_group_revokes_what_leads_nowhere_else(door: Door) -> None:
    await door.world.group("spring")
    only = await door.invite("a@people.test", groups=("spring",))
    both = await door.invite("b@people.test", role="team", groups=("spring",))
    await door.world.groups.delete_group(OPERATOR_PRINCIPAL, "spring")
    assert (await door.state(only), await door.state(both)) == (State.REVOKED, State.PENDING)
    await door.world.group("spring")
    accepted = await door.accept(door.token(both))
    assert (accepted.user.role, accepted.user.groups) == ("team", ())


async def test_erasing_a_person_clears_invitations_and_keeps_history(door: Door) -> None:
    user = await door.world.user(email="ada@people.test")
    made = await door.invite(role="team", first_name="Ada", message="Dear Ada")
    await door.world.users.erase_user(OPERATOR_PRINCIPAL, user.id)
    now = await door.now(made)
    assert (now.email, now.first_name, now.message, now.state) == ("erased", None, None, State.REVOKED)
    events = await door.invitations.issuing.events(made.invitation.id, by=OPERATOR_PRINCIPAL, limit=25)
    assert [item.event.type for item in events.items] == [
        "invitation.created",
        "invitation.revoked",
        "invitation.erased",
    ]


# ---- a fresh link ----------------------------------------------------------------------------------------------------


async def test_a_link_that_is_still_good_is_mailed_again_once_in_five_minutes(door: Door) -> None:
    made = await door.invite()
    token = door.token(made)
    await asyncio.gather(*(door.invitations.answering.request_new(token) for _ in range(5)))
    assert len(await door.invitation_mails(made)) == 2
    door.world.clock.forward(timedelta(minutes=5))
    await door.invitations.answering.request_new(token)
    mails = await door.invitation_mails(made)
    assert [mail.generation for mail in mails] == [1, 1, 1]


async def test_a_fresh_link_is_given_five_times(door: Door) -> None:
    made = await door.invite()
    for _ in range(8):
        door.world.clock.forward(timedelta(minutes=6))
        await door.invitations.answering.request_new(door.token(made))
    assert len(await door.invitation_mails(made)) == 6


async def test_an_expired_link_brings_the_next_one_and_the_inviter_is_told(door: Door) -> None:
    inviter = await door.world.user("lead")
    by = replace(door.world.users.principal_of(inviter), permissions=frozenset({"*"}))
    made = await door.invite(by=by, role="team")
    door.world.clock.forward(timedelta(days=8))
    await door.invitations.answering.request_new(door.token(made))
    now = await door.now(made)
    assert (now.state_at(door.world.clock()), now.link.generation) == (State.PENDING, 2)
    assert "link-requested" in [mail.kind for mail in await door.world.mails()]


async def test_no_fresh_link_when_the_sponsor_may_no_longer_send_it(door: Door) -> None:
    inviter = await door.world.user("customer")
    by = replace(door.world.users.principal_of(inviter), permissions=frozenset({"*"}), may_grant=frozenset({"team"}))
    made = await door.invite(by=by, role="team")
    door.world.clock.forward(timedelta(days=8))
    await door.invitations.answering.request_new(door.token(made))
    assert (await door.now(made)).link.generation == 1


async def test_nothing_is_sent_for_what_has_ended_or_was_made_up(door: Door) -> None:
    made = await door.invite()
    await door.invitations.issuing.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL)
    await door.invitations.answering.request_new(door.token(made))
    await door.invitations.answering.request_new("ey.no.no")
    assert len(await door.invitation_mails(made)) == 1


# ---- tidying ---------------------------------------------------------------------------------------------------------


async def test_the_sweep_tells_an_expiry_once_and_forgets_after_the_retention(door: Door) -> None:
    made = await door.invite()
    door.world.clock.forward(timedelta(days=8))
    await asyncio.gather(*(door.invitations.sweep() for _ in range(3)))
    assert (await door.world.events()).count("invitation.expired") == 1
    door.world.clock.forward(timedelta(days=91))
    await door.invitations.sweep()
    with pytest.raises(InvitationNotFound):
        await door.now(made)


async def test_a_remembered_key_that_was_revoked_invites_nobody(door: Door) -> None:
    accounts = door.world.users
    made = await accounts.create_api_key(OPERATOR_PRINCIPAL, name="backend", scopes=("*",))
    by = await accounts.remembered_principal_of_api_key(made.text)
    await door.invite(by=by, role="team")
    await accounts.revoke_api_key(OPERATOR_PRINCIPAL, made.key.id)
    with pytest.raises(CredentialInvalid):  # as another process would, which still remembers it
        await door.invite("b@people.test", by=by, role="team")
    with pytest.raises(CredentialInvalid):
        await accounts.remembered_principal_of_api_key(made.text)


async def test_a_group_made_again_under_its_key_is_found_anew(door: Door) -> None:
    await door.world.group("spring")
    await door.invite("a@people.test", groups=("spring",))
    await door.world.groups.delete_group(OPERATOR_PRINCIPAL, "spring")
    with pytest.raises(GroupNotFound):
        await door.invite("b@people.test", groups=("spring",))
    again = await door.world.group("spring")
    made = await door.invite("b@people.test", groups=("spring",))
    assert [grant.target_id for grant in made.invitation.bundle.groups] == [again.id]
