"""Administrators: made, invited, changed and shut out; one super-admin always remains."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.support.service_env import APP

from latchstring.admins.dependencies import AdminDependencies
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
from latchstring.domain.settings import AccountRules, MailRules
from latchstring.formats.email_address import parse_address
from latchstring.users.dependencies import noop

PASSWORD = "correct horse 9 Battery"
ANN = "ann@office.test"


async def made(service_env: Any, email: str = ANN, **fields: Any) -> Any:
    wanted = {"address": parse_address(email), "role": "manager", **fields}
    return await service_env.admins.create(by=OPERATOR_PRINCIPAL, **wanted)


async def able(service_env: Any, email: str = ANN, role: str = "super-admin") -> Admin:
    """An administrator who can sign in."""
    created = await made(service_env, email, role=role, password=PASSWORD)
    return cast("Admin", created.admin)


async def sign_in(service_env: Any, email: str = ANN, password: str = PASSWORD) -> Any:
    return await service_env.admins.sessions.login(email, password, user_agent="Firefox", network="192.0.2.0/24")


async def visit_of(service_env: Any, new: Any) -> Any:
    return await service_env.admins.sessions.find(new.token)


async def invite(service_env: Any, email: str = ANN, **fields: Any) -> Any:
    wanted = {"address": parse_address(email), "role": "manager", "name": "Ann Number", **fields}
    return await service_env.admins.invite(by=OPERATOR_PRINCIPAL, **wanted)


async def mailed(service_env: Any) -> str:
    """The token of the newest set-up mail."""
    rows = [row for row in await service_env.mails() if row.kind is MailKind.ADMIN_SET_UP]
    message = await service_env.admins.set_up_links.load_mail(rows[-1])
    return str(message.link_url.partition("token=")[2])


# ---- made and set up -------------------------------------------------------------------------------------------------


async def test_an_admin_with_a_password_needs_no_link(service_env: Any) -> None:
    one = await made(service_env, password=PASSWORD)
    assert one.set_up_url is None
    assert await service_env.passwords.verify(PASSWORD, one.admin.password_hash)
    assert (await service_env.events()) == ["admin.created"]


async def test_of_uses_of_a_set_up_link_at_once_exactly_one_wins(service_env: Any) -> None:
    one = await made(service_env)
    assert one.set_up_url.startswith("https://invite.example.org/admin/set-up?token=ey")
    token = one.set_up_url.partition("token=")[2]
    results = await asyncio.gather(
        *(service_env.admins.set_up_links.use(token, f"password number {i}") for i in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results].count(SetUpTokenInvalid) == 3
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(token)


async def test_a_set_up_link_runs_out(service_env: Any) -> None:
    token = (await made(service_env)).set_up_url.partition("token=")[2]
    service_env.clock.forward(timedelta(days=1))
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.use(token, PASSWORD)


async def test_addresses_of_admins_are_taken_once(service_env: Any) -> None:
    await made(service_env)
    with pytest.raises(EmailTaken):
        await made(service_env, "ANN@office.test")
    with pytest.raises(EmailTaken):
        await invite(service_env)
    assert await service_env.mails() == []


async def test_unknown_roles_and_weak_passwords_are_refused_together(service_env: Any) -> None:
    with pytest.raises(InvalidFields) as refused:
        await made(service_env, role="emperor", password="short")
    assert {problem.pointer for problem in refused.value.errors} == {"/role", "/password"}


async def test_an_invited_admin_gets_a_link_by_mail_and_chooses_a_password(service_env: Any) -> None:
    sent = await invite(service_env, locale="de")
    assert sent.is_mailed
    (row,) = await service_env.mails()
    message = await service_env.admins.set_up_links.load_mail(row)
    assert (message.to, message.locale, message.is_new, message.first_name) == (ANN, "de", True, "Ann Number")
    assert message.expires_at == service_env.clock.now + timedelta(days=1)
    await service_env.admins.set_up_links.use(await mailed(service_env), PASSWORD)
    assert (await visit_of(service_env, await sign_in(service_env))).admin.role == "manager"
    assert await service_env.admins.set_up_links.load_mail(row) is None


def without_mail(service_env: Any) -> Admins:
    return Admins.build(
        AdminDependencies(
            db=service_env.db,
            clock=service_env.clock,
            keyring=service_env.keyring,
            links=service_env.tokens,
            app=APP,
            rules=AccountRules(),
            passwords=service_env.passwords,
            mail_rules=MailRules(transport="off"),
            wake_worker=noop,
        )
    )


async def test_without_mail_the_link_is_shown_to_whoever_invites(service_env: Any) -> None:
    quiet = replace(service_env, admins=without_mail(service_env))
    sent = await invite(quiet)
    assert not sent.is_mailed
    await service_env.admins.set_up_links.use(sent.set_up_url.partition("token=")[2], PASSWORD)
    assert (await sign_in(service_env)).token
    again = await quiet.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    assert (await service_env.admins.set_up_links.check(again.set_up_url.partition("token=")[2])).id == sent.admin.id


async def test_a_link_that_is_sent_again_ends_the_one_before(service_env: Any) -> None:
    sent = await invite(service_env)
    first = await mailed(service_env)
    await service_env.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(first)
    assert (await service_env.admins.set_up_links.check(await mailed(service_env))).id == sent.admin.id
    with pytest.raises(AdminNotFound):
        await service_env.admins.resend_set_up(new_id(service_env.clock.now), by=OPERATOR_PRINCIPAL)


async def test_nobody_shut_out_gets_a_link(service_env: Any) -> None:
    sent = await invite(service_env)
    token = await mailed(service_env)
    await service_env.admins.deactivate(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(AccountBlocked):
        await service_env.admins.resend_set_up(sent.admin.id, by=OPERATOR_PRINCIPAL)
    await service_env.admins.reactivate(sent.admin.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(token)


# ---- forgotten passwords ---------------------------------------------------------------------------------------------


async def test_a_forgotten_password_is_mailed_for_an_hour_and_ends_sessions(service_env: Any) -> None:
    await able(service_env)
    new = await sign_in(service_env)
    await service_env.admins.set_up_links.request(parse_address(ANN))
    (row,) = await service_env.mails()
    message = await service_env.admins.set_up_links.load_mail(row)
    assert (message.is_new, message.expires_at) == (False, service_env.clock.now + timedelta(hours=1))
    assert await visit_of(service_env, new) is not None
    await service_env.admins.set_up_links.use(await mailed(service_env), "quite another 1")
    assert await visit_of(service_env, new) is None
    assert (await sign_in(service_env, password="quite another 1")).token


@pytest.mark.parametrize("who", ["unknown", "deactivated", "a user"])
async def test_asking_about_others_writes_as_much_and_sends_nothing(service_env: Any, who: str) -> None:
    admin = await able(service_env, role="viewer")
    if who == "deactivated":
        await service_env.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL)
    user = await service_env.user()
    address = {"unknown": "nobody@office.test", "deactivated": ANN, "a user": user.email}[who]
    await service_env.admins.set_up_links.request(parse_address(address))
    (row,) = await service_env.mails()
    assert row.state == "SUPPRESSED"


async def test_a_link_in_the_mail_dies_with_the_password_it_was_asked_for(service_env: Any) -> None:
    await able(service_env)
    await service_env.admins.set_up_links.request(parse_address(ANN))
    token = await mailed(service_env)
    visit = await visit_of(service_env, await sign_in(service_env))
    await service_env.admins.own_account.change_password(visit, PASSWORD, "quite another 1")
    with pytest.raises(SetUpTokenInvalid):
        await service_env.admins.set_up_links.check(token)


# ---- what super-admins do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "viewer"])
async def test_only_super_admins_look_after_administrators(service_env: Any, role: str) -> None:
    admin = await able(service_env, role=role)
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


async def test_a_role_counts_from_the_next_request(service_env: Any) -> None:
    boss, admin = await able(service_env), await able(service_env, "ben@office.test", role="viewer")
    new = await sign_in(service_env, "ben@office.test")
    await service_env.admins.set_role(admin.id, "super-admin", by=principal_of_admin(boss))
    assert (await visit_of(service_env, new)).admin.role == "super-admin"
    with pytest.raises(InvalidFields):
        await service_env.admins.set_role(admin.id, "emperor", by=principal_of_admin(boss))


async def test_deactivating_ends_sessions_and_reactivating_brings_none_back(service_env: Any) -> None:
    boss, admin = await able(service_env), await able(service_env, "ben@office.test", role="manager")
    new = await sign_in(service_env, "ben@office.test")
    await service_env.admins.deactivate(admin.id, by=principal_of_admin(boss))
    assert await visit_of(service_env, new) is None
    with pytest.raises(InvalidCredentials):
        await sign_in(service_env, "ben@office.test")
    await service_env.admins.reactivate(admin.id, by=principal_of_admin(boss))
    assert await visit_of(service_env, new) is None
    assert (await sign_in(service_env, "ben@office.test")).token


async def test_a_login_against_a_deactivation_leaves_no_way_in(service_env: Any) -> None:
    await able(service_env)
    for number in range(4):
        email = f"ben{number}@office.test"
        admin = await able(service_env, email, role="manager")
        new: Any
        new, _ = await asyncio.gather(
            sign_in(service_env, email),
            service_env.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL),
            return_exceptions=True,
        )
        await service_env.admins.reactivate(admin.id, by=OPERATOR_PRINCIPAL)
        if not isinstance(new, InvalidCredentials):
            assert await visit_of(service_env, new) is None


async def test_sessions_of_another_are_ended(service_env: Any) -> None:
    boss = principal_of_admin(await able(service_env))
    admin = await able(service_env, "ben@office.test", role="viewer")
    new, kept = await sign_in(service_env, "ben@office.test"), await sign_in(service_env)
    (seen,) = await service_env.admins.list_sessions(admin.id, by=boss)
    assert (seen.user_agent, seen.network) == ("Firefox", "192.0.2.0/24")
    assert await service_env.admins.end_sessions(admin.id, by=boss) == 1
    assert await visit_of(service_env, new) is None
    assert await visit_of(service_env, kept) is not None
    assert await service_env.admins.end_sessions(admin.id, by=boss) == 0


async def test_the_last_super_admin_can_neither_be_demoted_nor_deactivated(service_env: Any) -> None:
    boss = await able(service_env)
    await made(service_env, "invited@office.test", role="super-admin")  # who cannot sign in yet does not count
    gone = await able(service_env, "gone@office.test")
    await service_env.admins.deactivate(gone.id, by=OPERATOR_PRINCIPAL)
    for attempt in (
        service_env.admins.set_role(boss.id, "manager", by=OPERATOR_PRINCIPAL),
        service_env.admins.deactivate(boss.id, by=OPERATOR_PRINCIPAL),
    ):
        with pytest.raises(LastSuperAdmin):
            await attempt
    await service_env.admins.set_role(boss.id, "super-admin", by=OPERATOR_PRINCIPAL)
    await able(service_env, "second@office.test")
    assert not (await service_env.admins.deactivate(boss.id, by=OPERATOR_PRINCIPAL)).is_active


@pytest.mark.parametrize("how", ["demoted", "deactivated", "one each"])
async def test_of_super_admins_removed_at_once_one_remains(service_env: Any, how: str) -> None:
    admins = service_env.admins
    for round_ in range(3):
        bosses = [await able(service_env, f"b{round_}{number}@office.test") for number in range(3)]
        results = await asyncio.gather(
            *(
                admins.deactivate(boss.id, by=OPERATOR_PRINCIPAL)
                if how == "deactivated" or (how == "one each" and number % 2)
                else admins.set_role(boss.id, "viewer", by=OPERATOR_PRINCIPAL)
                for number, boss in enumerate(bosses)
            ),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        left = [a for a in await admins.list_all() if a.role == "super-admin" and a.is_active and a.is_set_up]
        assert left
        assert {type(error) for error in refused} <= {LastSuperAdmin}
        if round_ == 0:
            assert (len(left), len(refused)) == (1, 1)


async def test_lists_name_everybody(service_env: Any) -> None:
    await able(service_env)
    await invite(service_env, "ben@office.test")
    found = await service_env.admins.list_all()
    assert [(admin.email, admin.is_set_up) for admin in found] == [(ANN, True), ("ben@office.test", False)]


# ---- one's own account -----------------------------------------------------------------------------------------------


async def test_changing_ones_password_ends_the_other_sessions_and_renews_this_one(service_env: Any) -> None:
    await able(service_env)
    other, new = await sign_in(service_env), await sign_in(service_env)
    visit = await visit_of(service_env, new)
    for current, wanted, pointer in (("wrong", "quite another 1", "/currentPassword"), (PASSWORD, "x", "/password")):
        with pytest.raises(InvalidFields) as refused:
            await service_env.admins.own_account.change_password(visit, current, wanted)
        assert [problem.pointer for problem in refused.value.errors] == [pointer]
    renewed = await service_env.admins.own_account.change_password(visit, PASSWORD, "quite another 1")
    assert [await visit_of(service_env, one) for one in (other, new)] == [None, None]
    assert (await visit_of(service_env, renewed)).session_id == visit.session_id
    assert (await sign_in(service_env, password="quite another 1")).token


async def test_of_password_changes_at_once_one_wins(service_env: Any) -> None:
    await able(service_env)
    visits = [await visit_of(service_env, await sign_in(service_env)) for _ in range(3)]
    results = await asyncio.gather(
        *(
            service_env.admins.own_account.change_password(v, PASSWORD, f"password number {i}")
            for i, v in enumerate(visits)
        ),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(CredentialInvalid) == 2


async def test_ones_own_sessions_are_listed_and_ended(service_env: Any) -> None:
    await able(service_env)
    await able(service_env, "ben@office.test")
    first, second, third = [await sign_in(service_env) for _ in range(3)]
    foreign = await visit_of(service_env, await sign_in(service_env, "ben@office.test"))
    visit, other = await visit_of(service_env, first), await visit_of(service_env, second)
    assert {one.id for one in await service_env.admins.own_account.list_sessions(visit)} >= {
        visit.session_id,
        other.session_id,
    }
    assert len(await service_env.admins.own_account.list_sessions(visit)) == 3
    assert await service_env.admins.own_account.end_session(visit, other.session_id) == 1
    assert await service_env.admins.own_account.end_session(visit, foreign.session_id) == 0
    assert await service_env.admins.own_account.end_other_sessions(visit) == 1
    assert await visit_of(service_env, third) is None
    assert [one.id for one in await service_env.admins.own_account.list_sessions(visit)] == [visit.session_id]


async def test_name_and_language_are_ones_own(service_env: Any) -> None:
    await able(service_env)
    new = await sign_in(service_env)
    await service_env.admins.own_account.change(await visit_of(service_env, new), name="Ann Number", locale="de")
    admin = (await visit_of(service_env, new)).admin
    assert (admin.name, admin.locale) == ("Ann Number", "de")
