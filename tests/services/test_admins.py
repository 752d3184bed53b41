"""Administrators: made on the command line, let in once by a set-up link."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from latchstring.accounts.addresses import parse_address
from latchstring.domain.errors import EmailTaken, InvalidFields, SetUpTokenInvalid
from latchstring.domain.principal import OPERATOR_PRINCIPAL

PASSWORD = "correct horse 9 Battery"


async def made(world: Any, email: str = "ann@office.test", **fields: Any) -> Any:
    wanted = {"address": parse_address(email), "role": "manager", **fields}
    return await world.accounts.create_admin(OPERATOR_PRINCIPAL, **wanted)


async def test_an_admin_with_a_password_needs_no_link(world: Any) -> None:
    one = await made(world, password=PASSWORD)
    assert one.set_up_url is None
    assert await world.passwords.verify(PASSWORD, one.admin.password_hash)
    assert (await world.events()) == ["admin.created"]


async def test_of_uses_of_a_set_up_link_at_once_exactly_one_wins(world: Any) -> None:
    one = await made(world)
    assert one.set_up_url.startswith("https://invite.example.org/admin/set-up?token=ey")
    token = one.set_up_url.partition("token=")[2]
    results = await asyncio.gather(
        *(world.accounts.set_up_admin(token, f"password number {i}") for i in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results].count(SetUpTokenInvalid) == 3
    with pytest.raises(SetUpTokenInvalid):
        await world.accounts.check_set_up(token)


async def test_a_set_up_link_runs_out(world: Any) -> None:
    token = (await made(world)).set_up_url.partition("token=")[2]
    world.clock.forward(timedelta(days=1))
    with pytest.raises(SetUpTokenInvalid):
        await world.accounts.set_up_admin(token, PASSWORD)


async def test_addresses_of_admins_are_taken_once(world: Any) -> None:
    await made(world)
    with pytest.raises(EmailTaken):
        await made(world, "ANN@office.test")


async def test_unknown_roles_and_weak_passwords_are_refused_together(world: Any) -> None:
    with pytest.raises(InvalidFields) as refused:
        await made(world, role="emperor", password="short")
    assert {problem.pointer for problem in refused.value.errors} == {"/role", "/password"}
