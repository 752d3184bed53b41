"""Accounts: create, change, list, erase, and the ceiling."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from tests.support.service_env import NETWORK

from latchstring.domain.errors import (
    EmailTaken,
    ExternalIdTaken,
    GrantNotAllowed,
    GroupNotFound,
    InvalidFields,
    UserNotFound,
)
from latchstring.domain.idempotency import AnswerStored, Claim, Once, StoredAnswer
from latchstring.domain.pagination import SortOrder
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address
from latchstring.storage.engine.tables import events, idempotency, users
from latchstring.users.accounts import NewUser, UserChanges

PASSWORD = "correct horse 9 Battery"


def new_user(address: str = "ada@people.test", **fields: Any) -> NewUser:
    return NewUser(address=parse_address(address), **{"first_name": "Ada", "last_name": "Löwe", **fields})


async def test_an_account_is_created_with_all_fields(service_env: Any) -> None:
    await service_env.group("readers")
    created = await service_env.users.create(
        new_user("Ada@People.TEST", role="team", groups=("readers",), locale="de", external_id="crm|1"),
        by=OPERATOR_PRINCIPAL,
    )
    read = await service_env.reload(created)
    assert read == created
    assert (read.email, read.email_key, read.groups) == ("Ada@People.TEST", "ada@people.test", ("readers",))
    assert (read.email_verified, read.terms_version, read.created_at) == (True, "1", service_env.clock.now)


async def test_terms_and_verification_may_be_omitted(service_env: Any) -> None:
    created = await service_env.user(email_verified=False, accept_terms=False)
    assert (created.email_verified, created.terms_version, created.has_accepted("1")) == (False, None, False)


async def test_of_equal_addresses_at_once_one_is_created(service_env: Any) -> None:
    spellings = ["ada@people.test", "ADA@people.test", "Ada@PEOPLE.test", "ada@People.Test"]
    results = await asyncio.gather(
        *(service_env.users.create(new_user(spelling), by=OPERATOR_PRINCIPAL) for spelling in spellings),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(EmailTaken) == 3
    assert (await service_env.events()).count("user.created") == 1


async def test_of_equal_external_ids_at_once_one_is_created(service_env: Any) -> None:
    results = await asyncio.gather(
        *(
            service_env.users.create(new_user(f"u{i}@people.test", external_id="crm|1"), by=OPERATOR_PRINCIPAL)
            for i in range(4)
        ),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(ExternalIdTaken) == 3


async def test_a_change_to_a_taken_address_is_refused(service_env: Any) -> None:
    first, second = await service_env.user(external_id="a"), await service_env.user()
    with pytest.raises(EmailTaken):
        await service_env.users.change(
            second.id, UserChanges(address=parse_address(first.email.upper())), by=OPERATOR_PRINCIPAL
        )
    with pytest.raises(ExternalIdTaken):
        await service_env.users.change(second.id, UserChanges(external_id="a"), by=OPERATOR_PRINCIPAL)


async def test_unknown_roles_groups_and_weak_passwords_are_refused(service_env: Any) -> None:
    with pytest.raises(InvalidFields) as refused:
        await service_env.users.create(new_user(role="emperor", password="short"), by=OPERATOR_PRINCIPAL)
    assert {problem.pointer for problem in refused.value.errors} == {"/role", "/password"}
    with pytest.raises(GroupNotFound):
        await service_env.users.create(new_user(groups=("nowhere",)), by=OPERATOR_PRINCIPAL)
    user = await service_env.user()
    with pytest.raises(GroupNotFound):
        await service_env.users.change(user.id, UserChanges(groups=("nowhere",)), by=OPERATOR_PRINCIPAL)
    with pytest.raises(UserNotFound):
        await service_env.users.change(uuid4(), UserChanges(), by=OPERATOR_PRINCIPAL)


async def test_the_ceiling_applies_to_creating_and_changing(service_env: Any) -> None:
    lead, customer = await service_env.principal("lead"), await service_env.user("customer")
    await service_env.group("closed")
    await service_env.group("open")
    for fields in ({"role": "admin"}, {"role": "lead"}, {"groups": ("closed",)}):
        with pytest.raises(GrantNotAllowed):
            await service_env.users.create(new_user(**fields), by=lead)
        with pytest.raises(GrantNotAllowed):
            await service_env.users.change(customer.id, UserChanges(**fields), by=lead)
    await service_env.users.create(new_user(role="team", groups=("open",)), by=lead)
    changed = await service_env.users.change(customer.id, UserChanges(role="team", groups=("open",)), by=lead)
    assert (changed.role, changed.groups) == ("team", ("open",))


async def test_users_cannot_raise_their_own_role(service_env: Any) -> None:
    user = await service_env.user("lead")
    with pytest.raises(GrantNotAllowed):
        await service_env.users.change(user.id, UserChanges(role="admin"), by=service_env.users.principal_of(user))


@pytest.mark.parametrize(
    "changes",
    [
        UserChanges(first_name="Eve"),
        UserChanges(blocked=True),
        UserChanges(password="a new password 77"),
        UserChanges(address=parse_address("eve@people.test")),
        UserChanges(external_id="eve"),
        UserChanges(role="customer"),
        UserChanges(role=None),
        UserChanges(groups=()),
    ],
    ids=lambda changes: "-".join(changes.names),
)
async def test_an_account_above_the_ceiling_cannot_be_changed(service_env: Any, changes: UserChanges) -> None:
    admin, lead = await service_env.user("admin"), await service_env.principal("lead")
    with pytest.raises(GrantNotAllowed):
        await service_env.users.change(admin.id, changes, by=lead)
    with pytest.raises(GrantNotAllowed):
        await service_env.users.erase(admin.id, by=lead)
    assert await service_env.reload(admin) == admin


async def test_members_of_a_group_cannot_be_taken_over_without_its_grant(service_env: Any) -> None:
    await service_env.group("closed")
    member, lead = await service_env.user("customer", groups=("closed",)), await service_env.principal("lead")
    for changes in (UserChanges(password="a new password 77"), UserChanges(address=parse_address("eve@people.test"))):
        with pytest.raises(GrantNotAllowed):
            await service_env.users.change(member.id, changes, by=lead)
    assert (await service_env.users.change(member.id, UserChanges(blocked=True), by=lead)).blocked


async def test_accounts_of_the_same_role_may_be_changed(service_env: Any) -> None:
    lead, other = await service_env.principal("lead"), await service_env.user("lead")
    assert (await service_env.users.change(other.id, UserChanges(first_name="Bea"), by=lead)).first_name == "Bea"


async def test_a_new_address_is_unverified_and_ends_old_links(service_env: Any) -> None:
    user = await service_env.user()
    changed = await service_env.users.change(
        user.id, UserChanges(address=parse_address("new@people.test")), by=OPERATOR_PRINCIPAL
    )
    assert (changed.email, changed.email_verified, changed.link_generation) == ("new@people.test", False, 2)
    verified = await service_env.users.change(
        user.id, UserChanges(address=parse_address("b@people.test"), email_verified=True), by=OPERATOR_PRINCIPAL
    )
    assert verified.email_verified
    respelled = await service_env.users.change(
        user.id, UserChanges(address=parse_address("B@people.test")), by=OPERATOR_PRINCIPAL
    )
    assert (respelled.email, respelled.email_verified) == ("B@people.test", True)


async def test_a_change_leaves_other_fields(service_env: Any) -> None:
    await service_env.group("readers")
    user = await service_env.user("team", groups=("readers",), locale="de", external_id="x")
    changed = await service_env.users.change(user.id, UserChanges(first_name="Bea"), by=OPERATOR_PRINCIPAL)
    assert changed.last_name == user.last_name
    assert (changed.role, changed.groups, changed.locale, changed.external_id) == ("team", ("readers",), "de", "x")
    assert changed.password_hash == user.password_hash
    cleared = await service_env.users.change(
        user.id, UserChanges(role=None, groups=(), locale=None, external_id=None), by=OPERATOR_PRINCIPAL
    )
    assert (cleared.role, cleared.groups, cleared.locale, cleared.external_id) == (None, (), None, None)


async def test_changes_at_once_do_not_undo_each_other(service_env: Any) -> None:
    user = await service_env.user()
    await asyncio.gather(
        service_env.users.change(user.id, UserChanges(first_name="Bea"), by=OPERATOR_PRINCIPAL),
        service_env.users.change(user.id, UserChanges(locale="de"), by=OPERATOR_PRINCIPAL),
        service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK),
    )
    changed = await service_env.reload(user)
    assert (changed.first_name, changed.locale) == ("Bea", "de")
    assert changed.last_login_at is not None


async def test_users_accept_new_terms_themselves(service_env: Any) -> None:
    user = await service_env.user()
    accounts = service_env.with_app(terms_version="2")
    assert not user.has_accepted("2")
    changed = await accounts.change_profile(user.id, UserChanges(accept_terms=True, first_name="Bea"))
    assert (changed.terms_version, changed.terms_accepted_at) == ("2", service_env.clock.now)
    assert (await service_env.events())[-2:] == ["user.updated", "user.terms_accepted"]


async def test_an_erased_account_leaves_nothing_but_ids(service_env: Any) -> None:
    user = await service_env.user(first_name="Quillon", last_name="Verhoeven", email="quillon@people.test")
    await service_env.users.sessions.login(user.email_key, PASSWORD, network=NETWORK)
    await service_env.users.recovery.request_password_reset(parse_address(user.email))
    await service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(UserNotFound):
        await service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    assert await service_env.db.fetch(users.select()) == []
    stored_events = str(await service_env.db.fetch(events.select())).lower()
    assert "quillon" not in stored_events
    assert "verhoeven" not in stored_events
    assert (await service_env.events())[-1] == "user.erased"
    assert await service_env.users.recovery.load_password_reset_mail((await service_env.mails())[-1]) is None


async def test_of_erasures_at_once_one_succeeds(service_env: Any) -> None:
    user = await service_env.user()
    results = await asyncio.gather(
        *(service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL) for _ in range(4)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert {type(result) for result in results if result is not None} == {UserNotFound}
    assert (await service_env.events()).count("user.erased") == 1


async def test_a_new_owner_must_exist(service_env: Any) -> None:
    user = await service_env.user()
    with pytest.raises(UserNotFound):
        await service_env.users.erase(user.id, new_owner_id=uuid4(), by=OPERATOR_PRINCIPAL)
    await service_env.reload(user)


def once(key: str) -> Once:
    claim = Claim(uuid4(), "POST /api/users", key, b"data", b"digest")
    return Once(claim, lambda user: StoredAnswer(201, str(user.id).encode()))


async def test_stored_answers_of_an_erased_account_are_deleted(service_env: Any) -> None:
    user = await service_env.user()
    theirs, others = once("k1"), once("k1")
    theirs = replace(theirs, claim=replace(theirs.claim, principal_id=user.id))
    await service_env.users.create(new_user("one@people.test"), once=theirs, by=OPERATOR_PRINCIPAL)
    await service_env.users.create(new_user("two@people.test"), once=others, by=OPERATOR_PRINCIPAL)
    await service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    rows = await service_env.db.fetch(idempotency.select())
    assert [row.principal_id for row in rows] == [others.claim.principal_id]


async def test_an_answer_is_stored_and_deleted_with_the_account(service_env: Any) -> None:
    request = once("k1")
    user = await service_env.users.create(new_user(), once=request, by=OPERATOR_PRINCIPAL)
    with pytest.raises(AnswerStored):
        await service_env.users.create(new_user("other@people.test"), once=request, by=OPERATOR_PRINCIPAL)
    with pytest.raises(EmailTaken):
        await service_env.users.create(new_user(), once=once("k2"), by=OPERATOR_PRINCIPAL)
    await service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    await service_env.users.create(new_user(), once=request, by=OPERATOR_PRINCIPAL)


NEWEST_FIRST = SortOrder("createdAt", descending=True)


async def list_names(service_env: Any, **filters: Any) -> list[str]:
    page = await service_env.users.list_page(**{"limit": 10, "order": NEWEST_FIRST, **filters})
    assert page.total is not None
    return [user.first_name for user in page.items]


async def test_accounts_are_listed_by_filters(service_env: Any) -> None:
    await service_env.group("readers")
    await service_env.user("team", first_name="Zoë", last_name="Öst", email="One@people.test", groups=("readers",))
    await service_env.user("customer", first_name="Bea", last_name="Straße", email="two@people.test")
    await service_env.user("customer", first_name="Cem", last_name="100%_x", email="three@people.test")
    assert await list_names(service_env) == ["Cem", "Bea", "Zoë"]
    assert await list_names(service_env, order=SortOrder("createdAt")) == ["Zoë", "Bea", "Cem"]
    assert await list_names(service_env, role="customer") == ["Cem", "Bea"]
    assert await list_names(service_env, group="readers") == ["Zoë"]
    assert await list_names(service_env, address=parse_address("ONE@people.test")) == ["Zoë"]
    assert await list_names(service_env, role="team", group="nowhere") == []


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("zoe\u0308", ["Zoë"]), ("ZOË ö", ["Zoë"]), ("öst", ["Zoë"]), ("STRASSE", ["Bea"]), ("two@", ["Bea"]),
        ("THREE@PEOPLE", ["Cem"]), ("100%", ["Cem"]), ("1%", []), ("t", ["Cem", "Bea"]), ("ea", []),
    ],
)  # fmt: skip
async def test_search_is_a_prefix_of_address_first_or_last_name(service_env: Any, q: str, names: list[str]) -> None:
    await service_env.user(first_name="Zoë", last_name="Öst", email="one@people.test")
    await service_env.user(first_name="Bea", last_name="Straße", email="two@people.test")
    await service_env.user(first_name="Cem", last_name="100%_x", email="three@people.test")
    assert await list_names(service_env, q=q) == names


async def test_pages_follow_each_other_without_gaps(service_env: Any) -> None:
    users_created = [await service_env.user(first_name=f"N{i}") for i in range(5)]
    listed: list[Any] = []
    cursor = None
    for _ in range(3):
        page = await service_env.users.list_page(order=NEWEST_FIRST, cursor=cursor, limit=2)
        listed += page.items
        cursor = page.next
        assert page.total == 5
    assert cursor is None
    assert [user.id for user in listed] == [user.id for user in reversed(users_created)]
    assert listed[0].created_at >= datetime(2026, 3, 1, tzinfo=UTC)
