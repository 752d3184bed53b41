"""Access changed one grant at a time by those who look after every object, also when several do so at once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.content.test_changes import RULES, ContentEnv, settle
from tests.support.invitation_env import build_invitation_env
from tests.support.service_env import ServiceEnv

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


def admin(service_env: ServiceEnv, role: str = "manager") -> Principal:
    """An administrator; his row is needed by nothing here."""
    return principal_of_admin(Admin(new_id(service_env.clock()), "mira@panel.test", "mira@panel.test", "Mira", role))


@pytest.fixture
async def content_env(service_env: ServiceEnv) -> ContentEnv:
    room = Content(db=service_env.db, clock=service_env.clock, rules=RULES, roles={})
    return ContentEnv(service_env, room, await service_env.user(None))


async def test_grants_are_given_changed_and_taken_one_by_one(content_env: ContentEnv) -> None:
    mira, one = admin(content_env.service_env), await content_env.make()
    ann, ben = await content_env.service_env.user(), await content_env.service_env.user()
    group = await content_env.service_env.group("spring")
    gave = AccessChanges(users={ann.id: ContentRole.MAINTAINER}, groups={"spring": ContentRole.VIEWER})
    assert (await content_env.content.change_access(mira, one, gave)).visibility is Visibility.SHARED
    less = AccessChanges(users={ann.id: ContentRole.VIEWER, ben.id: ContentRole.EDITOR})
    await content_env.content.change_access(mira, one, less)
    assert (await content_env.access(one)).grants == {
        ann.id: ContentRole.VIEWER,
        ben.id: ContentRole.EDITOR,
        group.id: ContentRole.VIEWER,
    }
    taken = await content_env.content.change_access(
        mira, one, AccessChanges(withdrawn=frozenset({ann.id, ben.id, group.id}))
    )
    assert (taken.visibility, taken.missing) == (Visibility.PRIVATE, frozenset())
    again = await content_env.content.change_access(mira, one, AccessChanges(withdrawn=frozenset({ann.id})))
    assert again.missing == {ann.id}
    changes = [data for name, data in await content_env.history(one) if name == "content.access_changed"]
    assert [data["visibility"] for data in changes] == ["SHARED", "SHARED", "PRIVATE"]
    assert changes[1]["granted"] == {str(ann.id): "VIEWER", str(ben.id): "EDITOR"}
    await content_env.nothing_dangles()


async def test_public_stays_public_and_shared_with_nobody_is_private(content_env: ContentEnv) -> None:
    mira, one = admin(content_env.service_env), await content_env.make()
    public = await content_env.content.change_access(mira, one, AccessChanges(visibility=Visibility.PUBLIC))
    assert public.visibility is Visibility.PUBLIC
    shared = await content_env.content.change_access(mira, one, AccessChanges(visibility=Visibility.SHARED))
    assert shared.visibility is Visibility.PRIVATE


async def test_the_owner_gets_no_grant_and_the_unknown_change_nothing(content_env: ContentEnv) -> None:
    mira, one = admin(content_env.service_env), await content_env.make()
    ann = await content_env.service_env.user()
    own = AccessChanges(users={content_env.owner.id: ContentRole.EDITOR})
    assert (await content_env.content.change_access(mira, one, own)).visibility is Visibility.PRIVATE
    unknown = {ann.id: ContentRole.EDITOR, new_id(content_env.service_env.clock()): ContentRole.VIEWER}
    with pytest.raises(UserNotFound):
        await content_env.content.change_access(mira, one, AccessChanges(users=unknown))
    with pytest.raises(GroupNotFound):
        await content_env.content.change_access(mira, one, AccessChanges(groups={"none": ContentRole.VIEWER}))
    assert (await content_env.access(one)).grants == {}


async def test_who_may_not_is_refused(content_env: ContentEnv) -> None:
    one, viewer = await content_env.make(), admin(content_env.service_env, "viewer")
    with pytest.raises(NotAllowed):
        await content_env.content.change_access(viewer, one, AccessChanges(visibility=Visibility.PUBLIC))
    with pytest.raises(NotAllowed):
        await content_env.content.hand_over(viewer, one, content_env.owner.id)
    with pytest.raises(NotAllowed):
        await content_env.content.get_object(content_env.as_(await content_env.service_env.user()), "articles", one.key)
    key = replace(OPERATOR_PRINCIPAL, type=ActorType.API_KEY, id=new_id(content_env.service_env.clock()))
    with pytest.raises(NotAllowed):  # no key hands over, whatever its scopes
        await content_env.content.hand_over(key, one, (await content_env.service_env.user()).id)
    with pytest.raises(ContentNotFound):
        await content_env.content.get_object(viewer, "articles", "none")


async def test_handing_over_keeps_the_owner_before_as_maintainer(content_env: ContentEnv) -> None:
    mira, one, heir = admin(content_env.service_env), await content_env.make(), await content_env.service_env.user()
    await content_env.content.hand_over(mira, one, heir.id)
    access = await content_env.access(one)
    assert (access.owner_id, access.visibility) == (heir.id, Visibility.SHARED)
    assert access.grants == {content_env.owner.id: ContentRole.MAINTAINER}
    name, data = (await content_env.history(one))[-1]
    assert (name, data) == ("content.owner_changed", {"from": str(content_env.owner.id), "to": str(heir.id)})
    await content_env.nothing_dangles()


async def test_closing_and_giving_at_once_leave_nothing_half_done(content_env: ContentEnv) -> None:
    mira, ann = admin(content_env.service_env), await content_env.service_env.user()
    for _ in range(ROUNDS):
        one = await content_env.make(title=f"One {new_id(content_env.service_env.clock())}")
        ended = await settle(
            content_env.content.change_access(mira, one, AccessChanges(users={ann.id: ContentRole.EDITOR})),
            content_env.content.change_access(mira, one, AccessChanges(visibility=Visibility.PRIVATE)),
            content_env.content.change_access(mira, one, AccessChanges(withdrawn=frozenset({ann.id}))),
        )
        assert ended == [None, None, None]
        await content_env.nothing_dangles()


async def test_withdrawing_from_one_object_leaves_the_rest_of_an_invitation(content_env: ContentEnv) -> None:
    mira, one, two = admin(content_env.service_env), await content_env.make(), await content_env.make(title="Two")
    door = build_invitation_env(content_env.service_env, content=RULES)
    address = parse_address("jo@people.test")
    content = tuple((thing.type, thing.key, "VIEWER") for thing in (one, two))
    draft = Draft(email=address.email, email_key=address.email_key, content=content)
    made = await door.invitations.create(draft, by=OPERATOR_PRINCIPAL)
    pending, more = await content_env.content.list_pending(mira, one)
    assert ([entry.email for entry in pending], more) == (["jo@people.test"], False)
    assert (await content_env.content.count_on_the_way(mira, one)).number == 1
    assert await content_env.content.withdraw_invitation(mira, one, made.invitation.id)
    assert not await content_env.content.withdraw_invitation(mira, one, made.invitation.id)
    assert [grant.target_id for grant in (await door.now(made)).bundle.live] == [two.id]
    assert await content_env.content.withdraw_invitation(mira, two, made.invitation.id)
    with pytest.raises(InvitationRevoked):
        await door.invitations.answering.look_up(door.token(made))
    content_env.service_env.clock.forward(timedelta(days=40))
    assert (await content_env.content.count_on_the_way(mira, two)).number == 0


async def test_what_a_group_holds_comes_in_pages(content_env: ContentEnv) -> None:
    mira = admin(content_env.service_env)
    group = await content_env.service_env.group("spring")
    made: list[ContentObject] = []
    for number in range(53):
        made.append(await content_env.make(title=f"One {number}", key=f"k{number}"))
        role = list(ContentRole)[number % 3]
        await content_env.content.change_access(mira, made[-1], AccessChanges(groups={"spring": role}))
    first = await content_env.content.list_granted(mira, group.id)
    assert first.next is not None
    second = await content_env.content.list_granted(mira, group.id, cursor=first.next)
    assert second.next is None
    assert {held.object.id for held in (*first.items, *second.items)} == {one.id for one in made}
    assert (await content_env.content.count_granted(mira, group.id)).number == 53
    owned = await content_env.content.list_owned(mira, content_env.owner.id)
    assert len(owned.items) == 50
    assert owned.next is not None


# ---- users and groups ------------------------------------------------------------------------------------------------


async def test_ending_sessions_and_sending_links_are_history(service_env: ServiceEnv) -> None:
    mira, ann = admin(service_env), await service_env.user(email_verified=False)
    _, tokens = await service_env.users.login(ann.email_key, "correct horse 9 Battery")
    await service_env.users.end_sessions_of_user(mira, ann.id)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.refresh(tokens.refresh_token)
    assert await service_env.users.send_link(mira, ann.id, MailKind.PASSWORD_RESET)
    assert await service_env.users.send_link(mira, ann.id, MailKind.EMAIL_VERIFICATION)
    mails = await service_env.mails()
    await service_env.users.verify_email(await service_env.token_of(mails[-1]))
    assert not await service_env.users.send_link(mira, ann.id, MailKind.EMAIL_VERIFICATION)
    history = await service_env.users.list_history(mira, ann.id)
    assert [one.event.type for one in history.items] == [
        "user.email_verified",
        "user.link_sent",
        "user.link_sent",
        "user.sessions_ended",
        "user.signed_in",
        "user.created",
    ]
    assert history.next is None


async def test_viewers_do_none_of_it(service_env: ServiceEnv) -> None:
    viewer, ann = admin(service_env, "viewer"), await service_env.user()
    with pytest.raises(NotAllowed):
        await service_env.users.end_sessions_of_user(viewer, ann.id)
    with pytest.raises(NotAllowed):
        await service_env.users.send_link(viewer, ann.id, MailKind.PASSWORD_RESET)
    with pytest.raises(UserNotFound):
        await service_env.users.end_sessions_of_user(admin(service_env), new_id(service_env.clock()))


async def test_saving_a_group_that_somebody_changed_is_refused(service_env: ServiceEnv) -> None:
    mira, group = admin(service_env), await service_env.group("spring")
    seen, wanted = words_of(group), GroupWords(name="Autumn")
    ended = await settle(
        *(
            service_env.groups.replace_group(mira, "spring", replace(wanted, name=f"Autumn {n}"), before=seen)
            for n in "ab"
        )
    )
    assert sorted(type(one).__name__ for one in ended) == [ChangedMeanwhile.__name__, "NoneType"]
