"""Finding groups and objects while somebody types."""

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


async def group(service_env: ServiceEnv, key: str, name: str) -> None:
    await service_env.groups.create(key, GroupTexts(name=name), by=OPERATOR_PRINCIPAL)


async def thing(service_env: ServiceEnv, title: str, *, type_: str = "articles", **more: Any) -> None:
    content = Content.build(ContentDependencies(db=service_env.db, clock=service_env.clock, rules=TYPES, roles={}))
    owner = await service_env.user()
    await content.create(type_, NewObject(title=title, owner_id=owner.id, **more), by=OPERATOR_PRINCIPAL)


async def test_groups_begin_with_the_text_in_any_case(service_env: ServiceEnv, targets: Targets) -> None:
    await group(service_env, "spring", "Spring cohort")
    await group(service_env, "oevelser", "Øvelser")
    await group(service_env, "autumn", "Autumn cohort")
    assert [one.key for one in await targets.search_groups("SPR", by=OPERATOR_PRINCIPAL)] == ["spring"]
    assert [one.key for one in await targets.search_groups("ø", by=OPERATOR_PRINCIPAL)] == ["oevelser"]
    assert [one.key for one in await targets.search_groups("aut", by=OPERATOR_PRINCIPAL)] == ["autumn"]
    assert await targets.search_groups("cohort", by=OPERATOR_PRINCIPAL) == []


async def test_without_a_text_the_first_groups_come_by_name(service_env: ServiceEnv, targets: Targets) -> None:
    for number in range(25):
        await group(service_env, f"g{24 - number}", f"Group {number:02}")
    found = await targets.search_groups("", by=OPERATOR_PRINCIPAL)
    assert [one.name for one in found] == [f"Group {number:02}" for number in range(20)]


async def test_a_group_says_how_many_are_in_it(service_env: ServiceEnv, targets: Targets) -> None:
    await group(service_env, "spring", "Spring cohort")
    for _ in range(2):
        await service_env.user(groups=("spring",))
    (one,) = await targets.search_groups("spring", by=OPERATOR_PRINCIPAL)
    assert one.members == 2


async def test_objects_begin_with_the_text_by_title_or_key(service_env: ServiceEnv, targets: Targets) -> None:
    await thing(service_env, "Tide tables")
    await thing(service_env, "Harbour handbook", type_="tables", key="tidy")
    await thing(service_env, "Other")
    found = await targets.search_objects("tid", by=OPERATOR_PRINCIPAL)
    assert [(one.type, one.title) for one in found] == [("tables", "Harbour handbook"), ("articles", "Tide tables")]


async def test_a_type_and_key_name_one_object(service_env: ServiceEnv, targets: Targets) -> None:
    await thing(service_env, "Tide tables", key="tides")
    await thing(service_env, "articles/tides")
    found = await targets.search_objects("articles/tides", by=OPERATOR_PRINCIPAL)
    assert [one.title for one in found] == ["Tide tables", "articles/tides"]


async def test_a_renamed_group_is_found_under_its_new_name(service_env: ServiceEnv, targets: Targets) -> None:
    await group(service_env, "spring", "Spring cohort")
    await service_env.groups.replace("spring", GroupTexts(name="Vår"), by=OPERATOR_PRINCIPAL)
    assert [one.name for one in await targets.search_groups("vå", by=OPERATOR_PRINCIPAL)] == ["Vår"]
    assert [one.name for one in await targets.find_groups(["spring", "none"], by=OPERATOR_PRINCIPAL)] == ["Vår"]


async def test_who_may_not_look_at_them_finds_none(service_env: ServiceEnv, targets: Targets) -> None:
    stranger = await service_env.principal("customer")
    with pytest.raises(NotAllowed):
        await targets.search_groups("", by=stranger)
    with pytest.raises(NotAllowed):
        await targets.search_objects("", by=stranger)
