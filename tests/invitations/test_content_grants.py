"""Invitations to one object: exactly the right that was offered, and never half of it."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from tests.invitations.test_accept import refusal
from tests.support.invitation_env import Door, build_door
from tests.support.service_env import ROLES, World

from latchstring.content.service import Content, NewAccess, NewObject
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
from latchstring.domain.invitation import Channel, Standing, State
from latchstring.domain.mail import DeliveryState, SuppressionReason
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import ContentRules, ContentType
from latchstring.formats.email_address import parse_address
from latchstring.invitations.commands import Profile
from latchstring.users.accounts import UserChanges

RULES = ContentRules(types={"articles": ContentType("articles", "Articles", "article")})
ROUNDS = 12


@dataclass
class Shelf:
    """A door with one article behind it, `tide`, and who owns it."""

    door: Door
    content: Content
    owner: User
    tide: ContentObject

    def as_(self, user: User) -> Principal:
        return self.door.world.users.principal_of(user)

    async def invite(self, email: str, role: str = "EDITOR", *, by: User | None = None) -> Standing:
        address = parse_address(email)
        draft = Draft(email=address.email, email_key=address.email_key, content=(("articles", "tide", role),))
        by_ = self.as_(by or self.owner)
        return await self.door.invitations.issuing.create(draft, by=by_, as_maintainer=True)

    async def share(self, *users: tuple[User, ContentRole], visibility: Visibility = Visibility.SHARED) -> None:
        access = NewAccess(visibility=visibility, users={user.id: role for user, role in users})
        await self.content.replace_access(self.as_(self.owner), self.tide, access)

    async def make(self) -> ContentObject:
        new = NewObject(title="Tide tables", key="tide", owner_id=self.owner.id)
        return (await self.content.create_object(OPERATOR_PRINCIPAL, "articles", new)).object

    async def remove(self) -> None:
        await self.content.delete_object(self.as_(self.owner), self.tide, is_expected=lambda _one: True)

    async def level(self, user: User) -> Level:
        try:
            seen = await self.content.look_up(self.content.subject_of(self.as_(user)), "articles", "tide", Level.VIEWER)
        except ContentNotFound:
            return Level.NONE
        return seen.level

    async def visibility(self) -> Visibility:
        subject = self.content.subject_of(self.as_(self.owner))
        return (await self.content.look_up(subject, "articles", "tide", Level.VIEWER)).object.visibility


async def build_shelf(world: World, rules: ContentRules = RULES) -> Shelf:
    door = build_door(world, content=rules)
    find_pending = door.invitations.find_pending
    content = Content(db=world.db, clock=world.clock, rules=rules, roles=ROLES, find_pending=find_pending)
    shelf = Shelf(door, content, await world.user("customer"), None)  # type: ignore[arg-type]  # made next
    shelf.tide = await shelf.make()
    return shelf


@pytest.fixture
async def shelf(world: World) -> Shelf:
    return await build_shelf(world)


async def test_exactly_the_offered_right_is_given_and_the_object_is_shared(shelf: Shelf) -> None:
    friend = await shelf.door.world.user()
    made = await shelf.invite(friend.email)
    assert await shelf.level(friend) is Level.NONE
    accepted = await shelf.door.accept(shelf.door.token(made))
    assert (await shelf.level(friend), await shelf.visibility()) == (Level.EDITOR, Visibility.SHARED)
    assert [(seen.object.key, seen.level) for seen in accepted.applied.content] == [("tide", Level.EDITOR)]


async def test_a_greater_right_already_held_stays(shelf: Shelf) -> None:
    friend = await shelf.door.world.user()
    made = await shelf.invite(friend.email, "VIEWER")
    await shelf.share((friend, ContentRole.MAINTAINER))
    accepted = await shelf.door.accept(shelf.door.token(made))
    assert await shelf.level(friend) is Level.MAINTAINER
    assert [(seen.object.key, seen.level) for seen in accepted.applied.content] == [("tide", Level.MAINTAINER)]


async def test_only_maintainers_invite_and_strangers_find_nothing(shelf: Shelf) -> None:
    editor, stranger = await shelf.door.world.user(), await shelf.door.world.user()
    await shelf.share((editor, ContentRole.EDITOR))
    with pytest.raises(GrantNotAllowed):
        await shelf.invite("a@people.test", by=editor)
    with pytest.raises(ContentNotFound):
        await shelf.invite("a@people.test", by=stranger)
    with pytest.raises(NotAllowed):  # the general route needs the permission as well
        await shelf.door.invite(by=shelf.as_(shelf.owner), content=(("articles", "tide", "VIEWER"),))


async def test_one_link_carries_role_groups_and_objects(shelf: Shelf) -> None:
    await shelf.door.world.group("spring")
    made = await shelf.door.invite(role="team", groups=("spring",), content=(("article", "tide", "VIEWER"),))
    accepted = await shelf.door.accept(shelf.door.token(made))
    assert (accepted.user.role, accepted.user.groups) == ("team", ("spring",))
    assert await shelf.level(accepted.user) is Level.VIEWER


async def test_who_has_it_all_is_not_invited_and_nobody_twice(shelf: Shelf) -> None:
    friend = await shelf.door.world.user()
    await shelf.share((friend, ContentRole.EDITOR))
    with pytest.raises(AlreadyMember):
        await shelf.invite(friend.email, "VIEWER")
    with pytest.raises(AlreadyMember):
        await shelf.invite(shelf.owner.email, "MAINTAINER")
    first = await shelf.invite("new@people.test")
    with pytest.raises(AlreadyInvited) as caught:
        await shelf.invite("new@people.test")
    assert caught.value.extra == {"id": str(first.invitation.id)}


async def test_the_sponsor_must_maintain_the_object_when_the_link_is_used(shelf: Shelf) -> None:
    helper = await shelf.door.world.user()
    await shelf.share((helper, ContentRole.MAINTAINER))
    made = await shelf.invite("a@people.test", by=helper)
    await shelf.share((helper, ContentRole.EDITOR))
    with pytest.raises(InviterNotAllowed):
        await shelf.door.accept(shelf.door.token(made))
    await shelf.share((helper, ContentRole.MAINTAINER))
    await shelf.door.accept(shelf.door.token(made))


async def test_a_blocked_sponsor_ends_his_links(shelf: Shelf) -> None:
    made = await shelf.invite("a@people.test")
    await shelf.door.world.users.change_user(OPERATOR_PRINCIPAL, shelf.owner.id, UserChanges(blocked=True))
    with pytest.raises(InviterNotAllowed):
        await shelf.door.accept(shelf.door.token(made))


async def test_private_ends_every_link_and_public_none(shelf: Shelf) -> None:
    made = await shelf.invite("a@people.test")
    await shelf.share(visibility=Visibility.PUBLIC)
    await shelf.share(visibility=Visibility.SHARED)  # with nobody: PRIVATE, but nothing ends
    assert (await shelf.visibility(), await shelf.door.state(made)) == (Visibility.PRIVATE, State.PENDING)
    await shelf.share(visibility=Visibility.PRIVATE)
    with pytest.raises(InvitationRevoked):
        await shelf.door.accept(shelf.door.token(made))
    assert not await shelf.door.can_be_sent((await shelf.door.invitation_mails(made))[0])


async def test_an_object_made_again_inherits_nothing(shelf: Shelf) -> None:
    friend = await shelf.door.world.user()
    made = await shelf.invite(friend.email)
    await shelf.remove()
    shelf.tide = await shelf.make()
    with pytest.raises(InvitationRevoked):
        await shelf.door.accept(shelf.door.token(made))
    assert await shelf.level(friend) is Level.NONE


async def test_what_remains_of_a_bundle_is_applied(shelf: Shelf) -> None:
    made = await shelf.door.invite(role="team", content=(("articles", "tide", "EDITOR"),))
    await shelf.remove()
    accepted = await shelf.door.accept(shelf.door.token(made))
    assert (accepted.user.role, accepted.applied.content) == ("team", ())
    assert [grant.void for grant in (await shelf.door.now(made)).bundle.content] == [True]


async def test_a_used_link_gives_nothing_back_to_who_was_removed(shelf: Shelf) -> None:
    friend = await shelf.door.world.user()
    made = await shelf.invite(friend.email)
    await shelf.door.accept(shelf.door.token(made))
    await shelf.share()
    with pytest.raises(InvitationAccepted):
        await shelf.door.accept(shelf.door.token(made))
    assert await shelf.level(friend) is Level.NONE


async def test_a_maintainer_withdraws_what_is_his_to_withdraw(shelf: Shelf) -> None:
    stranger = await shelf.door.world.user()
    issuing = shelf.door.invitations.issuing
    made = await shelf.invite("a@people.test")
    mixed = await shelf.door.invite("b@people.test", role="team", content=(("articles", "tide", "EDITOR"),))
    assert [one.email for one in await shelf.door.invitations.find_pending(shelf.tide.id)] == [
        "a@people.test",
        "b@people.test",
    ]
    with pytest.raises(InvitationNotFound):
        await issuing.withdraw(made.invitation.id, by=shelf.as_(stranger))
    for one in (made, mixed):
        await issuing.withdraw(one.invitation.id, by=shelf.as_(shelf.owner))
        with pytest.raises(InvitationNotFound):
            await issuing.withdraw(one.invitation.id, by=shelf.as_(shelf.owner))
    assert (await shelf.door.state(made), await shelf.door.state(mixed)) == (State.REVOKED, State.PENDING)
    assert await shelf.door.invitations.find_pending(shelf.tide.id) == ()


async def test_strangers_stay_out_where_only_accounts_may_be_invited(world: World) -> None:
    shelf = await build_shelf(world, replace(RULES, allow_unregistered_users=False))
    friend = await world.user()
    known, unknown = await shelf.invite(friend.email), await shelf.invite("nobody@people.test")
    assert (known.delivery, unknown.delivery) == (None, None)  # whoever asked learns nothing of accounts
    facts = [await shelf.door.invitations.issuing.get(s.invitation.id, by=OPERATOR_PRINCIPAL) for s in (known, unknown)]
    assert [fact.delivery and (fact.delivery.state, fact.delivery.reason) for fact in facts] == [
        (DeliveryState.QUEUED, None),
        (DeliveryState.SUPPRESSED, SuppressionReason.UNREGISTERED),
    ]
    assert {one.delivery for one in await shelf.door.invitations.find_pending(shelf.tide.id)} == {None}
    for channel in Channel:
        with pytest.raises(UserNotFound):
            await shelf.door.accept(shelf.door.token(unknown, channel))
    await shelf.door.invitations.answering.request_new(shelf.door.token(unknown))
    assert len(await shelf.door.invitation_mails(unknown)) == 1
    await shelf.door.accept(shelf.door.token(known), Profile())
    assert await shelf.level(friend) is Level.EDITOR


async def test_links_to_content_have_a_lifetime_of_their_own(world: World) -> None:
    shelf = await build_shelf(world, replace(RULES, lifetime=timedelta(days=2)))
    made = await shelf.invite("a@people.test")
    assert made.invitation.lifetime == timedelta(days=2)
    url = shelf.door.invitations.links.url_of(made.invitation, Channel.MAILED)
    assert url.startswith("https://invite.example.org/content/articles/tide/accept-invitation?token=ey")


# ---- at once ---------------------------------------------------------------------------------------------------------


async def test_accept_and_private_at_once_end_in_an_order_that_explains_both(shelf: Shelf) -> None:
    for number in range(ROUNDS):
        friend = await shelf.door.world.user(email=f"f{number}@people.test")
        made = await shelf.invite(friend.email)
        accepted, closed = await asyncio.gather(
            refusal(shelf.door.accept(shelf.door.token(made))),
            refusal(shelf.share(visibility=Visibility.PRIVATE)),
        )
        assert closed == ""
        assert (await shelf.visibility(), await shelf.level(friend)) == (Visibility.PRIVATE, Level.NONE)
        # either PRIVATE came first and ended the link, or the grant came first and PRIVATE took it away
        assert (accepted, await shelf.door.state(made)) in {
            ("", State.ACCEPTED),
            ("invitation-revoked", State.REVOKED),
        }


async def test_accept_and_the_end_of_the_object_at_once_leave_no_half(shelf: Shelf) -> None:
    for number in range(ROUNDS):
        made = await shelf.invite(f"e{number}@people.test")
        accepted, removed = await asyncio.gather(
            refusal(shelf.door.accept(shelf.door.token(made))), refusal(shelf.remove())
        )
        assert removed == ""
        assert (accepted, await shelf.door.state(made)) in {
            ("", State.ACCEPTED),
            ("invitation-revoked", State.REVOKED),
        }
        shelf.tide = await shelf.make()


async def accept_at_last(shelf: Shelf, token: str) -> str:
    """At SERIALIZABLE ten writers of one row may be told 503 and to come back; a client does."""
    code = "storage-busy"
    while code == "storage-busy":
        code = await refusal(shelf.door.accept(token))
    return code


async def test_many_accepts_of_one_object_at_once_lose_nobody(shelf: Shelf) -> None:
    friends = [await shelf.door.world.user() for _ in range(10)]
    tokens = [shelf.door.token(await shelf.invite(friend.email)) for friend in friends]
    assert set(await asyncio.gather(*(accept_at_last(shelf, token) for token in tokens))) == {""}
    assert {await shelf.level(friend) for friend in friends} == {Level.EDITOR}


async def test_accept_and_withdraw_at_once_agree(shelf: Shelf) -> None:
    issuing = shelf.door.invitations.issuing
    for number in range(ROUNDS):
        made = await shelf.invite(f"w{number}@people.test")
        answers = await asyncio.gather(
            refusal(shelf.door.accept(shelf.door.token(made))),
            refusal(issuing.withdraw(made.invitation.id, by=shelf.as_(shelf.owner))),
        )
        assert (*answers, await shelf.door.state(made)) in {
            ("", "invitation-not-found", State.ACCEPTED),
            ("invitation-revoked", "", State.REVOKED),
        }


async def test_inviting_and_the_end_of_the_object_at_once_leave_no_live_link(shelf: Shelf) -> None:
    for number in range(ROUNDS):
        email = f"i{number}@people.test"
        made, removed = await asyncio.gather(shelf.invite(email), refusal(shelf.remove()), return_exceptions=True)
        assert removed == ""
        if isinstance(made, Standing):
            assert await shelf.door.state(made) is State.REVOKED
        shelf.tide = await shelf.make()
