"""Groups and their members."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import GroupKeyTaken, GroupNotFound, NotAllowed, UserNotFound
from latchstring.domain.group import GroupText
from latchstring.domain.ids import NIL_ID
from latchstring.domain.pagination import SortOrder
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.groups.service import GroupTexts

ALL: dict[str, Any] = {"limit": 10, "order": SortOrder("createdAt", descending=True)}
TEXTS = GroupTexts(
    name="Readers",
    description="Who reads.",
    translations={"de": GroupText("Leser", "Wer liest."), "fr": GroupText("L")},
)


def key_principal(*scopes: str) -> Principal:
    return Principal(ActorType.API_KEY, uuid4(), "key", frozenset(scopes), frozenset(), frozenset())


async def test_a_group_is_created_and_renamed(service_env: Any) -> None:
    created = await service_env.groups.create("readers", TEXTS, by=OPERATOR_PRINCIPAL)
    assert await service_env.groups.get("readers", by=OPERATOR_PRINCIPAL) == created
    assert created.get_text("de-AT") == GroupText("Leser", "Wer liest.")
    renamed = await service_env.groups.replace("readers", GroupTexts(name="Bookworms"), by=OPERATOR_PRINCIPAL)
    assert (renamed.id, renamed.name, renamed.description, renamed.translations) == (created.id, "Bookworms", None, {})
    assert await service_env.groups.find_id("readers") == created.id
    assert await service_env.groups.find_id("nowhere") == NIL_ID
    with pytest.raises(GroupNotFound):
        await service_env.groups.replace("nowhere", TEXTS, by=OPERATOR_PRINCIPAL)


async def test_of_equal_keys_at_once_one_is_created(service_env: Any) -> None:
    results = await asyncio.gather(
        *(service_env.groups.create("readers", TEXTS, by=OPERATOR_PRINCIPAL) for _ in range(5)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(GroupKeyTaken) == 4
    assert (await service_env.events()).count("group.created") == 1


async def test_members_are_added_and_removed_idempotently(service_env: Any) -> None:
    await service_env.group("readers")
    user = await service_env.user()
    for _ in range(2):
        await service_env.groups.add_member("readers", user.id, by=OPERATOR_PRINCIPAL)
    assert (await service_env.reload(user)).groups == ("readers",)
    for _ in range(2):
        await service_env.groups.remove_member("readers", user.id, by=OPERATOR_PRINCIPAL)
    assert (await service_env.reload(user)).groups == ()
    names = await service_env.events()
    assert (names.count("group.member_added"), names.count("group.member_removed")) == (1, 1)


async def test_of_joins_at_once_one_is_recorded(service_env: Any) -> None:
    await service_env.group("readers")
    user = await service_env.user()
    await asyncio.gather(*(service_env.groups.add_member("readers", user.id, by=OPERATOR_PRINCIPAL) for _ in range(6)))
    assert (await service_env.events()).count("group.member_added") == 1


async def test_unknown_groups_and_users_are_refused(service_env: Any) -> None:
    await service_env.group("readers")
    user = await service_env.user()
    with pytest.raises(GroupNotFound):
        await service_env.groups.add_member("nowhere", user.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(GroupNotFound):
        await service_env.groups.add_member("nowhere", uuid4(), by=OPERATOR_PRINCIPAL)
    with pytest.raises(UserNotFound):
        await service_env.groups.add_member("readers", uuid4(), by=OPERATOR_PRINCIPAL)
    with pytest.raises(GroupNotFound):
        await service_env.groups.remove_member("nowhere", user.id, by=OPERATOR_PRINCIPAL)


async def test_a_recreated_group_has_no_members(service_env: Any) -> None:
    first = await service_env.group("readers")
    user = await service_env.user(groups=("readers",))
    await service_env.groups.delete("readers", by=OPERATOR_PRINCIPAL)
    assert (await service_env.reload(user)).groups == ()
    recreated = await service_env.group("readers")
    assert recreated.id != first.id
    assert (await service_env.groups.list_members("readers", by=OPERATOR_PRINCIPAL, **ALL)).items == []


async def test_of_deletions_at_once_one_succeeds(service_env: Any) -> None:
    await service_env.group("readers")
    results = await asyncio.gather(
        *(service_env.groups.delete("readers", by=OPERATOR_PRINCIPAL) for _ in range(4)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert (await service_env.events()).count("group.deleted") == 1


async def test_members_see_their_own_groups_and_readers_see_all(service_env: Any) -> None:
    await service_env.group("mine")
    await service_env.group("other")
    member, other, reader = (
        await service_env.user(groups=("mine",)),
        await service_env.user(),
        await service_env.user("team"),
    )
    as_member, as_other, as_reader = map(service_env.users.principal_of, (member, other, reader))
    assert [group.key for group in (await service_env.groups.list_page(by=as_member, **ALL)).items] == ["mine"]
    assert (await service_env.groups.list_page(by=as_other, **ALL)).items == []
    assert {group.key for group in (await service_env.groups.list_page(by=as_reader, **ALL)).items} == {"mine", "other"}
    assert [user.id for user in (await service_env.groups.list_members("mine", by=as_member, **ALL)).items] == [
        member.id
    ]
    for principal, key in ((as_member, "other"), (as_other, "mine"), (key_principal("users:read"), "mine")):
        with pytest.raises(GroupNotFound):
            await service_env.groups.list_members(key, by=principal, **ALL)
    with pytest.raises(NotAllowed):
        await service_env.groups.list_page(by=key_principal("users:read"), **ALL)


async def test_changes_require_the_permission_and_others_do_not_find_the_group(service_env: Any) -> None:
    await service_env.group("mine")
    member, other = await service_env.user(groups=("mine",)), await service_env.user()

    async def attempts(principal: Principal, refusal: type[Exception]) -> None:
        for attempt in (
            service_env.groups.replace("mine", TEXTS, by=principal),
            service_env.groups.delete("mine", by=principal),
            service_env.groups.add_member("mine", other.id, by=principal),
            service_env.groups.remove_member("mine", member.id, by=principal),
        ):
            with pytest.raises(refusal):
                await attempt
        with pytest.raises(NotAllowed):
            await service_env.groups.create("new", TEXTS, by=principal)

    await attempts(service_env.users.principal_of(member), NotAllowed)
    await attempts(service_env.users.principal_of(other), GroupNotFound)
    await service_env.groups.add_member("mine", other.id, by=key_principal("groups:write"))


async def test_a_join_and_a_deletion_at_once_leave_no_membership(service_env: Any) -> None:
    for i in range(4):
        key = f"g{i}"
        await service_env.group(key)
        user = await service_env.user()
        results = await asyncio.gather(
            service_env.groups.add_member(key, user.id, by=OPERATOR_PRINCIPAL),
            service_env.user(groups=(key,)),
            service_env.groups.delete(key, by=OPERATOR_PRINCIPAL),
            return_exceptions=True,
        )
        assert results[2] is None
        assert {type(result) for result in results[:2] if isinstance(result, Exception)} <= {GroupNotFound}
        assert (await service_env.reload(user)).groups == ()
        page = await service_env.users.list_page(**ALL, group=key)
        assert page.items == []
