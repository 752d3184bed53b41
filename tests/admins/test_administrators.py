"""Administrators: made, invited, changed and shut out; one super-admin always remains."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.service_env import APP

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
from latchstring.users.dependencies import do_nothing

PASSWORD = "correct horse 9 Battery"
ANN = "ann@office.test"


async def made(world: Any, email: str = ANN, **fields: Any) -> Any:
    wanted = {"address": parse_address(email), "role": "manager", **fields}
    return await world.admins.create_admin(OPERATOR_PRINCIPAL, **wanted)


async def able(world: Any, email: str = ANN, role: str = "super-admin") -> Admin:
    """An administrator who can sign in."""
    return (await made(world, email, role=role, password=PASSWORD)).admin


async def sign_in(world: Any, email: str = ANN, password: str = PASSWORD) -> Any:
    return await world.admins.admin_login(email, password, user_agent="Firefox", network="192.0.2.0/24")


async def visit_of(world: Any, new: Any) -> Any:
    return await world.admins.find_admin_session(new.token)


async def invite(world: Any, email: str = ANN, **fields: Any) -> Any:
    wanted = {"address": parse_address(email), "role": "manager", "name": "Ann Number", **fields}
    return await world.admins.invite_admin(OPERATOR_PRINCIPAL, **wanted)


async def mailed(world: Any) -> str:
    """The token of the newest set-up mail."""
    rows = [row for row in await world.mails() if row.kind is MailKind.ADMIN_SET_UP]
    message = await world.admins.load_admin_set_up_mail(rows[-1])
    return message.link_url.partition("token=")[2]


# ---- made and set up -------------------------------------------------------------------------------------------------


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
        *(world.admins.set_up_admin(token, f"password number {i}") for i in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results].count(SetUpTokenInvalid) == 3
    with pytest.raises(SetUpTokenInvalid):
        await world.admins.check_set_up(token)


async def test_a_set_up_link_runs_out(world: Any) -> None:
    token = (await made(world)).set_up_url.partition("token=")[2]
    world.clock.forward(timedelta(days=1))
    with pytest.raises(SetUpTokenInvalid):
        await world.admins.set_up_admin(token, PASSWORD)


async def test_addresses_of_admins_are_taken_once(world: Any) -> None:
    await made(world)
    with pytest.raises(EmailTaken):
        await made(world, "ANN@office.test")
    with pytest.raises(EmailTaken):
        await invite(world)
    assert await world.mails() == []


async def test_unknown_roles_and_weak_passwords_are_refused_together(world: Any) -> None:
    with pytest.raises(InvalidFields) as refused:
        await made(world, role="emperor", password="short")
    assert {problem.pointer for problem in refused.value.errors} == {"/role", "/password"}


async def test_an_invited_admin_gets_a_link_by_mail_and_chooses_a_password(world: Any) -> None:
    sent = await invite(world, locale="de")
    assert sent.is_mailed
    (row,) = await world.mails()
    message = await world.admins.load_admin_set_up_mail(row)
    assert (message.to, message.locale, message.is_new, message.first_name) == (ANN, "de", True, "Ann Number")
    assert message.expires_at == world.clock.now + timedelta(days=1)
    await world.admins.set_up_admin(await mailed(world), PASSWORD)
    assert (await visit_of(world, await sign_in(world))).admin.role == "manager"
    assert await world.admins.load_admin_set_up_mail(row) is None


def without_mail(world: Any) -> Admins:
    return Admins(
        db=world.db, clock=world.clock, keyring=world.keyring, tokens=world.tokens, app=APP,
        rules=AccountRules(), passwords=world.passwords, mail_rules=MailRules(transport="off"), wake_worker=do_nothing,
    )  # fmt: skip


async def test_without_mail_the_link_is_shown_to_whoever_invites(world: Any) -> None:
    quiet = replace(world, admins=without_mail(world))
    sent = await invite(quiet)
    assert not sent.is_mailed
    await world.admins.set_up_admin(sent.set_up_url.partition("token=")[2], PASSWORD)
    assert (await sign_in(world)).token
    again = await quiet.admins.resend_set_up(OPERATOR_PRINCIPAL, sent.admin.id)
    assert (await world.admins.check_set_up(again.set_up_url.partition("token=")[2])).id == sent.admin.id


async def test_a_link_that_is_sent_again_ends_the_one_before(world: Any) -> None:
    sent = await invite(world)
    first = await mailed(world)
    await world.admins.resend_set_up(OPERATOR_PRINCIPAL, sent.admin.id)
    with pytest.raises(SetUpTokenInvalid):
        await world.admins.check_set_up(first)
    assert (await world.admins.check_set_up(await mailed(world))).id == sent.admin.id
    with pytest.raises(AdminNotFound):
        await world.admins.resend_set_up(OPERATOR_PRINCIPAL, new_id(world.clock.now))


async def test_nobody_shut_out_gets_a_link(world: Any) -> None:
    sent = await invite(world)
    token = await mailed(world)
    await world.admins.deactivate_admin(OPERATOR_PRINCIPAL, sent.admin.id)
    with pytest.raises(AccountBlocked):
        await world.admins.resend_set_up(OPERATOR_PRINCIPAL, sent.admin.id)
    await world.admins.reactivate_admin(OPERATOR_PRINCIPAL, sent.admin.id)
    with pytest.raises(SetUpTokenInvalid):
        await world.admins.check_set_up(token)


# ---- forgotten passwords ---------------------------------------------------------------------------------------------


async def test_a_forgotten_password_is_mailed_for_an_hour_and_ends_sessions(world: Any) -> None:
    await able(world)
    new = await sign_in(world)
    await world.admins.request_admin_password(parse_address(ANN))
    (row,) = await world.mails()
    message = await world.admins.load_admin_set_up_mail(row)
    assert (message.is_new, message.expires_at) == (False, world.clock.now + timedelta(hours=1))
    assert await visit_of(world, new) is not None
    await world.admins.set_up_admin(await mailed(world), "quite another 1")
    assert await visit_of(world, new) is None
    assert (await sign_in(world, password="quite another 1")).token


@pytest.mark.parametrize("who", ["unknown", "deactivated", "a user"])
async def test_asking_about_others_writes_as_much_and_sends_nothing(world: Any, who: str) -> None:
    admin = await able(world, role="viewer")
    if who == "deactivated":
        await world.admins.deactivate_admin(OPERATOR_PRINCIPAL, admin.id)
    user = await world.user()
    address = {"unknown": "nobody@office.test", "deactivated": ANN, "a user": user.email}[who]
    await world.admins.request_admin_password(parse_address(address))
    (row,) = await world.mails()
    assert row.state == "SUPPRESSED"


async def test_a_link_in_the_mail_dies_with_the_password_it_was_asked_for(world: Any) -> None:
    await able(world)
    await world.admins.request_admin_password(parse_address(ANN))
    token = await mailed(world)
    visit = await visit_of(world, await sign_in(world))
    await world.admins.change_own_password(visit, PASSWORD, "quite another 1")
    with pytest.raises(SetUpTokenInvalid):
        await world.admins.check_set_up(token)


# ---- what super-admins do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "viewer"])
async def test_only_super_admins_look_after_administrators(world: Any, role: str) -> None:
    admin = await able(world, role=role)
    principal, admins = principal_of_admin(admin), world.admins
    for attempt in (
        admins.create_admin(principal, address=parse_address("b@office.test"), role="viewer"),
        admins.invite_admin(principal, address=parse_address("b@office.test"), role="viewer"),
        admins.resend_set_up(principal, admin.id),
        admins.set_admin_role(principal, admin.id, "super-admin"),
        admins.deactivate_admin(principal, admin.id),
        admins.reactivate_admin(principal, admin.id),
        admins.end_admin_sessions(principal, admin.id),
        admins.list_admin_sessions(principal, admin.id),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    assert await world.events() == ["admin.created"]


async def test_a_role_counts_from_the_next_request(world: Any) -> None:
    boss, admin = await able(world), await able(world, "ben@office.test", role="viewer")
    new = await sign_in(world, "ben@office.test")
    await world.admins.set_admin_role(principal_of_admin(boss), admin.id, "super-admin")
    assert (await visit_of(world, new)).admin.role == "super-admin"
    with pytest.raises(InvalidFields):
        await world.admins.set_admin_role(principal_of_admin(boss), admin.id, "emperor")


async def test_deactivating_ends_sessions_and_reactivating_brings_none_back(world: Any) -> None:
    boss, admin = await able(world), await able(world, "ben@office.test", role="manager")
    new = await sign_in(world, "ben@office.test")
    await world.admins.deactivate_admin(principal_of_admin(boss), admin.id)
    assert await visit_of(world, new) is None
    with pytest.raises(InvalidCredentials):
        await sign_in(world, "ben@office.test")
    await world.admins.reactivate_admin(principal_of_admin(boss), admin.id)
    assert await visit_of(world, new) is None
    assert (await sign_in(world, "ben@office.test")).token


async def test_a_login_against_a_deactivation_leaves_no_way_in(world: Any) -> None:
    await able(world)
    for number in range(4):
        email = f"ben{number}@office.test"
        admin = await able(world, email, role="manager")
        new, _ = await asyncio.gather(
            sign_in(world, email),
            world.admins.deactivate_admin(OPERATOR_PRINCIPAL, admin.id),
            return_exceptions=True,
        )
        await world.admins.reactivate_admin(OPERATOR_PRINCIPAL, admin.id)
        if not isinstance(new, InvalidCredentials):
            assert await visit_of(world, new) is None


async def test_sessions_of_another_are_ended(world: Any) -> None:
    boss = principal_of_admin(await able(world))
    admin = await able(world, "ben@office.test", role="viewer")
    new, kept = await sign_in(world, "ben@office.test"), await sign_in(world)
    (seen,) = await world.admins.list_admin_sessions(boss, admin.id)
    assert (seen.user_agent, seen.network) == ("Firefox", "192.0.2.0/24")
    assert await world.admins.end_admin_sessions(boss, admin.id) == 1
    assert await visit_of(world, new) is None
    assert await visit_of(world, kept) is not None
    assert await world.admins.end_admin_sessions(boss, admin.id) == 0


async def test_the_last_super_admin_can_neither_be_demoted_nor_deactivated(world: Any) -> None:
    boss = await able(world)
    await made(world, "invited@office.test", role="super-admin")  # who cannot sign in yet does not count
    gone = await able(world, "gone@office.test")
    await world.admins.deactivate_admin(OPERATOR_PRINCIPAL, gone.id)
    for attempt in (
        world.admins.set_admin_role(OPERATOR_PRINCIPAL, boss.id, "manager"),
        world.admins.deactivate_admin(OPERATOR_PRINCIPAL, boss.id),
    ):
        with pytest.raises(LastSuperAdmin):
            await attempt
    await world.admins.set_admin_role(OPERATOR_PRINCIPAL, boss.id, "super-admin")
    await able(world, "second@office.test")
    assert not (await world.admins.deactivate_admin(OPERATOR_PRINCIPAL, boss.id)).is_active


@pytest.mark.parametrize("how", ["demoted", "deactivated", "one each"])
async def test_of_super_admins_removed_at_once_one_remains(world: Any, how: str) -> None:
    admins = world.admins
    for round_ in range(3):
        bosses = [await able(world, f"b{round_}{number}@office.test") for number in range(3)]
        results = await asyncio.gather(
            *(
                admins.deactivate_admin(OPERATOR_PRINCIPAL, boss.id)
                if how == "deactivated" or (how == "one each" and number % 2)
                else admins.set_admin_role(OPERATOR_PRINCIPAL, boss.id, "viewer")
                for number, boss in enumerate(bosses)
            ),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        left = [a for a in await admins.list_admins() if a.role == "super-admin" and a.is_active and a.is_set_up]
        assert left
        assert {type(error) for error in refused} <= {LastSuperAdmin}
        if round_ == 0:
            assert (len(left), len(refused)) == (1, 1)


async def test_lists_name_everybody(world: Any) -> None:
    await able(world)
    await invite(world, "ben@office.test")
    found = await world.admins.list_admins()
    assert [(admin.email, admin.is_set_up) for admin in found] == [(ANN, True), ("ben@office.test", False)]


# ---- one's own account -----------------------------------------------------------------------------------------------


async def test_changing_ones_password_ends_the_other_sessions_and_renews_this_one(world: Any) -> None:
    await able(world)
    other, new = await sign_in(world), await sign_in(world)
    visit = await visit_of(world, new)
    for current, wanted, pointer in (("wrong", "quite another 1", "/currentPassword"), (PASSWORD, "x", "/password")):
        with pytest.raises(InvalidFields) as refused:
            await world.admins.change_own_password(visit, current, wanted)
        assert [problem.pointer for problem in refused.value.errors] == [pointer]
    renewed = await world.admins.change_own_password(visit, PASSWORD, "quite another 1")
    assert [await visit_of(world, one) for one in (other, new)] == [None, None]
    assert (await visit_of(world, renewed)).session_id == visit.session_id
    assert (await sign_in(world, password="quite another 1")).token


async def test_of_password_changes_at_once_one_wins(world: Any) -> None:
    await able(world)
    visits = [await visit_of(world, await sign_in(world)) for _ in range(3)]
    results = await asyncio.gather(
        *(world.admins.change_own_password(v, PASSWORD, f"password number {i}") for i, v in enumerate(visits)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(CredentialInvalid) == 2


async def test_ones_own_sessions_are_listed_and_ended(world: Any) -> None:
    await able(world)
    await able(world, "ben@office.test")
    first, second, third = [await sign_in(world) for _ in range(3)]
    foreign = await visit_of(world, await sign_in(world, "ben@office.test"))
    visit, other = await visit_of(world, first), await visit_of(world, second)
    assert {one.id for one in await world.admins.list_own_sessions(visit)} >= {visit.session_id, other.session_id}
    assert len(await world.admins.list_own_sessions(visit)) == 3
    assert await world.admins.end_own_session(visit, other.session_id) == 1
    assert await world.admins.end_own_session(visit, foreign.session_id) == 0
    assert await world.admins.end_other_sessions(visit) == 1
    assert await visit_of(world, third) is None
    assert [one.id for one in await world.admins.list_own_sessions(visit)] == [visit.session_id]


async def test_name_and_language_are_ones_own(world: Any) -> None:
    await able(world)
    new = await sign_in(world)
    await world.admins.change_own_admin(await visit_of(world, new), name="Ann Number", locale="de")
    admin = (await visit_of(world, new)).admin
    assert (admin.name, admin.locale) == ("Ann Number", "de")
