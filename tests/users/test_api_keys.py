"""API keys: what they are, what they may, and their end."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import ApiKeyNotFound, CredentialInvalid, GrantNotAllowed, InvalidFields
from latchstring.domain.pagination import SortOrder
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.storage.engine.tables import api_keys
from latchstring.storage.users.api_keys import digest_key, is_key_text, new_key_text


def test_a_key_has_a_tail_that_tells_it_from_chance() -> None:
    text = new_key_text().text
    assert is_key_text(text)
    assert text.startswith("lsk_")
    for other in (
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        text[:-1],
        text + "0",
        "lsk_",
        "",
        text.replace("_", "-"),
    ):
        assert not is_key_text(other)


async def test_a_key_acts_as_it_was_made(service_env: Any) -> None:
    made = await service_env.users.api_keys.create(
        name="shop", scopes=["invitations:write", "app:plan"], may_grant=["customer"], by=OPERATOR_PRINCIPAL
    )
    principal = await service_env.users.sessions.principal_of_api_key(made.text)
    assert (principal.type, principal.id, principal.name) == (ActorType.API_KEY, made.key.id, "shop")
    assert principal.can("invitations:write")
    assert not principal.can("users:read")
    assert (principal.can_grant_role("customer"), principal.can_grant_role("team")) == (True, False)


async def test_only_a_digest_is_kept(service_env: Any) -> None:
    made = await service_env.users.api_keys.create(name="shop", scopes=["*"], by=OPERATOR_PRINCIPAL)
    (row,) = await service_env.db.fetch(api_keys.select())
    assert row.digest == digest_key(made.text)
    assert made.text not in repr(made)
    assert made.text not in str(row)


async def test_scope_everything_may_grant_what_its_maker_may(service_env: Any) -> None:
    by_operator = await service_env.users.api_keys.create(name="a", scopes=["*"], by=OPERATOR_PRINCIPAL)
    assert by_operator.key.may_grant == frozenset("*")
    by_admin = await service_env.users.api_keys.create(name="b", scopes=["*"], by=await service_env.principal("admin"))
    assert by_admin.key.may_grant == {"admin", "lead", "team", "customer"}
    narrow = await service_env.users.api_keys.create(name="c", scopes=["users:write"], by=OPERATOR_PRINCIPAL)
    assert narrow.key.may_grant == frozenset()


@pytest.mark.parametrize(
    "wanted",
    [
        {"scopes": ["*"]},
        {"scopes": ["groups:read"]},
        {"scopes": ["app:other"]},
        {"scopes": ["users:read"], "may_grant": ["admin"]},
        {"scopes": ["users:read"], "may_grant": ["*"]},
        {"scopes": ["users:read"], "may_grant_groups": ["closed"]},
        {"scopes": ["users:read"], "may_grant_groups": ["*"]},
    ],
)
async def test_nobody_makes_a_key_beyond_himself(service_env: Any, wanted: dict[str, list[str]]) -> None:
    with pytest.raises(GrantNotAllowed):
        await service_env.users.api_keys.create(name="x", by=await service_env.principal("lead"), **wanted)


async def test_a_key_within_its_makers_ceiling_is_made(service_env: Any) -> None:
    made = await service_env.users.api_keys.create(
        name="x",
        scopes=["users:read", "app:plan"],
        may_grant=["team"],
        may_grant_groups=["open"],
        by=await service_env.principal("lead"),
    )
    assert made.key.may_grant_groups == {"open"}


async def test_what_no_key_can_be_is_told_by_field(service_env: Any) -> None:
    for wanted, pointer in (
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["users:read", "users:rule"]}, "/scopes/1"),
        ({"scopes": ["users:read"], "may_grant": ["emperor"]}, "/mayGrant/0"),
        ({"scopes": ["users:read"], "expires_at": service_env.clock.now}, "/expiresAt"),
    ):
        with pytest.raises(InvalidFields) as refused:
            await service_env.users.api_keys.create(name="x", by=OPERATOR_PRINCIPAL, **wanted)
        assert [problem.pointer for problem in refused.value.errors] == [pointer]


async def test_a_key_ends_when_its_time_comes_and_when_it_is_revoked(service_env: Any) -> None:
    end = service_env.clock.now + timedelta(hours=1)
    short = await service_env.users.api_keys.create(name="s", scopes=["*"], expires_at=end, by=OPERATOR_PRINCIPAL)
    revoked = await service_env.users.api_keys.create(name="r", scopes=["*"], by=OPERATOR_PRINCIPAL)
    await service_env.users.sessions.principal_of_api_key(short.text)
    await service_env.users.api_keys.revoke(revoked.key.id, by=OPERATOR_PRINCIPAL)
    service_env.clock.forward(timedelta(hours=1))
    for text in (short.text, revoked.text, new_key_text().text, "lsk_", "x"):
        with pytest.raises(CredentialInvalid):
            await service_env.users.sessions.principal_of_api_key(text)
    page = await service_env.users.api_keys.list_page(order=SortOrder("createdAt"), limit=10)
    assert [key.name for key in page.items] == ["s"]


async def test_of_revocations_at_once_exactly_one_wins(service_env: Any) -> None:
    made = await service_env.users.api_keys.create(name="r", scopes=["*"], by=OPERATOR_PRINCIPAL)
    results = await asyncio.gather(
        *(service_env.users.api_keys.revoke(made.key.id, by=OPERATOR_PRINCIPAL) for _ in range(4)),
        return_exceptions=True,
    )
    assert results.count(None) == 1
    assert (await service_env.events()).count("api_key.revoked") == 1
    with pytest.raises(ApiKeyNotFound):
        await service_env.users.api_keys.revoke(uuid4(), end_invitations=True, by=OPERATOR_PRINCIPAL)


async def test_a_key_does_not_outlive_the_key_that_makes_it(service_env: Any) -> None:
    end = service_env.clock.now + timedelta(hours=1)
    loan = await service_env.users.api_keys.create(name="loan", scopes=["*"], expires_at=end, by=OPERATOR_PRINCIPAL)
    maker = loan.key.principal
    child = await service_env.users.api_keys.create(name="child", scopes=["users:read"], by=maker)
    assert child.key.expires_at == end
    later = end + timedelta(seconds=1)
    with pytest.raises(GrantNotAllowed):
        await service_env.users.api_keys.create(name="child", scopes=["users:read"], expires_at=later, by=maker)
    lasting = await service_env.users.api_keys.create(name="lasting", scopes=["*"], by=OPERATOR_PRINCIPAL)
    grown = await service_env.users.api_keys.create(name="x", scopes=["users:read"], by=lasting.key.principal)
    assert grown.key.expires_at is None
