"""Access changed one grant at a time by those who look after every object, also when several do so at once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.content.test_changes import RULES, ContentEnv, settle
from tests.support.invitation_env import build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.content.dependencies import ContentDependencies
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
from latchstring.groups.service import GroupTexts, texts_of

ROUNDS = 8


def admin(service_env: ServiceEnv, role: str = "manager") -> Principal:
    """An administrator; his row is needed by nothing here."""
    return principal_of_admin(Admin(new_id(service_env.clock()), "mira@panel.test", "mira@panel.test", "Mira", role))


@pytest.fixture
async def content_env(service_env: ServiceEnv) -> ContentEnv:
    room = Content.build(ContentDependencies(db=service_env.db, clock=service_env.clock, rules=RULES, roles={}))
    return ContentEnv(service_env, room, await service_env.user(None))


async def test_grants_are_given_changed_and_taken_one_by_one(content_env: ContentEnv) -> None:
    mira, one = admin(content_env.service_env), await content_env.make()
    ann, ben = await content_env.service_env.user(), await content_env.service_env.user()
    group = await content_env.service_env.group("spring")
    gave = AccessChanges(users={ann.id: ContentRole.MAINTAINER}, groups={"spring": ContentRole.VIEWER})
    assert (await content_env.content.operations.change_access(one, gave, by=mira)).visibility is Visibility.SHARED
    less = AccessChanges(users={ann.id: ContentRole.VIEWER, ben.id: ContentRole.EDITOR})
    await content_env.content.operations.change_access(one, less, by=mira)
    assert (await content_env.access(one)).grants == {
        ann.id: ContentRole.VIEWER,
        ben.id: ContentRole.EDITOR,
        group.id: ContentRole.VIEWER,
    }
    taken = await content_env.content.operations.change_access(
        one, AccessChanges(withdrawn=frozenset({ann.id, ben.id, group.id})), by=mira
    )
    assert (taken.visibility, taken.missing) == (Visibility.PRIVATE, frozenset())
    again = await content_env.content.operations.change_access(
        one, AccessChanges(withdrawn=frozenset({ann.id})), by=mira
    )
    assert again.missing == {ann.id}
    changes = [data for name, data in await content_env.history(one) if name == "content.access_changed"]
    assert [data["visibility"] for data in changes] == ["SHARED", "SHARED", "PRIVATE"]
    assert changes[1]["granted"] == {str(ann.id): "VIEWER", str(ben.id): "EDITOR"}
    await content_env.nothing_dangles()


async def test_public_stays_public_and_shared_with_nobody_is_private(content_env: ContentEnv) -> None:
    mira, one = admin(content_env.service_env), await content_env.make()
    public = await content_env.content.operations.change_access(
        one, AccessChanges(visibility=Visibility.PUBLIC), by=mira
    )
    assert public.visibility is Visibility.PUBLIC
    shared = await content_env.content.operations.change_access(
        one, AccessChanges(visibility=Visibility.SHARED), by=mira
    )
    assert shared.visibility is Visibility.PRIVATE


async def test_the_owner_gets_no_grant_and_the_unknown_change_nothing(content_env: ContentEnv) -> None:
    mira, one = admin(content_env.service_env), await content_env.make()
    ann = await content_env.service_env.user()
    own = AccessChanges(users={content_env.owner.id: ContentRole.EDITOR})
    assert (await content_env.content.operations.change_access(one, own, by=mira)).visibility is Visibility.PRIVATE
    unknown = {ann.id: ContentRole.EDITOR, new_id(content_env.service_env.clock()): ContentRole.VIEWER}
    with pytest.raises(UserNotFound):
        await content_env.content.operations.change_access(one, AccessChanges(users=unknown), by=mira)
    with pytest.raises(GroupNotFound):
        await content_env.content.operations.change_access(
            one, AccessChanges(groups={"none": ContentRole.VIEWER}), by=mira
        )
    assert (await content_env.access(one)).grants == {}


async def test_who_may_not_is_refused(content_env: ContentEnv) -> None:
    one, viewer = await content_env.make(), admin(content_env.service_env, "viewer")
    with pytest.raises(NotAllowed):
        await content_env.content.operations.change_access(one, AccessChanges(visibility=Visibility.PUBLIC), by=viewer)
    with pytest.raises(NotAllowed):
        await content_env.content.operations.hand_over(one, content_env.owner.id, by=viewer)
    with pytest.raises(NotAllowed):
        await content_env.content.operations.get(
            "articles", one.key, by=content_env.as_(await content_env.service_env.user())
        )
    key = replace(OPERATOR_PRINCIPAL, type=ActorType.API_KEY, id=new_id(content_env.service_env.clock()))
    with pytest.raises(NotAllowed):  # no key hands over, whatever its scopes
        await content_env.content.operations.hand_over(one, (await content_env.service_env.user()).id, by=key)
    with pytest.raises(ContentNotFound):
        await content_env.content.operations.get("articles", "none", by=viewer)


async def test_handing_over_keeps_the_owner_before_as_maintainer(content_env: ContentEnv) -> None:
    mira, one, heir = admin(content_env.service_env), await content_env.make(), await content_env.service_env.user()
    await content_env.content.operations.hand_over(one, heir.id, by=mira)
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
            content_env.content.operations.change_access(
                one, AccessChanges(users={ann.id: ContentRole.EDITOR}), by=mira
            ),
            content_env.content.operations.change_access(one, AccessChanges(visibility=Visibility.PRIVATE), by=mira),
            content_env.content.operations.change_access(one, AccessChanges(withdrawn=frozenset({ann.id})), by=mira),
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
    pending, more = await content_env.content.operations.list_pending(one, by=mira)
    assert ([entry.email for entry in pending], more) == (["jo@people.test"], False)
    assert (await content_env.content.operations.count_pending_invitations(one, by=mira)).number == 1
    assert await content_env.content.operations.withdraw_invitation(one, made.invitation.id, by=mira)
    assert not await content_env.content.operations.withdraw_invitation(one, made.invitation.id, by=mira)
    assert [grant.target_id for grant in (await door.reload(made)).bundle.live] == [two.id]
    assert await content_env.content.operations.withdraw_invitation(two, made.invitation.id, by=mira)
    with pytest.raises(InvitationRevoked):
        await door.invitations.responses.look_up(door.token(made))
    content_env.service_env.clock.forward(timedelta(days=40))
    assert (await content_env.content.operations.count_pending_invitations(two, by=mira)).number == 0


async def test_what_a_group_holds_comes_in_pages(content_env: ContentEnv) -> None:
    mira = admin(content_env.service_env)
    group = await content_env.service_env.group("spring")
    made: list[ContentObject] = []
    for number in range(53):
        made.append(await content_env.make(title=f"One {number}", key=f"k{number}"))
        role = list(ContentRole)[number % 3]
        await content_env.content.operations.change_access(made[-1], AccessChanges(groups={"spring": role}), by=mira)
    first = await content_env.content.operations.list_granted(group.id, by=mira)
    assert first.next is not None
    second = await content_env.content.operations.list_granted(group.id, cursor=first.next, by=mira)
    assert second.next is None
    assert {held.object.id for held in (*first.items, *second.items)} == {one.id for one in made}
    assert (await content_env.content.operations.count_granted(group.id, by=mira)).number == 53
    owned = await content_env.content.operations.list_owned(content_env.owner.id, by=mira)
    assert len(owned.items) == 50
    assert owned.next is not None


# ---- users and groups ------------------------------------------------------------------------------------------------


async def test_ending_sessions_and_sending_links_are_history(service_env: ServiceEnv) -> None:
    mira, ann = admin(service_env), await service_env.user(email_verified=False)
    _, tokens = await service_env.users.sessions.login(ann.email_key, "correct horse 9 Battery")
    await service_env.users.operations.end_sessions(ann.id, by=mira)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(tokens.refresh_token)
    assert await service_env.users.operations.send_link(ann.id, MailKind.PASSWORD_RESET, by=mira)
    assert await service_env.users.operations.send_link(ann.id, MailKind.EMAIL_VERIFICATION, by=mira)
    mails = await service_env.mails()
    await service_env.users.recovery.verify_email(await service_env.token_of(mails[-1]))
    assert not await service_env.users.operations.send_link(ann.id, MailKind.EMAIL_VERIFICATION, by=mira)
    history = await service_env.users.operations.list_history(ann.id, by=mira)
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
        await service_env.users.operations.end_sessions(ann.id, by=viewer)
    with pytest.raises(NotAllowed):
        await service_env.users.operations.send_link(ann.id, MailKind.PASSWORD_RESET, by=viewer)
    with pytest.raises(UserNotFound):
        await service_env.users.operations.end_sessions(new_id(service_env.clock()), by=admin(service_env))


async def test_saving_a_group_that_somebody_changed_is_refused(service_env: ServiceEnv) -> None:
    mira, group = admin(service_env), await service_env.group("spring")
    seen, wanted = texts_of(group), GroupTexts(name="Autumn")
    ended = await settle(
        *(service_env.groups.replace("spring", replace(wanted, name=f"Autumn {n}"), before=seen, by=mira) for n in "ab")
    )
    assert sorted(type(one).__name__ for one in ended) == [ChangedMeanwhile.__name__, "NoneType"]
