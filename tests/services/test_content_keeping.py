"""Access changed one grant at a time by those who look after every object, also when several do so at once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.services.conftest import World
from tests.services.door import build_door
from tests.services.test_content import RULES, Stage, settle

from latchstring.content.service import AccessChanges, Content
from latchstring.domain.access import ContentObject, Visibility
from latchstring.domain.account import Admin
from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    ChangedMeanwhile,
    ContentNotFound,
    GroupNotFound,
    InvitationRevoked,
    NotAllowed,
    RefreshTokenInvalid,
    UserNotFound,
)
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.domain.mail import MailKind
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.formats.email_address import parse_address
from latchstring.groups.service import GroupWords, words_of

ROUNDS = 8


def admin(world: World, role: str = "manager") -> Principal:
    """An administrator; his row is needed by nothing here."""
    return principal_of_admin(Admin(new_id(world.clock()), "mira@panel.test", "mira@panel.test", "Mira", role))


@pytest.fixture
async def stage(world: World) -> Stage:
    room = Content(db=world.db, clock=world.clock, rules=RULES, roles={})
    return Stage(world, room, await world.user(None))


async def test_grants_are_given_changed_and_taken_one_by_one(stage: Stage) -> None:
    mira, one = admin(stage.world), await stage.make()
    ann, ben = await stage.world.user(), await stage.world.user()
    group = await stage.world.group("spring")
    gave = AccessChanges(users={ann.id: ContentRole.MAINTAINER}, groups={"spring": ContentRole.VIEWER})
    assert (await stage.content.change_access(mira, one, gave)).visibility is Visibility.SHARED
    less = AccessChanges(users={ann.id: ContentRole.VIEWER, ben.id: ContentRole.EDITOR})
    await stage.content.change_access(mira, one, less)
    assert (await stage.access(one)).grants == {
        ann.id: ContentRole.VIEWER,
        ben.id: ContentRole.EDITOR,
        group.id: ContentRole.VIEWER,
    }
    taken = await stage.content.change_access(mira, one, AccessChanges(withdrawn=frozenset({ann.id, ben.id, group.id})))
    assert (taken.visibility, taken.missing) == (Visibility.PRIVATE, frozenset())
    again = await stage.content.change_access(mira, one, AccessChanges(withdrawn=frozenset({ann.id})))
    assert again.missing == {ann.id}
    changes = [data for name, data in await stage.history(one) if name == "content.access_changed"]
    assert [data["visibility"] for data in changes] == ["SHARED", "SHARED", "PRIVATE"]
    assert changes[1]["granted"] == {str(ann.id): "VIEWER", str(ben.id): "EDITOR"}
    await stage.nothing_dangles()


async def test_public_stays_public_and_shared_with_nobody_is_private(stage: Stage) -> None:
    mira, one = admin(stage.world), await stage.make()
    public = await stage.content.change_access(mira, one, AccessChanges(visibility=Visibility.PUBLIC))
    assert public.visibility is Visibility.PUBLIC
    shared = await stage.content.change_access(mira, one, AccessChanges(visibility=Visibility.SHARED))
    assert shared.visibility is Visibility.PRIVATE


async def test_the_owner_gets_no_grant_and_the_unknown_change_nothing(stage: Stage) -> None:
    mira, one = admin(stage.world), await stage.make()
    ann = await stage.world.user()
    own = AccessChanges(users={stage.owner.id: ContentRole.EDITOR})
    assert (await stage.content.change_access(mira, one, own)).visibility is Visibility.PRIVATE
    unknown = {ann.id: ContentRole.EDITOR, new_id(stage.world.clock()): ContentRole.VIEWER}
    with pytest.raises(UserNotFound):
        await stage.content.change_access(mira, one, AccessChanges(users=unknown))
    with pytest.raises(GroupNotFound):
        await stage.content.change_access(mira, one, AccessChanges(groups={"none": ContentRole.VIEWER}))
    assert (await stage.access(one)).grants == {}


async def test_who_may_not_is_refused(stage: Stage) -> None:
    one, viewer = await stage.make(), admin(stage.world, "viewer")
    with pytest.raises(NotAllowed):
        await stage.content.change_access(viewer, one, AccessChanges(visibility=Visibility.PUBLIC))
    with pytest.raises(NotAllowed):
        await stage.content.hand_over(viewer, one, stage.owner.id)
    with pytest.raises(NotAllowed):
        await stage.content.get_object(stage.as_(await stage.world.user()), "articles", one.key)
    key = replace(OPERATOR_PRINCIPAL, type=ActorType.API_KEY, id=new_id(stage.world.clock()))
    with pytest.raises(NotAllowed):  # no key hands over, whatever its scopes
        await stage.content.hand_over(key, one, (await stage.world.user()).id)
    with pytest.raises(ContentNotFound):
        await stage.content.get_object(viewer, "articles", "none")


async def test_handing_over_keeps_the_owner_before_as_maintainer(stage: Stage) -> None:
    mira, one, heir = admin(stage.world), await stage.make(), await stage.world.user()
    await stage.content.hand_over(mira, one, heir.id)
    access = await stage.access(one)
    assert (access.owner_id, access.visibility) == (heir.id, Visibility.SHARED)
    assert access.grants == {stage.owner.id: ContentRole.MAINTAINER}
    name, data = (await stage.history(one))[-1]
    assert (name, data) == ("content.owner_changed", {"from": str(stage.owner.id), "to": str(heir.id)})
    await stage.nothing_dangles()


async def test_closing_and_giving_at_once_leave_nothing_half_done(stage: Stage) -> None:
    mira, ann = admin(stage.world), await stage.world.user()
    for _ in range(ROUNDS):
        one = await stage.make(title=f"One {new_id(stage.world.clock())}")
        ended = await settle(
            stage.content.change_access(mira, one, AccessChanges(users={ann.id: ContentRole.EDITOR})),
            stage.content.change_access(mira, one, AccessChanges(visibility=Visibility.PRIVATE)),
            stage.content.change_access(mira, one, AccessChanges(withdrawn=frozenset({ann.id}))),
        )
        assert ended == [None, None, None]
        await stage.nothing_dangles()


async def test_withdrawing_from_one_object_leaves_the_rest_of_an_invitation(stage: Stage) -> None:
    mira, one, two = admin(stage.world), await stage.make(), await stage.make(title="Two")
    door = build_door(stage.world, content=RULES)
    address = parse_address("jo@people.test")
    content = tuple((thing.type, thing.key, "VIEWER") for thing in (one, two))
    draft = Draft(email=address.email, email_key=address.email_key, content=content)
    made = await door.invitations.issuing.create(draft, by=OPERATOR_PRINCIPAL)
    pending, more = await stage.content.list_pending(mira, one)
    assert ([entry.email for entry in pending], more) == (["jo@people.test"], False)
    assert (await stage.content.count_on_the_way(mira, one)).number == 1
    assert await stage.content.withdraw_invitation(mira, one, made.invitation.id)
    assert not await stage.content.withdraw_invitation(mira, one, made.invitation.id)
    assert [grant.target_id for grant in (await door.now(made)).bundle.live] == [two.id]
    assert await stage.content.withdraw_invitation(mira, two, made.invitation.id)
    with pytest.raises(InvitationRevoked):
        await door.invitations.answering.look_up(door.token(made))
    stage.world.clock.forward(timedelta(days=40))
    assert (await stage.content.count_on_the_way(mira, two)).number == 0


async def test_what_a_group_holds_comes_in_pages(stage: Stage) -> None:
    mira = admin(stage.world)
    group = await stage.world.group("spring")
    made: list[ContentObject] = []
    for number in range(53):
        made.append(await stage.make(title=f"One {number}", key=f"k{number}"))
        role = list(ContentRole)[number % 3]
        await stage.content.change_access(mira, made[-1], AccessChanges(groups={"spring": role}))
    first = await stage.content.list_granted(mira, group.id)
    assert first.next is not None
    second = await stage.content.list_granted(mira, group.id, cursor=first.next)
    assert second.next is None
    assert {held.object.id for held in (*first.items, *second.items)} == {one.id for one in made}
    assert (await stage.content.count_granted(mira, group.id)).number == 53
    owned = await stage.content.list_owned(mira, stage.owner.id)
    assert len(owned.items) == 50
    assert owned.next is not None


# ---- users and groups ------------------------------------------------------------------------------------------------


async def test_ending_sessions_and_sending_links_are_history(world: World) -> None:
    mira, ann = admin(world), await world.user(email_verified=False)
    _, tokens = await world.users.login(ann.email_key, "correct horse 9 Battery")
    await world.users.end_sessions_of_user(mira, ann.id)
    with pytest.raises(RefreshTokenInvalid):
        await world.users.refresh(tokens.refresh_token)
    assert await world.users.send_link(mira, ann.id, MailKind.PASSWORD_RESET)
    assert await world.users.send_link(mira, ann.id, MailKind.EMAIL_VERIFICATION)
    mails = await world.mails()
    await world.users.verify_email(await world.token_of(mails[-1]))
    assert not await world.users.send_link(mira, ann.id, MailKind.EMAIL_VERIFICATION)
    history = await world.users.list_history(mira, ann.id)
    assert [one.event.type for one in history.items] == [
        "user.email_verified",
        "user.link_sent",
        "user.link_sent",
        "user.sessions_ended",
        "user.signed_in",
        "user.created",
    ]
    assert history.next is None


async def test_viewers_do_none_of_it(world: World) -> None:
    viewer, ann = admin(world, "viewer"), await world.user()
    with pytest.raises(NotAllowed):
        await world.users.end_sessions_of_user(viewer, ann.id)
    with pytest.raises(NotAllowed):
        await world.users.send_link(viewer, ann.id, MailKind.PASSWORD_RESET)
    with pytest.raises(UserNotFound):
        await world.users.end_sessions_of_user(admin(world), new_id(world.clock()))


async def test_saving_a_group_that_somebody_changed_is_refused(world: World) -> None:
    mira, group = admin(world), await world.group("spring")
    seen, wanted = words_of(group), GroupWords(name="Autumn")
    ended = await settle(
        *(world.groups.replace_group(mira, "spring", replace(wanted, name=f"Autumn {n}"), before=seen) for n in "ab")
    )
    assert sorted(type(one).__name__ for one in ended) == [ChangedMeanwhile.__name__, "NoneType"]
