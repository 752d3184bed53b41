"""Searching groups and objects for an invitation."""

from typing import Any

import pytest
from tests.support.invitation_env import build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.content.dependencies import ContentDependencies
from latchstring.content.service import Content, NewObject
from latchstring.domain.errors import NotAllowed
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.settings import ContentRules, ContentType
from latchstring.groups.service import GroupTexts
from latchstring.invitations.targets import Targets

pytestmark = pytest.mark.reads

TYPES = ContentRules(types={"articles": ContentType("articles", "Articles"), "tables": ContentType("tables", "Tables")})


@pytest.fixture
def targets(service_env: ServiceEnv) -> Targets:
    return build_invitation_env(service_env, content=TYPES).invitations.targets


async def create_group(service_env: ServiceEnv, key: str, name: str) -> None:
    await service_env.groups.create(key, GroupTexts(name=name), by=OPERATOR_PRINCIPAL)


async def create_content(service_env: ServiceEnv, title: str, *, type_: str = "articles", **fields: Any) -> None:
    content = Content.build(ContentDependencies(db=service_env.db, clock=service_env.clock, rules=TYPES, roles={}))
    owner = await service_env.user()
    await content.create(type_, NewObject(title=title, owner_id=owner.id, **fields), by=OPERATOR_PRINCIPAL)


async def test_groups_are_found_by_a_prefix_in_any_case(service_env: ServiceEnv, targets: Targets) -> None:
    await create_group(service_env, "spring", "Spring cohort")
    await create_group(service_env, "oevelser", "Øvelser")
    await create_group(service_env, "autumn", "Autumn cohort")
    assert [choice.key for choice in await targets.search_groups("SPR", by=OPERATOR_PRINCIPAL)] == ["spring"]
    assert [choice.key for choice in await targets.search_groups("ø", by=OPERATOR_PRINCIPAL)] == ["oevelser"]
    assert [choice.key for choice in await targets.search_groups("aut", by=OPERATOR_PRINCIPAL)] == ["autumn"]
    assert await targets.search_groups("cohort", by=OPERATOR_PRINCIPAL) == []


async def test_without_a_text_the_first_groups_by_name_are_returned(service_env: ServiceEnv, targets: Targets) -> None:
    for number in range(25):
        await create_group(service_env, f"g{24 - number}", f"Group {number:02}")
    choices = await targets.search_groups("", by=OPERATOR_PRINCIPAL)
    assert [choice.name for choice in choices] == [f"Group {number:02}" for number in range(20)]


async def test_a_group_has_its_number_of_members(service_env: ServiceEnv, targets: Targets) -> None:
    await create_group(service_env, "spring", "Spring cohort")
    for _ in range(2):
        await service_env.user(groups=("spring",))
    (choice,) = await targets.search_groups("spring", by=OPERATOR_PRINCIPAL)
    assert choice.members == 2


async def test_objects_are_found_by_a_prefix_of_title_or_key(service_env: ServiceEnv, targets: Targets) -> None:
    await create_content(service_env, "Tide tables")
    await create_content(service_env, "Harbour handbook", type_="tables", key="tidy")
    await create_content(service_env, "Other")
    choices = await targets.search_objects("tid", by=OPERATOR_PRINCIPAL)
    assert [(choice.type, choice.title) for choice in choices] == [
        ("tables", "Harbour handbook"),
        ("articles", "Tide tables"),
    ]


async def test_type_and_key_put_that_object_first(service_env: ServiceEnv, targets: Targets) -> None:
    await create_content(service_env, "Tide tables", key="tides")
    await create_content(service_env, "articles/tides")
    choices = await targets.search_objects("articles/tides", by=OPERATOR_PRINCIPAL)
    assert [choice.title for choice in choices] == ["Tide tables", "articles/tides"]


async def test_a_renamed_group_is_found_by_its_new_name(service_env: ServiceEnv, targets: Targets) -> None:
    await create_group(service_env, "spring", "Spring cohort")
    await service_env.groups.replace("spring", GroupTexts(name="Vår"), by=OPERATOR_PRINCIPAL)
    assert [choice.name for choice in await targets.search_groups("vå", by=OPERATOR_PRINCIPAL)] == ["Vår"]
    assert [choice.name for choice in await targets.find_groups(["spring", "none"], by=OPERATOR_PRINCIPAL)] == ["Vår"]


async def test_searching_requires_the_permission(service_env: ServiceEnv, targets: Targets) -> None:
    customer = await service_env.principal("customer")
    with pytest.raises(NotAllowed):
        await targets.search_groups("", by=customer)
    with pytest.raises(NotAllowed):
        await targets.search_objects("", by=customer)
