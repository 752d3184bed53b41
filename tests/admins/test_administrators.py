"""Administrators: create, invite, change, deactivate; one super-admin always remains."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.support.service_env import NETWORK

from latchstring.admins.service import Admins
from latchstring.domain.account import Admin
from latchstring.domain.errors import (
    AccountBlocked,
    AdminNotFound,
    CredentialInvalid,
    EmailTaken,
    InvalidCredentials,
    InvalidFields,
    LastSuperAdmin,
    NotAllowed,
    SetUpTokenInvalid,
)
from latchstring.domain.ids import new_id
from latchstring.domain.mail import MailKind
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.settings import MailRules
from latchstring.formats.email_address import parse_address

PASSWORD = "correct horse 9 Battery"
ANN = "ann@office.test"


async def create_admin(service_env: Any, email: str = ANN, **fields: Any) -> Any:
    values = {"address": parse_address(email), "role": "manager", **fields}
    return await service_env.admins.create(by=OPERATOR_PRINCIPAL, **values)


async def create_active_admin(service_env: Any, email: str = ANN, role: str = "super-admin") -> Admin:
    """An administrator who can sign in."""
    created = await create_admin(service_env, email, role=role, password=PASSWORD)
    return cast("Admin", created.admin)


async def sign_in(service_env: Any, email: str = ANN, password: str = PASSWORD) -> Any:
    return await service_env.admins.sessions.login(email, password, user_agent="Firefox", network="192.0.2.0/24")


async def authenticate(service_env: Any, new: Any) -> Any:
    return await service_env.admins.sessions.find(new.token)


async def invite(service_env: Any, email: str = ANN, **fields: Any) -> Any:
    values = {"address": parse_address(email), "role": "manager", "name": "Ann Number", **fields}
    return await service_env.admins.invite(by=OPERATOR_PRINCIPAL, **values)


async def find_mailed_token(service_env: Any) -> str:
    """The token of the newest set-up mail."""
    rows = [row for row in await service_env.mails() if row.kind is MailKind.ADMIN_SET_UP]
    message = await service_env.admins.set_up_links.load_mail(rows[-1])
    return str(message.link_url.partition("token=")[2])


# ---- create and set up -----------------------------------------------------------------------------------------------


async def test_an_admin_with_a_password_needs_no_link(service_env: Any) -> None:
    created = await create_admin(service_env, password=PASSWORD)
    assert created.set_up_url is None
    assert await service_env.passwords.verify(PASSWORD, created.admin.password_hash)
    assert (await service_env.events()) == ["admin.created"]


async def test_of_uses_of_a_set_up_link_at_once_one_succeeds(service_env: Any) -> None:
    created = await create_admin(service_env)
    assert created.set_up_url.startswith("https://invite.example.org/admin/set-up?token=ey")
    token = created.set_up_url.partition("token=")[2]
    results = await asyncio.gather(
        *(service_env.admins.set_up_links.use(token, f"password number {i}") for i in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results].count(SetUpTokenInvalid) == 3
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(token)


async def test_a_set_up_link_expires(service_env: Any) -> None:
    token = (await create_admin(service_env)).set_up_url.partition("token=")[2]
    service_env.clock.forward(timedelta(days=1))
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.use(token, PASSWORD)


async def test_addresses_of_administrators_are_unique(service_env: Any) -> None:
    await create_admin(service_env)
    with pytest.raises(EmailTaken):
        await create_admin(service_env, "ANN@office.test")
    with pytest.raises(EmailTaken):
        await invite(service_env)
    assert await service_env.mails() == []


async def test_unknown_roles_and_weak_passwords_are_refused_together(service_env: Any) -> None:
    with pytest.raises(InvalidFields) as refused:
        await create_admin(service_env, role="emperor", password="short")
    assert {problem.pointer for problem in refused.value.errors} == {"/role", "/password"}


async def test_an_invited_admin_gets_a_link_by_mail_and_chooses_a_password(service_env: Any) -> None:
    sent = await invite(service_env, locale="de")
    assert sent.is_mailed
    (row,) = await service_env.mails()
    message = await service_env.admins.set_up_links.load_mail(row)
    assert (message.to, message.locale, message.is_new, message.first_name) == (ANN, "de", True, "Ann Number")
    assert message.expires_at == service_env.clock.now + timedelta(days=1)
    await service_env.admins.set_up_links.use(await find_mailed_token(service_env), PASSWORD)
    assert (await authenticate(service_env, await sign_in(service_env))).admin.role == "manager"
    assert await service_env.admins.set_up_links.load_mail(row) is None


def build_without_mail(service_env: Any) -> Admins:
    return Admins.build(replace(service_env.admins.deps, mail_rules=MailRules(transport="off")))


async def test_without_mail_the_link_is_returned_to_the_caller(service_env: Any) -> None:
    quiet = replace(service_env, admins=build_without_mail(service_env))
    sent = await invite(quiet)
    assert not sent.is_mailed
    await service_env.admins.set_up_links.use(sent.set_up_url.partition("token=")[2], PASSWORD)
    assert (await sign_in(service_env)).token
    again = await quiet.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    assert (await service_env.admins.set_up_links.check(again.set_up_url.partition("token=")[2])).id == sent.admin.id


async def test_resending_a_set_up_link_invalidates_the_previous_one(service_env: Any) -> None:
    sent = await invite(service_env)
    first = await find_mailed_token(service_env)
    await service_env.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(first)
    assert (await service_env.admins.set_up_links.check(await find_mailed_token(service_env))).id == sent.admin.id
    with pytest.raises(AdminNotFound):
        await service_env.admins.resend_set_up(new_id(service_env.clock.now), by=OPERATOR_PRINCIPAL)


async def test_deactivated_administrators_get_no_link(service_env: Any) -> None:
    sent = await invite(service_env)
    token = await find_mailed_token(service_env)
    await service_env.admins.deactivate(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(AccountBlocked):
        await service_env.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    await service_env.admins.reactivate(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(token)


# ---- forgotten passwords ---------------------------------------------------------------------------------------------


async def test_a_reset_link_works_for_an_hour_and_ends_sessions(service_env: Any) -> None:
    await create_active_admin(service_env)
    new = await sign_in(service_env)
    await service_env.admins.set_up_links.request(parse_address(ANN))
    (row,) = await service_env.mails()
    message = await service_env.admins.set_up_links.load_mail(row)
    assert (message.is_new, message.expires_at) == (False, service_env.clock.now + timedelta(hours=1))
    assert await authenticate(service_env, new) is not None
    await service_env.admins.set_up_links.use(await find_mailed_token(service_env), "quite another 1")
    assert await authenticate(service_env, new) is None
    assert (await sign_in(service_env, password="quite another 1")).token


@pytest.mark.parametrize("case", ["unknown", "deactivated", "a user"])
async def test_a_request_for_another_address_stores_a_mail_that_is_not_sent(service_env: Any, case: str) -> None:
    admin = await create_active_admin(service_env, role="viewer")
    if case == "deactivated":
        await service_env.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL)
    user = await service_env.user()
    address = {"unknown": "nobody@office.test", "deactivated": ANN, "a user": user.email}[case]
    await service_env.admins.set_up_links.request(parse_address(address))
    (row,) = await service_env.mails()
    assert row.state == "SUPPRESSED"


async def test_a_changed_password_invalidates_mailed_links(service_env: Any) -> None:
    await create_active_admin(service_env)
    await service_env.admins.set_up_links.request(parse_address(ANN))
    token = await find_mailed_token(service_env)
    authenticated = await authenticate(service_env, await sign_in(service_env))
    await service_env.admins.own_account.change_password(authenticated, PASSWORD, "quite another 1", network=NETWORK)
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(token)


# ---- changes by super-admins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "viewer"])
async def test_only_super_admins_manage_administrators(service_env: Any, role: str) -> None:
    admin = await create_active_admin(service_env, role=role)
    principal, admins = principal_of_admin(admin), service_env.admins
    for attempt in (
        admins.create(address=parse_address("b@office.test"), role="viewer", by=principal),
        admins.invite(address=parse_address("b@office.test"), role="viewer", by=principal),
        admins.resend_set_up(admin.id, by=principal),
        admins.set_role(admin.id, "super-admin", by=principal),
        admins.deactivate(admin.id, by=principal),
        admins.reactivate(admin.id, by=principal),
        admins.end_sessions(admin.id, by=principal),
        admins.list_sessions(admin.id, by=principal),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    assert await service_env.events() == ["admin.created"]


async def test_a_changed_role_applies_from_the_next_request(service_env: Any) -> None:
    super_admin, admin = (
        await create_active_admin(service_env),
        await create_active_admin(service_env, "ben@office.test", role="viewer"),
    )
    new = await sign_in(service_env, "ben@office.test")
    await service_env.admins.set_role(admin.id, "super-admin", by=principal_of_admin(super_admin))
    assert (await authenticate(service_env, new)).admin.role == "super-admin"
    with pytest.raises(InvalidFields):
        await service_env.admins.set_role(admin.id, "emperor", by=principal_of_admin(super_admin))


async def test_deactivating_ends_sessions_and_reactivating_does_not_restore_them(service_env: Any) -> None:
    super_admin, admin = (
        await create_active_admin(service_env),
        await create_active_admin(service_env, "ben@office.test", role="manager"),
    )
    new = await sign_in(service_env, "ben@office.test")
    await service_env.admins.deactivate(admin.id, by=principal_of_admin(super_admin))
    assert await authenticate(service_env, new) is None
    with pytest.raises(InvalidCredentials):
        await sign_in(service_env, "ben@office.test")
    await service_env.admins.reactivate(admin.id, by=principal_of_admin(super_admin))
    assert await authenticate(service_env, new) is None
    assert (await sign_in(service_env, "ben@office.test")).token


async def test_a_login_and_a_deactivation_at_once_leave_no_session(service_env: Any) -> None:
    await create_active_admin(service_env)
    for number in range(4):
        email = f"ben{number}@office.test"
        admin = await create_active_admin(service_env, email, role="manager")
        new: Any
        new, _ = await asyncio.gather(
            sign_in(service_env, email),
            service_env.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL),
            return_exceptions=True,
        )
        await service_env.admins.reactivate(admin.id, by=OPERATOR_PRINCIPAL)
        if not isinstance(new, InvalidCredentials):
            assert await authenticate(service_env, new) is None


async def test_sessions_of_another_administrator_are_ended(service_env: Any) -> None:
    super_admin = principal_of_admin(await create_active_admin(service_env))
    admin = await create_active_admin(service_env, "ben@office.test", role="viewer")
    new, own_session = await sign_in(service_env, "ben@office.test"), await sign_in(service_env)
    (listed,) = await service_env.admins.list_sessions(admin.id, by=super_admin)
    assert (listed.user_agent, listed.network) == ("Firefox", "192.0.2.0/24")
    assert await service_env.admins.end_sessions(admin.id, by=super_admin) == 1
    assert await authenticate(service_env, new) is None
    assert await authenticate(service_env, own_session) is not None
    assert await service_env.admins.end_sessions(admin.id, by=super_admin) == 0


async def test_the_last_super_admin_can_neither_be_demoted_nor_deactivated(service_env: Any) -> None:
    super_admin = await create_active_admin(service_env)
    await create_admin(
        service_env, "invited@office.test", role="super-admin"
    )  # without a password, so it does not count
    deactivated = await create_active_admin(service_env, "deactivated@office.test")
    await service_env.admins.deactivate(deactivated.id, by=OPERATOR_PRINCIPAL)
    for attempt in (
        service_env.admins.set_role(super_admin.id, "manager", by=OPERATOR_PRINCIPAL),
        service_env.admins.deactivate(super_admin.id, by=OPERATOR_PRINCIPAL),
    ):
        with pytest.raises(LastSuperAdmin):
            await attempt
    await service_env.admins.set_role(super_admin.id, "super-admin", by=OPERATOR_PRINCIPAL)
    await create_active_admin(service_env, "second@office.test")
    assert not (await service_env.admins.deactivate(super_admin.id, by=OPERATOR_PRINCIPAL)).is_active


@pytest.mark.parametrize("how", ["demoted", "deactivated", "one each"])
async def test_of_super_admins_removed_at_once_one_remains(service_env: Any, how: str) -> None:
    admins = service_env.admins
    for round_ in range(3):
        super_admins = [await create_active_admin(service_env, f"b{round_}{number}@office.test") for number in range(3)]
        results = await asyncio.gather(
            *(
                admins.deactivate(super_admin.id, by=OPERATOR_PRINCIPAL)
                if how == "deactivated" or (how == "one each" and number % 2)
                else admins.set_role(super_admin.id, "viewer", by=OPERATOR_PRINCIPAL)
                for number, super_admin in enumerate(super_admins)
            ),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        remaining = [a for a in await admins.list_all() if a.role == "super-admin" and a.is_active and a.is_set_up]
        assert remaining
        assert {type(error) for error in refused} <= {LastSuperAdmin}
        if round_ == 0:
            assert (len(remaining), len(refused)) == (1, 1)


async def test_all_administrators_are_listed(service_env: Any) -> None:
    await create_active_admin(service_env)
    await invite(service_env, "ben@office.test")
    administrators = await service_env.admins.list_all()
    assert [(admin.email, admin.is_set_up) for admin in administrators] == [(ANN, True), ("ben@office.test", False)]


# ---- one's own account -----------------------------------------------------------------------------------------------


async def test_a_password_change_ends_other_sessions_and_renews_the_token(service_env: Any) -> None:
    await create_active_admin(service_env)
    other, new = await sign_in(service_env), await sign_in(service_env)
    authenticated = await authenticate(service_env, new)
    for current, new_password, pointer in (
        ("wrong", "quite another 1", "/currentPassword"),
        (PASSWORD, "x", "/password"),
    ):
        with pytest.raises(InvalidFields) as refused:
            await service_env.admins.own_account.change_password(authenticated, current, new_password, network=NETWORK)
        assert [problem.pointer for problem in refused.value.errors] == [pointer]
    renewed = await service_env.admins.own_account.change_password(
        authenticated, PASSWORD, "quite another 1", network=NETWORK
    )
    assert [await authenticate(service_env, created) for created in (other, new)] == [None, None]
    assert (await authenticate(service_env, renewed)).session_id == authenticated.session_id
    assert (await sign_in(service_env, password="quite another 1")).token


async def test_of_password_changes_at_once_one_succeeds(service_env: Any) -> None:
    await create_active_admin(service_env)
    authenticated = [await authenticate(service_env, await sign_in(service_env)) for _ in range(3)]
    results = await asyncio.gather(
        *(
            service_env.admins.own_account.change_password(v, PASSWORD, f"password number {i}", network=NETWORK)
            for i, v in enumerate(authenticated)
        ),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(CredentialInvalid) == 2


async def test_own_sessions_are_listed_and_ended(service_env: Any) -> None:
    await create_active_admin(service_env)
    await create_active_admin(service_env, "ben@office.test")
    first, second, third = [await sign_in(service_env) for _ in range(3)]
    foreign = await authenticate(service_env, await sign_in(service_env, "ben@office.test"))
    authenticated, other = await authenticate(service_env, first), await authenticate(service_env, second)
    assert {created.id for created in await service_env.admins.own_account.list_sessions(authenticated)} >= {
        authenticated.session_id,
        other.session_id,
    }
    assert len(await service_env.admins.own_account.list_sessions(authenticated)) == 3
    assert await service_env.admins.own_account.end_session(authenticated, other.session_id) == 1
    assert await service_env.admins.own_account.end_session(authenticated, foreign.session_id) == 0
    assert await service_env.admins.own_account.end_other_sessions(authenticated) == 1
    assert await authenticate(service_env, third) is None
    assert [created.id for created in await service_env.admins.own_account.list_sessions(authenticated)] == [
        authenticated.session_id
    ]


async def test_own_name_and_language_are_changed(service_env: Any) -> None:
    await create_active_admin(service_env)
    new = await sign_in(service_env)
    await service_env.admins.own_account.change(await authenticate(service_env, new), name="Ann Number", locale="de")
    admin = (await authenticate(service_env, new)).admin
    assert (admin.name, admin.locale) == ("Ann Number", "de")
