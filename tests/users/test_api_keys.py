"""API keys: format, ceiling, expiry and revocation."""

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
from latchstring.storage.users.api_keys import digest_key, has_key_format, new_api_key_secret


def test_a_key_has_a_checksum() -> None:
    text = new_api_key_secret().token
    assert has_key_format(text)
    assert text.startswith("lsk_")
    for other in (
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        text[:-1],
        text + "0",
        "lsk_",
        "",
        text.replace("_", "-"),
    ):
        assert not has_key_format(other)


async def test_a_key_has_its_scopes_and_grants(service_env: Any) -> None:
    created = await service_env.users.api_keys.create(
        name="shop", scopes=["invitations:write", "app:plan"], may_grant=["customer"], by=OPERATOR_PRINCIPAL
    )
    principal = await service_env.users.sessions.principal_of_api_key(created.secret)
    assert (principal.type, principal.id, principal.name) == (ActorType.API_KEY, created.key.id, "shop")
    assert principal.can("invitations:write")
    assert not principal.can("users:read")
    assert (principal.can_grant_role("customer"), principal.can_grant_role("team")) == (True, False)


async def test_only_a_digest_is_stored(service_env: Any) -> None:
    created = await service_env.users.api_keys.create(name="shop", scopes=["*"], by=OPERATOR_PRINCIPAL)
    (row,) = await service_env.db.fetch(api_keys.select())
    assert row.digest == digest_key(created.secret)
    assert created.secret not in repr(created)
    assert created.secret not in str(row)


async def test_a_key_with_every_scope_may_grant_what_its_creator_may(service_env: Any) -> None:
    by_operator = await service_env.users.api_keys.create(name="a", scopes=["*"], by=OPERATOR_PRINCIPAL)
    assert by_operator.key.may_grant == frozenset("*")
    by_admin = await service_env.users.api_keys.create(name="b", scopes=["*"], by=await service_env.principal("admin"))
    assert by_admin.key.may_grant == {"admin", "lead", "team", "customer"}
    narrow = await service_env.users.api_keys.create(name="c", scopes=["users:write"], by=OPERATOR_PRINCIPAL)
    assert narrow.key.may_grant == frozenset()


@pytest.mark.parametrize(
    "fields",
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
async def test_the_ceiling_applies_to_keys(service_env: Any, fields: dict[str, list[str]]) -> None:
    with pytest.raises(GrantNotAllowed):
        await service_env.users.api_keys.create(name="x", by=await service_env.principal("lead"), **fields)


async def test_a_key_within_the_ceiling_is_created(service_env: Any) -> None:
    created = await service_env.users.api_keys.create(
        name="x",
        scopes=["users:read", "app:plan"],
        may_grant=["team"],
        may_grant_groups=["open"],
        by=await service_env.principal("lead"),
    )
    assert created.key.may_grant_groups == {"open"}


async def test_problems_of_a_key_are_reported_by_field(service_env: Any) -> None:
    for fields, pointer in (
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["users:read", "users:rule"]}, "/scopes/1"),
        ({"scopes": ["users:read"], "may_grant": ["emperor"]}, "/mayGrant/0"),
        ({"scopes": ["users:read"], "expires_at": service_env.clock.now}, "/expiresAt"),
    ):
        with pytest.raises(InvalidFields) as refused:
            await service_env.users.api_keys.create(name="x", by=OPERATOR_PRINCIPAL, **fields)
        assert [problem.pointer for problem in refused.value.errors] == [pointer]


async def test_expired_and_revoked_keys_do_not_work(service_env: Any) -> None:
    end = service_env.clock.now + timedelta(hours=1)
    short = await service_env.users.api_keys.create(name="s", scopes=["*"], expires_at=end, by=OPERATOR_PRINCIPAL)
    revoked = await service_env.users.api_keys.create(name="r", scopes=["*"], by=OPERATOR_PRINCIPAL)
    await service_env.users.sessions.principal_of_api_key(short.secret)
    await service_env.users.api_keys.revoke(revoked.key.id, by=OPERATOR_PRINCIPAL)
    service_env.clock.forward(timedelta(hours=1))
    for text in (short.secret, revoked.secret, new_api_key_secret().token, "lsk_", "x"):
        with pytest.raises(CredentialInvalid):
            await service_env.users.sessions.principal_of_api_key(text)
    page = await service_env.users.api_keys.list_page(order=SortOrder("createdAt"), limit=10)
    assert [key.name for key in page.items] == ["s"]


async def test_of_revocations_at_once_one_succeeds(service_env: Any) -> None:
    created = await service_env.users.api_keys.create(name="r", scopes=["*"], by=OPERATOR_PRINCIPAL)
    results = await asyncio.gather(
        *(service_env.users.api_keys.revoke(created.key.id, by=OPERATOR_PRINCIPAL) for _ in range(4)),
        return_exceptions=True,
    )
    assert results.count(None) == 1
    assert (await service_env.events()).count("api_key.revoked") == 1
    with pytest.raises(ApiKeyNotFound):
        await service_env.users.api_keys.revoke(uuid4(), end_invitations=True, by=OPERATOR_PRINCIPAL)


async def test_a_key_does_not_outlive_the_key_that_created_it(service_env: Any) -> None:
    end = service_env.clock.now + timedelta(hours=1)
    temporary = await service_env.users.api_keys.create(
        name="temporary", scopes=["*"], expires_at=end, by=OPERATOR_PRINCIPAL
    )
    creator = temporary.key.principal
    child = await service_env.users.api_keys.create(name="child", scopes=["users:read"], by=creator)
    assert child.key.expires_at == end
    later = end + timedelta(seconds=1)
    with pytest.raises(GrantNotAllowed):
        await service_env.users.api_keys.create(name="child", scopes=["users:read"], expires_at=later, by=creator)
    permanent = await service_env.users.api_keys.create(name="permanent", scopes=["*"], by=OPERATOR_PRINCIPAL)
    unlimited = await service_env.users.api_keys.create(name="x", scopes=["users:read"], by=permanent.key.principal)
    assert unlimited.key.expires_at is None
