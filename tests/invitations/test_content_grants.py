"""Invitations to content objects: exactly the offered role is granted."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from tests.invitations.test_accept import refusal
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.service_env import ROLES, ServiceEnv

from latchstring.content.dependencies import ContentDependencies
from latchstring.content.service import Content, NewAccess, NewObject, subject_of
from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.account import User
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    AlreadyInvited,
    AlreadyMember,
    ContentNotFound,
    GrantNotAllowed,
    InvitationAccepted,
    InvitationNotFound,
    InvitationRevoked,
    InviterNotAllowed,
    NotAllowed,
    UserNotFound,
)
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Channel, InvitationDetails, State
from latchstring.domain.mail import DeliveryState, SuppressionReason
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import ContentRules, ContentType
from latchstring.formats.email_address import parse_address
from latchstring.invitations.commands import Profile
from latchstring.users.accounts import UserChanges

RULES = ContentRules(types={"articles": ContentType("articles", "Articles", "article")})
ROUNDS = 12


@dataclass
class ContentInvitationEnv:
    """Invitations with one article, `tide`, and its owner."""

    invitation_env: InvitationEnv
    content: Content
    owner: User
    tide: ContentObject

    def as_(self, user: User) -> Principal:
        return self.invitation_env.service_env.users.principal_of(user)

    async def invite(self, email: str, role: str = "EDITOR", *, by: User | None = None) -> InvitationDetails:
        address = parse_address(email)
        draft = Draft(email=address.email, email_key=address.email_key, content=(("articles", "tide", role),))
        by_ = self.as_(by or self.owner)
        return await self.invitation_env.invitations.create(draft, by=by_, as_maintainer=True)

    async def share(self, *users: tuple[User, ContentRole], visibility: Visibility = Visibility.SHARED) -> None:
        access = NewAccess(visibility=visibility, users={user.id: role for user, role in users})
        await self.content.replace_access(self.tide, access, by=self.as_(self.owner))

    async def create(self) -> ContentObject:
        new = NewObject(title="Tide tables", key="tide", owner_id=self.owner.id)
        return (await self.content.create("articles", new, by=OPERATOR_PRINCIPAL)).object

    async def remove(self) -> None:
        await self.content.delete(self.tide, is_expected=lambda _content: True, by=self.as_(self.owner))

    async def level(self, user: User) -> Level:
        try:
            visible = await self.content.look_up(subject_of(self.as_(user)), "articles", "tide", Level.VIEWER)
        except ContentNotFound:
            return Level.NONE
        return visible.level

    async def visibility(self) -> Visibility:
        subject = subject_of(self.as_(self.owner))
        return (await self.content.look_up(subject, "articles", "tide", Level.VIEWER)).object.visibility


async def build_content_env(service_env: ServiceEnv, rules: ContentRules = RULES) -> ContentInvitationEnv:
    invitation_env = build_invitation_env(service_env, content=rules)
    find_pending = invitation_env.invitations.find_pending
    content = Content.build(
        ContentDependencies(
            db=service_env.db, clock=service_env.clock, rules=rules, roles=ROLES, find_pending=find_pending
        )
    )
    content_env = ContentInvitationEnv(invitation_env, content, await service_env.user("customer"), None)  # type: ignore[arg-type]  # created next
    content_env.tide = await content_env.create()
    return content_env


@pytest.fixture
async def content_env(service_env: ServiceEnv) -> ContentInvitationEnv:
    return await build_content_env(service_env)


async def test_exactly_the_offered_role_is_granted_and_the_object_is_shared(content_env: ContentInvitationEnv) -> None:
    friend = await content_env.invitation_env.service_env.user()
    details = await content_env.invite(friend.email)
    assert await content_env.level(friend) is Level.NONE
    accepted = await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert (await content_env.level(friend), await content_env.visibility()) == (Level.EDITOR, Visibility.SHARED)
    assert [(seen.object.key, seen.level) for seen in accepted.applied.content] == [("tide", Level.EDITOR)]


async def test_a_higher_role_is_kept(content_env: ContentInvitationEnv) -> None:
    friend = await content_env.invitation_env.service_env.user()
    details = await content_env.invite(friend.email, "VIEWER")
    await content_env.share((friend, ContentRole.MAINTAINER))
    accepted = await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert await content_env.level(friend) is Level.MAINTAINER
    assert [(seen.object.key, seen.level) for seen in accepted.applied.content] == [("tide", Level.MAINTAINER)]


async def test_only_maintainers_may_invite_and_others_do_not_find_the_object(content_env: ContentInvitationEnv) -> None:
    editor, other_user = (
        await content_env.invitation_env.service_env.user(),
        await content_env.invitation_env.service_env.user(),
    )
    await content_env.share((editor, ContentRole.EDITOR))
    with pytest.raises(GrantNotAllowed):
        await content_env.invite("a@people.test", by=editor)
    with pytest.raises(ContentNotFound):
        await content_env.invite("a@people.test", by=other_user)
    with pytest.raises(NotAllowed):  # the general route needs the permission as well
        await content_env.invitation_env.invite(
            by=content_env.as_(content_env.owner), content=(("articles", "tide", "VIEWER"),)
        )


async def test_one_invitation_grants_role_groups_and_objects(content_env: ContentInvitationEnv) -> None:
    await content_env.invitation_env.service_env.group("spring")
    details = await content_env.invitation_env.invite(
        role="team", groups=("spring",), content=(("article", "tide", "VIEWER"),)
    )
    accepted = await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert (accepted.user.role, accepted.user.groups) == ("team", ("spring",))
    assert await content_env.level(accepted.user) is Level.VIEWER


async def test_users_who_hold_everything_and_pending_invitees_are_not_invited_again(
    content_env: ContentInvitationEnv,
) -> None:
    friend = await content_env.invitation_env.service_env.user()
    await content_env.share((friend, ContentRole.EDITOR))
    with pytest.raises(AlreadyMember):
        await content_env.invite(friend.email, "VIEWER")
    with pytest.raises(AlreadyMember):
        await content_env.invite(content_env.owner.email, "MAINTAINER")
    first = await content_env.invite("new@people.test")
    with pytest.raises(AlreadyInvited) as caught:
        await content_env.invite("new@people.test")
    assert caught.value.extra == {"id": str(first.invitation.id)}


async def test_the_sponsor_must_maintain_the_object_when_the_link_is_used(content_env: ContentInvitationEnv) -> None:
    helper = await content_env.invitation_env.service_env.user()
    await content_env.share((helper, ContentRole.MAINTAINER))
    details = await content_env.invite("a@people.test", by=helper)
    await content_env.share((helper, ContentRole.EDITOR))
    with pytest.raises(InviterNotAllowed):
        await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    await content_env.share((helper, ContentRole.MAINTAINER))
    await content_env.invitation_env.accept(content_env.invitation_env.token(details))


async def test_links_of_a_blocked_sponsor_stop_working(content_env: ContentInvitationEnv) -> None:
    details = await content_env.invite("a@people.test")
    await content_env.invitation_env.service_env.users.change(
        content_env.owner.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL
    )
    with pytest.raises(InviterNotAllowed):
        await content_env.invitation_env.accept(content_env.invitation_env.token(details))


async def test_private_ends_every_invitation_and_public_none(content_env: ContentInvitationEnv) -> None:
    details = await content_env.invite("a@people.test")
    await content_env.share(visibility=Visibility.PUBLIC)
    await content_env.share(visibility=Visibility.SHARED)  # without grants: PRIVATE, but nothing ends
    assert (await content_env.visibility(), await content_env.invitation_env.state(details)) == (
        Visibility.PRIVATE,
        State.PENDING,
    )
    await content_env.share(visibility=Visibility.PRIVATE)
    with pytest.raises(InvitationRevoked):
        await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert not await content_env.invitation_env.can_be_sent(
        (await content_env.invitation_env.invitation_mails(details))[0]
    )


async def test_a_recreated_object_gets_no_old_grants(content_env: ContentInvitationEnv) -> None:
    friend = await content_env.invitation_env.service_env.user()
    details = await content_env.invite(friend.email)
    await content_env.remove()
    content_env.tide = await content_env.create()
    with pytest.raises(InvitationRevoked):
        await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert await content_env.level(friend) is Level.NONE


async def test_the_remaining_grants_are_applied(content_env: ContentInvitationEnv) -> None:
    details = await content_env.invitation_env.invite(role="team", content=(("articles", "tide", "EDITOR"),))
    await content_env.remove()
    accepted = await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert (accepted.user.role, accepted.applied.content) == ("team", ())
    assert [grant.is_void for grant in (await content_env.invitation_env.reload(details)).bundle.content] == [True]


async def test_a_used_link_does_not_restore_withdrawn_access(content_env: ContentInvitationEnv) -> None:
    friend = await content_env.invitation_env.service_env.user()
    details = await content_env.invite(friend.email)
    await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    await content_env.share()
    with pytest.raises(InvitationAccepted):
        await content_env.invitation_env.accept(content_env.invitation_env.token(details))
    assert await content_env.level(friend) is Level.NONE


async def test_a_maintainer_withdraws_only_grants_on_the_own_object(content_env: ContentInvitationEnv) -> None:
    other_user = await content_env.invitation_env.service_env.user()
    invitations = content_env.invitation_env.invitations
    details = await content_env.invite("a@people.test")
    mixed = await content_env.invitation_env.invite(
        "b@people.test", role="team", content=(("articles", "tide", "EDITOR"),)
    )
    assert [
        pending.email for pending in await content_env.invitation_env.invitations.find_pending(content_env.tide.id)
    ] == [
        "a@people.test",
        "b@people.test",
    ]
    with pytest.raises(InvitationNotFound):
        await invitations.withdraw(details.invitation.id, by=content_env.as_(other_user))
    for pending in (details, mixed):
        await invitations.withdraw(pending.invitation.id, by=content_env.as_(content_env.owner))
        with pytest.raises(InvitationNotFound):
            await invitations.withdraw(pending.invitation.id, by=content_env.as_(content_env.owner))
    assert (await content_env.invitation_env.state(details), await content_env.invitation_env.state(mixed)) == (
        State.REVOKED,
        State.PENDING,
    )
    assert await content_env.invitation_env.invitations.find_pending(content_env.tide.id) == ()


async def test_unregistered_addresses_cannot_accept_where_an_account_is_required(service_env: ServiceEnv) -> None:
    content_env = await build_content_env(service_env, replace(RULES, allow_unregistered_users=False))
    friend = await service_env.user()
    known, unknown = await content_env.invite(friend.email), await content_env.invite("nobody@people.test")
    assert (known.delivery, unknown.delivery) == (
        None,
        None,
    )  # the inviter must not learn which addresses have accounts
    read_by_operator = [
        await content_env.invitation_env.invitations.get(s.invitation.id, by=OPERATOR_PRINCIPAL)
        for s in (known, unknown)
    ]
    assert [item.delivery and (item.delivery.state, item.delivery.reason) for item in read_by_operator] == [
        (DeliveryState.QUEUED, None),
        (DeliveryState.SUPPRESSED, SuppressionReason.UNREGISTERED),
    ]
    assert {
        pending.delivery for pending in await content_env.invitation_env.invitations.find_pending(content_env.tide.id)
    } == {None}
    for channel in Channel:
        with pytest.raises(UserNotFound):
            await content_env.invitation_env.accept(content_env.invitation_env.token(unknown, channel))
    await content_env.invitation_env.invitations.responses.request_new(content_env.invitation_env.token(unknown))
    assert len(await content_env.invitation_env.invitation_mails(unknown)) == 1
    await content_env.invitation_env.accept(content_env.invitation_env.token(known), Profile())
    assert await content_env.level(friend) is Level.EDITOR


async def test_invitations_to_content_have_their_own_lifetime(service_env: ServiceEnv) -> None:
    content_env = await build_content_env(service_env, replace(RULES, lifetime=timedelta(days=2)))
    details = await content_env.invite("a@people.test")
    assert details.invitation.lifetime == timedelta(days=2)
    url = content_env.invitation_env.invitations.links.url_of(details.invitation, Channel.MAILED)
    assert url.startswith("https://invite.example.org/content/articles/tide/accept-invitation?token=ey")


# ---- concurrency -----------------------------------------------------------------------------------------------------


async def test_accept_and_private_at_once_are_consistent(content_env: ContentInvitationEnv) -> None:
    for number in range(ROUNDS):
        friend = await content_env.invitation_env.service_env.user(email=f"f{number}@people.test")
        details = await content_env.invite(friend.email)
        accepted, closed = await asyncio.gather(
            refusal(content_env.invitation_env.accept(content_env.invitation_env.token(details))),
            refusal(content_env.share(visibility=Visibility.PRIVATE)),
        )
        assert closed == ""
        assert (await content_env.visibility(), await content_env.level(friend)) == (Visibility.PRIVATE, Level.NONE)
        # either PRIVATE came first and ended the invitation, or the grant came first and PRIVATE removed it
        assert (accepted, await content_env.invitation_env.state(details)) in {
            ("", State.ACCEPTED),
            ("invitation-revoked", State.REVOKED),
        }


async def test_accept_and_object_deletion_at_once_are_consistent(content_env: ContentInvitationEnv) -> None:
    for number in range(ROUNDS):
        details = await content_env.invite(f"e{number}@people.test")
        accepted, removed = await asyncio.gather(
            refusal(content_env.invitation_env.accept(content_env.invitation_env.token(details))),
            refusal(content_env.remove()),
        )
        assert removed == ""
        assert (accepted, await content_env.invitation_env.state(details)) in {
            ("", State.ACCEPTED),
            ("invitation-revoked", State.REVOKED),
        }
        content_env.tide = await content_env.create()


async def accept_with_retries(content_env: ContentInvitationEnv, token: str) -> str:
    """With SERIALIZABLE, ten writers of one row may get StorageBusy; clients retry."""
    code = "storage-busy"
    while code == "storage-busy":
        code = await refusal(content_env.invitation_env.accept(token))
    return code


async def test_many_accepts_of_one_object_at_once_all_succeed(content_env: ContentInvitationEnv) -> None:
    friends = [await content_env.invitation_env.service_env.user() for _ in range(10)]
    tokens = [content_env.invitation_env.token(await content_env.invite(friend.email)) for friend in friends]
    assert set(await asyncio.gather(*(accept_with_retries(content_env, token) for token in tokens))) == {""}
    assert {await content_env.level(friend) for friend in friends} == {Level.EDITOR}


async def test_accept_and_withdraw_at_once_agree_with_the_final_state(content_env: ContentInvitationEnv) -> None:
    invitations = content_env.invitation_env.invitations
    for number in range(ROUNDS):
        details = await content_env.invite(f"w{number}@people.test")
        answers = await asyncio.gather(
            refusal(content_env.invitation_env.accept(content_env.invitation_env.token(details))),
            refusal(invitations.withdraw(details.invitation.id, by=content_env.as_(content_env.owner))),
        )
        assert (*answers, await content_env.invitation_env.state(details)) in {
            ("", "invitation-not-found", State.ACCEPTED),
            ("invitation-revoked", "", State.REVOKED),
        }


async def test_inviting_and_object_deletion_at_once_leave_no_pending_invitation(
    content_env: ContentInvitationEnv,
) -> None:
    for number in range(ROUNDS):
        email = f"i{number}@people.test"
        details, removed = await asyncio.gather(
            content_env.invite(email), refusal(content_env.remove()), return_exceptions=True
        )
        assert removed == ""
        if isinstance(details, InvitationDetails):
            assert await content_env.invitation_env.state(details) is State.REVOKED
        content_env.tide = await content_env.create()
