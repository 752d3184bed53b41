"""Operations of content, user and group administrators, also when several run at once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.content.test_changes import RULES, ContentEnv, run_at_once
from tests.support.invitation_env import build_invitation_env
from tests.support.service_env import NETWORK, ServiceEnv

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


def new_admin(service_env: ServiceEnv, role: str = "manager") -> Principal:
    """An administrator without a stored row: nothing here reads it."""
    return principal_of_admin(Admin(new_id(service_env.clock()), "mira@panel.test", "mira@panel.test", "Mira", role))


@pytest.fixture
async def content_env(service_env: ServiceEnv) -> ContentEnv:
    content_service = Content.build(
        ContentDependencies(db=service_env.db, clock=service_env.clock, rules=RULES, roles={})
    )
    return ContentEnv(service_env, content_service, await service_env.user(None))


async def test_single_grants_are_added_changed_and_withdrawn(content_env: ContentEnv) -> None:
    mira, article = new_admin(content_env.service_env), await content_env.create()
    ann, ben = await content_env.service_env.user(), await content_env.service_env.user()
    group = await content_env.service_env.group("spring")
    granted = AccessChanges(users={ann.id: ContentRole.MAINTAINER}, groups={"spring": ContentRole.VIEWER})
    assert (
        await content_env.content.operations.change_access(article, granted, by=mira)
    ).visibility is Visibility.SHARED
    less = AccessChanges(users={ann.id: ContentRole.VIEWER, ben.id: ContentRole.EDITOR})
    await content_env.content.operations.change_access(article, less, by=mira)
    assert (await content_env.access(article)).grants == {
        ann.id: ContentRole.VIEWER,
        ben.id: ContentRole.EDITOR,
        group.id: ContentRole.VIEWER,
    }
    withdrawn = await content_env.content.operations.change_access(
        article, AccessChanges(withdrawn=frozenset({ann.id, ben.id, group.id})), by=mira
    )
    assert (withdrawn.visibility, withdrawn.missing) == (Visibility.PRIVATE, frozenset())
    again = await content_env.content.operations.change_access(
        article, AccessChanges(withdrawn=frozenset({ann.id})), by=mira
    )
    assert again.missing == {ann.id}
    changes = [data for name, data in await content_env.history(article) if name == "content.access_changed"]
    assert [data["visibility"] for data in changes] == ["SHARED", "SHARED", "PRIVATE"]
    assert changes[1]["granted"] == {str(ann.id): "VIEWER", str(ben.id): "EDITOR"}
    await content_env.assert_consistent()


async def test_public_stays_public_and_shared_without_grants_is_private(content_env: ContentEnv) -> None:
    mira, article = new_admin(content_env.service_env), await content_env.create()
    public = await content_env.content.operations.change_access(
        article, AccessChanges(visibility=Visibility.PUBLIC), by=mira
    )
    assert public.visibility is Visibility.PUBLIC
    shared = await content_env.content.operations.change_access(
        article, AccessChanges(visibility=Visibility.SHARED), by=mira
    )
    assert shared.visibility is Visibility.PRIVATE


async def test_the_owner_gets_no_grant_and_unknown_subjects_change_nothing(content_env: ContentEnv) -> None:
    mira, article = new_admin(content_env.service_env), await content_env.create()
    ann = await content_env.service_env.user()
    own = AccessChanges(users={content_env.owner.id: ContentRole.EDITOR})
    assert (await content_env.content.operations.change_access(article, own, by=mira)).visibility is Visibility.PRIVATE
    unknown = {ann.id: ContentRole.EDITOR, new_id(content_env.service_env.clock()): ContentRole.VIEWER}
    with pytest.raises(UserNotFound):
        await content_env.content.operations.change_access(article, AccessChanges(users=unknown), by=mira)
    with pytest.raises(GroupNotFound):
        await content_env.content.operations.change_access(
            article, AccessChanges(groups={"none": ContentRole.VIEWER}), by=mira
        )
    assert (await content_env.access(article)).grants == {}


async def test_operations_require_their_permissions(content_env: ContentEnv) -> None:
    article, viewer = await content_env.create(), new_admin(content_env.service_env, "viewer")
    with pytest.raises(NotAllowed):
        await content_env.content.operations.change_access(
            article, AccessChanges(visibility=Visibility.PUBLIC), by=viewer
        )
    with pytest.raises(NotAllowed):
        await content_env.content.operations.transfer_ownership(article, content_env.owner.id, by=viewer)
    with pytest.raises(NotAllowed):
        await content_env.content.operations.get(
            "articles", article.key, by=content_env.as_(await content_env.service_env.user())
        )
    key = replace(OPERATOR_PRINCIPAL, type=ActorType.API_KEY, id=new_id(content_env.service_env.clock()))
    with pytest.raises(NotAllowed):  # no API key may transfer objects, whatever its scopes
        await content_env.content.operations.transfer_ownership(
            article, (await content_env.service_env.user()).id, by=key
        )
    with pytest.raises(ContentNotFound):
        await content_env.content.operations.get("articles", "none", by=viewer)


async def test_the_previous_owner_becomes_maintainer(content_env: ContentEnv) -> None:
    mira, article, new_owner = (
        new_admin(content_env.service_env),
        await content_env.create(),
        await content_env.service_env.user(),
    )
    await content_env.content.operations.transfer_ownership(article, new_owner.id, by=mira)
    access = await content_env.access(article)
    assert (access.owner_id, access.visibility) == (new_owner.id, Visibility.SHARED)
    assert access.grants == {content_env.owner.id: ContentRole.MAINTAINER}
    name, data = (await content_env.history(article))[-1]
    assert (name, data) == ("content.owner_changed", {"from": str(content_env.owner.id), "to": str(new_owner.id)})
    await content_env.assert_consistent()


async def test_private_and_grants_at_once_are_consistent(content_env: ContentEnv) -> None:
    mira, ann = new_admin(content_env.service_env), await content_env.service_env.user()
    for _ in range(ROUNDS):
        article = await content_env.create(title=f"One {new_id(content_env.service_env.clock())}")
        results = await run_at_once(
            content_env.content.operations.change_access(
                article, AccessChanges(users={ann.id: ContentRole.EDITOR}), by=mira
            ),
            content_env.content.operations.change_access(
                article, AccessChanges(visibility=Visibility.PRIVATE), by=mira
            ),
            content_env.content.operations.change_access(
                article, AccessChanges(withdrawn=frozenset({ann.id})), by=mira
            ),
        )
        assert results == [None, None, None]
        await content_env.assert_consistent()


async def test_withdrawing_a_grant_keeps_the_others_of_the_invitation(content_env: ContentEnv) -> None:
    mira, article, two = (
        new_admin(content_env.service_env),
        await content_env.create(),
        await content_env.create(title="Two"),
    )
    invitation_env = build_invitation_env(content_env.service_env, content=RULES)
    address = parse_address("jo@people.test")
    content = tuple((thing.type, thing.key, "VIEWER") for thing in (article, two))
    draft = Draft(email=address.email, email_key=address.email_key, content=content)
    created = await invitation_env.invitations.create(draft, by=OPERATOR_PRINCIPAL)
    pending, more = await content_env.content.operations.list_pending(article, by=mira)
    assert ([entry.email for entry in pending], more) == (["jo@people.test"], False)
    assert (await content_env.content.operations.count_pending_invitations(article, by=mira)).number == 1
    assert await content_env.content.operations.withdraw_invitation(article, created.invitation.id, by=mira)
    assert not await content_env.content.operations.withdraw_invitation(article, created.invitation.id, by=mira)
    assert [grant.target_id for grant in (await invitation_env.reload(created)).bundle.live] == [two.id]
    assert await content_env.content.operations.withdraw_invitation(two, created.invitation.id, by=mira)
    with pytest.raises(InvitationRevoked):
        await invitation_env.invitations.responses.look_up(invitation_env.token(created))
    content_env.service_env.clock.forward(timedelta(days=40))
    assert (await content_env.content.operations.count_pending_invitations(two, by=mira)).number == 0


async def test_objects_granted_to_a_group_are_listed_in_pages(content_env: ContentEnv) -> None:
    mira = new_admin(content_env.service_env)
    group = await content_env.service_env.group("spring")
    created: list[ContentObject] = []
    for number in range(53):
        created.append(await content_env.create(title=f"One {number}", key=f"k{number}"))
        role = list(ContentRole)[number % 3]
        await content_env.content.operations.change_access(created[-1], AccessChanges(groups={"spring": role}), by=mira)
    first = await content_env.content.operations.list_granted(group.id, by=mira)
    assert first.next is not None
    second = await content_env.content.operations.list_granted(group.id, cursor=first.next, by=mira)
    assert second.next is None
    assert {granted.object.id for granted in (*first.items, *second.items)} == {article.id for article in created}
    assert (await content_env.content.operations.count_granted(group.id, by=mira)).number == 53
    owned = await content_env.content.operations.list_owned(content_env.owner.id, by=mira)
    assert len(owned.items) == 50
    assert owned.next is not None


# ---- users and groups ------------------------------------------------------------------------------------------------


async def test_ending_sessions_and_sending_links_are_recorded(service_env: ServiceEnv) -> None:
    mira, ann = new_admin(service_env), await service_env.user(email_verified=False)
    _, tokens = await service_env.users.sessions.login(ann.email_key, "correct horse 9 Battery", network=NETWORK)
    await service_env.users.operations.end_sessions(ann.id, by=mira)
    with pytest.raises(RefreshTokenInvalid):
        await service_env.users.sessions.refresh(tokens.refresh_token)
    assert await service_env.users.operations.send_link(ann.id, MailKind.PASSWORD_RESET, by=mira)
    assert await service_env.users.operations.send_link(ann.id, MailKind.EMAIL_VERIFICATION, by=mira)
    mails = await service_env.mails()
    await service_env.users.recovery.verify_email(await service_env.token_of(mails[-1]))
    assert not await service_env.users.operations.send_link(ann.id, MailKind.EMAIL_VERIFICATION, by=mira)
    history = await service_env.users.operations.list_history(ann.id, by=mira)
    assert [content.event.type for content in history.items] == [
        "user.email_verified",
        "user.link_sent",
        "user.link_sent",
        "user.sessions_ended",
        "user.signed_in",
        "user.created",
    ]
    assert history.next is None


async def test_user_operations_require_the_write_permission(service_env: ServiceEnv) -> None:
    viewer, ann = new_admin(service_env, "viewer"), await service_env.user()
    with pytest.raises(NotAllowed):
        await service_env.users.operations.end_sessions(ann.id, by=viewer)
    with pytest.raises(NotAllowed):
        await service_env.users.operations.send_link(ann.id, MailKind.PASSWORD_RESET, by=viewer)
    with pytest.raises(UserNotFound):
        await service_env.users.operations.end_sessions(new_id(service_env.clock()), by=new_admin(service_env))


async def test_replacing_a_group_that_was_changed_meanwhile_is_refused(service_env: ServiceEnv) -> None:
    mira, group = new_admin(service_env), await service_env.group("spring")
    before, texts = texts_of(group), GroupTexts(name="Autumn")
    results = await run_at_once(
        *(
            service_env.groups.replace("spring", replace(texts, name=f"Autumn {n}"), before=before, by=mira)
            for n in "ab"
        )
    )
    assert sorted(type(content).__name__ for content in results) == [ChangedMeanwhile.__name__, "NoneType"]
