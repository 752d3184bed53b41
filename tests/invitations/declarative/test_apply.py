"""Declared lists: the table of the plan, then applying on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.content.dependencies import ContentDependencies
from latchstring.content.service import Content, NewObject
from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft
from latchstring.domain.errors import InvalidFields
from latchstring.domain.grant import Bundle
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import State
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import ContentRules, ContentType, MailRules
from latchstring.domain.template import InvitationTemplate
from latchstring.formats.email_address import parse_address
from latchstring.invitations.declarative.apply import ApplyResult
from latchstring.invitations.declarative.plan import (
    DeclaredEntry,
    EntryState,
    Plan,
    PlannedAction,
    add_mark,
    choose_action,
    find_entry_state,
    find_repeated_entries,
    make_plan,
    mark_of,
)
from latchstring.storage.invitations.existing import ExistingInvitation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(days=1), NOW - timedelta(days=1)
TERMS = UUID(int=7)


def existing_invitation(
    state: State, *, expires_at: datetime = LATER, created: int = 0, **fields: Any
) -> ExistingInvitation:
    id_ = new_id(NOW - timedelta(days=30) + timedelta(days=created))
    return ExistingInvitation(id_, "ada@people.test", TERMS, state, expires_at, ActorType.OPERATOR, **fields)


def entry(index: int = 0, terms_key: UUID = TERMS) -> DeclaredEntry:
    draft = Draft(email="ada@people.test", email_key="ada@people.test", role="team")
    return DeclaredEntry(index, draft, Bundle("team"), terms_key)


# ---- plan ------------------------------------------------------------------------------------------------------------

ACTIONS = {
    EntryState.NOTHING: (PlannedAction.CREATE, PlannedAction.CREATE),
    EntryState.ALREADY_HELD: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.PENDING: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.EXPIRED: (PlannedAction.RENEW, PlannedAction.RENEW),
    EntryState.NO_LONGER_HELD: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.DECLINED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.REVOKED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.PRUNED: (PlannedAction.CREATE, PlannedAction.CREATE),
}


@pytest.mark.parametrize("state", EntryState)
@pytest.mark.parametrize("again", [False, True])
def test_the_action_for_each_state(*, state: EntryState, again: bool) -> None:
    assert choose_action(state, again=again) is ACTIONS[state][again]


@pytest.mark.parametrize(
    ("existing", "is_held", "state"),
    [
        ([], False, EntryState.NOTHING),
        ([], True, EntryState.ALREADY_HELD),
        ([existing_invitation(State.PENDING)], False, EntryState.PENDING),
        ([existing_invitation(State.PENDING)], True, EntryState.PENDING),
        ([existing_invitation(State.PENDING, expires_at=EARLIER)], False, EntryState.EXPIRED),
        ([existing_invitation(State.PENDING, expires_at=NOW)], False, EntryState.EXPIRED),
        ([existing_invitation(State.EXPIRED, expires_at=EARLIER)], False, EntryState.EXPIRED),
        ([existing_invitation(State.EXPIRED, expires_at=EARLIER)], True, EntryState.ALREADY_HELD),
        ([existing_invitation(State.ACCEPTED)], True, EntryState.ALREADY_HELD),
        ([existing_invitation(State.ACCEPTED)], False, EntryState.NO_LONGER_HELD),
        ([existing_invitation(State.DECLINED)], False, EntryState.DECLINED),
        ([existing_invitation(State.REVOKED, cause="revoked")], False, EntryState.REVOKED),
        ([existing_invitation(State.REVOKED, cause="group-deleted")], False, EntryState.REVOKED),
        ([existing_invitation(State.REVOKED, cause="pruned")], False, EntryState.PRUNED),
        ([existing_invitation(State.REVOKED)], False, EntryState.REVOKED),
        (
            [existing_invitation(State.DECLINED, created=1), existing_invitation(State.EXPIRED, created=2)],
            False,
            EntryState.EXPIRED,
        ),
        (
            [existing_invitation(State.DECLINED, created=2), existing_invitation(State.EXPIRED, created=1)],
            False,
            EntryState.DECLINED,
        ),
        (
            [existing_invitation(State.PENDING, created=1), existing_invitation(State.DECLINED, created=2)],
            False,
            EntryState.PENDING,
        ),
    ],
)
def test_the_state_of_an_entry(*, existing: list[ExistingInvitation], is_held: bool, state: EntryState) -> None:
    assert find_entry_state(existing, is_held=is_held, now=NOW)[0] is state


def test_orphans_are_revoked_first_and_only_with_prune() -> None:
    orphans = [existing_invitation(State.PENDING), existing_invitation(State.EXPIRED, expires_at=EARLIER)]
    options: dict[str, Any] = {"again": False, "now": NOW}
    pruned = make_plan([entry(terms_key=uuid4())], {}, set(), orphans, prune=True, **options)
    assert [(item.action, item.state) for item in pruned.items] == [
        (PlannedAction.REVOKE, EntryState.PENDING),
        (PlannedAction.REVOKE, EntryState.EXPIRED),
        (PlannedAction.CREATE, EntryState.NOTHING),
    ]
    unpruned = make_plan([], {}, set(), orphans, prune=False, **options)
    assert [item.action for item in unpruned.items] == [PlannedAction.ORPHANED] * 2
    assert unpruned.is_empty
    assert make_plan([entry()], {}, set(), orphans, prune=True, **options).count(PlannedAction.REVOKE) == 0


def test_a_repeated_entry_is_reported_at_its_second_index() -> None:
    (problem,) = find_repeated_entries([entry(0), entry(1, uuid4()), entry(2)])
    assert (problem.pointer, problem.code) == ("/2", "repeated")


@pytest.mark.parametrize(
    ("metadata", "inviter", "name"),
    [
        ({"latchstring": {"list": "spring"}}, ActorType.OPERATOR, "spring"),
        ({"latchstring": {"list": "spring"}}, ActorType.API_KEY, None),
        ({"latchstring": {"list": 7}}, ActorType.OPERATOR, None),
        ({"latchstring": "spring"}, ActorType.OPERATOR, None),
        ({"crmId": "1"}, ActorType.OPERATOR, None),
        (None, ActorType.OPERATOR, None),
    ],
)
def test_only_marks_of_the_operator_count(metadata: Any, inviter: ActorType, name: str | None) -> None:
    assert mark_of(ExistingInvitation(uuid4(), "", TERMS, State.PENDING, LATER, inviter, metadata)) == name


def test_a_mark_keeps_other_metadata() -> None:
    assert add_mark({"crmId": "1"}, "spring") == {"crmId": "1", "latchstring": {"list": "spring"}}
    assert add_mark(None, None) is None
    assert add_mark({"crmId": "1"}, None) == {"crmId": "1"}


# ---- apply -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    content = ContentRules({"articles": ContentType("articles", "Articles")})
    template = InvitationTemplate(key="new", name="New", role="customer", message="Welcome.")
    return build_invitation_env(service_env, content=content, templates={"new": template})


def draft(name: str = "ada", **terms: Any) -> Draft:
    address = parse_address(f"{name}@people.test")
    return Draft(email=address.email, email_key=address.email_key, **(terms or {"role": "customer"}))


async def plan(invitation_env: InvitationEnv, *drafts: Draft, **options: Any) -> Plan:
    return await invitation_env.invitations.declared_lists.plan(drafts, by=OPERATOR_PRINCIPAL, **options)


async def apply(invitation_env: InvitationEnv, *drafts: Draft, **options: Any) -> list[ApplyResult]:
    plan_ = await plan(invitation_env, *drafts, **options)
    return [
        outcome async for outcome in invitation_env.invitations.declared_lists.carry_out(plan_, by=OPERATOR_PRINCIPAL)
    ]


def actions_of(plan_: Plan) -> list[PlannedAction]:
    return [item.action for item in plan_.items]


async def test_a_list_is_applied_once(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    drafts = [draft("ada"), draft("bob", groups=("early",)), draft("cleo", template="new")]
    outcomes = await apply(invitation_env, *drafts)
    assert [outcome.planned.action for outcome in outcomes] == [PlannedAction.CREATE] * 3
    assert all(outcome.invitation_id and outcome.error is None for outcome in outcomes)
    second = await plan(invitation_env, *drafts)
    assert (actions_of(second), second.is_empty) == ([PlannedAction.KEEP] * 3, True)
    assert len(await invitation_env.service_env.mails()) == 3


async def test_an_address_may_be_listed_twice_with_different_grants(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    outcomes = await apply(invitation_env, draft(), draft(groups=("early",)))
    assert len({outcome.invitation_id for outcome in outcomes}) == 2


async def test_users_who_hold_everything_are_not_invited(invitation_env: InvitationEnv) -> None:
    group = await invitation_env.service_env.group("early")
    user = await invitation_env.service_env.user("team", email="ada@people.test")
    assert actions_of(await plan(invitation_env, draft(role="team"), draft(role="customer"), draft(role="admin"))) == [
        PlannedAction.KEEP,
        PlannedAction.KEEP,
        PlannedAction.CREATE,
    ]
    assert actions_of(await plan(invitation_env, draft(groups=("early",)))) == [PlannedAction.CREATE]
    await invitation_env.service_env.groups.add_member(group.key, user.id, by=OPERATOR_PRINCIPAL)
    assert actions_of(await plan(invitation_env, draft(role="team", groups=("early",)))) == [PlannedAction.KEEP]


async def test_an_unverified_account_does_not_count(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.user("team", email="ada@people.test", email_verified=False)
    assert actions_of(await plan(invitation_env, draft(role="team"))) == [PlannedAction.CREATE]


async def test_expired_invitations_are_renewed(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite(role="customer")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    assert actions_of(await plan(invitation_env, draft())) == [PlannedAction.RENEW]
    await invitation_env.invitations.sweep()
    (outcome,) = await apply(invitation_env, draft())
    assert (outcome.planned.action, outcome.invitation_id) == (PlannedAction.RENEW, details.invitation.id)
    assert (await invitation_env.reload(details)).link.generation == 2
    assert actions_of(await plan(invitation_env, draft())) == [PlannedAction.KEEP]


async def test_revoked_and_declined_invitations_are_created_only_with_again(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite(role="customer")
    await invitation_env.invitations.revoke(details.invitation.id, by=OPERATOR_PRINCIPAL)
    ended = await plan(invitation_env, draft())
    assert (actions_of(ended), ended.items[0].state, ended.is_empty) == (
        [PlannedAction.ENDED],
        EntryState.REVOKED,
        True,
    )
    (outcome,) = await apply(invitation_env, draft(), again=True)
    assert outcome.invitation_id not in {None, details.invitation.id}
    declined = await invitation_env.invite("bob@people.test", role="customer")
    await invitation_env.invitations.responses.decline(invitation_env.token(declined), reason=None)
    assert (await plan(invitation_env, draft("bob"))).items[0].state is EntryState.DECLINED


async def test_an_acceptance_is_kept_until_its_grants_are_removed(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    details = await invitation_env.invite(role="customer", groups=("early",))
    user = (await invitation_env.accept(invitation_env.token(details))).user
    terms: dict[str, Any] = {"role": "customer", "groups": ("early",)}
    assert (await plan(invitation_env, draft(**terms))).items[0].state is EntryState.ALREADY_HELD
    await invitation_env.service_env.groups.remove_member("early", user.id, by=OPERATOR_PRINCIPAL)
    assert (await plan(invitation_env, draft(**terms))).items[0].state is EntryState.NO_LONGER_HELD


async def test_content_counts_by_object_and_role(invitation_env: InvitationEnv) -> None:

    service_env = invitation_env.service_env
    owner = await service_env.user("admin")
    content = Content.build(
        ContentDependencies(
            db=service_env.db,
            clock=service_env.clock,
            rules=invitation_env.invitations.declared_lists.deps.content_rules,
            roles={},
            find_pending=invitation_env.invitations.find_pending,
        )
    )
    await content.create("articles", NewObject(title="A", key="a", owner_id=owner.id), by=OPERATOR_PRINCIPAL)
    viewer = draft(content=(("articles", "a", "VIEWER"),))
    assert [outcome.error for outcome in await apply(invitation_env, viewer)] == [None]
    assert actions_of(await plan(invitation_env, viewer, draft(content=(("articles", "a", "EDITOR"),)))) == [
        PlannedAction.KEEP,
        PlannedAction.CREATE,
    ]
    owners_entry = Draft(email=owner.email, email_key=owner.email_key, content=(("articles", "a", "MAINTAINER"),))
    assert actions_of(await plan(invitation_env, owners_entry)) == [PlannedAction.KEEP]


# ---- pruning ---------------------------------------------------------------------------------------------------------


async def test_pruning_revokes_only_invitations_of_this_list(invitation_env: InvitationEnv) -> None:
    await apply(invitation_env, draft("ada"), draft("bob"), list_name="spring")
    await apply(invitation_env, draft("cleo"), list_name="autumn")
    await apply(invitation_env, draft("dora"))
    await invitation_env.invite("emil@people.test", role="customer")
    key = Principal(ActorType.API_KEY, uuid4(), "k", frozenset({"*"}), frozenset({"*"}), frozenset({"*"}))
    forged_terms = {"metadata": {"latchstring": {"list": "spring"}}, "role": "customer"}
    await invitation_env.invite("fred@people.test", by=await store_key(invitation_env, key), **forged_terms)
    unpruned = await plan(invitation_env, draft("ada"), list_name="spring")
    assert (actions_of(unpruned), unpruned.is_empty) == ([PlannedAction.ORPHANED, PlannedAction.KEEP], True)
    (outcome,) = await apply(invitation_env, draft("ada"), list_name="spring", prune=True)
    assert (outcome.planned.action, outcome.planned.email) == (PlannedAction.REVOKE, "bob@people.test")
    assert (await plan(invitation_env, draft("ada"), list_name="spring", prune=True)).is_empty


async def store_key(invitation_env: InvitationEnv, like: Principal) -> Principal:
    """A principal whose API key is stored, as required by create."""
    created = await invitation_env.service_env.users.api_keys.create(name="k", scopes=["*"], by=OPERATOR_PRINCIPAL)
    return Principal(like.type, created.key.id, like.name, like.permissions, like.may_grant, like.may_grant_groups)


async def test_pruned_entries_that_return_to_the_list_are_invited_again(invitation_env: InvitationEnv) -> None:
    await apply(invitation_env, draft("ada"), list_name="spring")
    await apply(invitation_env, list_name="spring", prune=True)
    again = await plan(invitation_env, draft("ada"), list_name="spring")
    assert (actions_of(again), again.items[0].state) == ([PlannedAction.CREATE], EntryState.PRUNED)


async def test_changed_grants_replace_the_invitation(invitation_env: InvitationEnv) -> None:
    (first,) = await apply(invitation_env, draft(role="customer"), list_name="spring")
    outcomes = await apply(invitation_env, draft(role="team"), list_name="spring", prune=True)
    assert [(o.planned.action, o.error) for o in outcomes] == [
        (PlannedAction.REVOKE, None),
        (PlannedAction.CREATE, None),
    ]
    assert outcomes[0].invitation_id == first.invitation_id


async def test_expired_orphans_are_revoked_since_their_links_could_be_renewed(
    invitation_env: InvitationEnv,
) -> None:
    await apply(invitation_env, draft("ada"), list_name="spring")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    (outcome,) = await apply(invitation_env, list_name="spring", prune=True)
    assert (outcome.planned.action, outcome.planned.state) == (PlannedAction.REVOKE, EntryState.EXPIRED)


# ---- errors and concurrency ------------------------------------------------------------------------------------------


async def test_all_problems_are_reported_by_index_and_nothing_is_done(invitation_env: InvitationEnv) -> None:
    drafts = [
        draft("a", role="boss"),
        draft("b", groups=("nowhere",)),
        draft("c", content=(("articles", "none", "VIEWER"),)),
        draft("d", template="unknown"),
        draft("e"),
        draft("e"),
        draft("f", role="team", metadata={"latchstring": 1}),
        draft("g", message="only words"),
    ]
    with pytest.raises(InvalidFields) as refused:
        await plan(invitation_env, *drafts)
    assert [(problem.pointer, problem.code) for problem in refused.value.errors] == [
        ("/0/role", "unknown-role"),
        ("/1/groups", "group-not-found"),
        ("/2/content", "content-not-found"),
        ("/3/template", "unknown-template"),
        ("/6/metadata", "reserved"),
        ("/7/role", "grant-required"),
        ("/5", "repeated"),
    ]
    assert await invitation_env.service_env.mails() == []


async def test_a_failed_change_does_not_stop_others(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    plan_ = await plan(invitation_env, draft("ada", groups=("early",)), draft("bob"))
    await invitation_env.service_env.groups.delete("early", by=OPERATOR_PRINCIPAL)
    lists = invitation_env.invitations.declared_lists
    outcomes = [outcome async for outcome in lists.carry_out(plan_, by=OPERATOR_PRINCIPAL)]
    assert [outcome.error.code if outcome.error else None for outcome in outcomes] == ["group-not-found", None]


async def test_a_change_made_by_somebody_else_meanwhile_is_not_an_error(invitation_env: InvitationEnv) -> None:
    plan_ = await plan(invitation_env, draft("ada"))
    await invitation_env.invite("ada@people.test", role="customer")
    lists = invitation_env.invitations.declared_lists
    (outcome,) = [outcome async for outcome in lists.carry_out(plan_, by=OPERATOR_PRINCIPAL)]
    assert (outcome.invitation_id, outcome.error) == (None, None)


async def test_applying_twice_at_once_creates_each_invitation_once(invitation_env: InvitationEnv) -> None:
    drafts = [draft(f"u{number}") for number in range(12)]
    plans = [await plan(invitation_env, *drafts, list_name="spring") for _ in range(2)]

    async def carry_out(plan_: Plan) -> list[ApplyResult]:
        return [
            outcome
            async for outcome in invitation_env.invitations.declared_lists.carry_out(plan_, by=OPERATOR_PRINCIPAL)
        ]

    outcomes = [outcome for results in await asyncio.gather(*map(carry_out, plans)) for outcome in results]
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert sum(outcome.invitation_id is not None for outcome in outcomes) == 12
    assert len(await invitation_env.service_env.mails()) == 12


async def test_many_addresses_are_compared_in_batches(
    invitation_env: InvitationEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latchstring.invitations.declarative.apply.SLICE", 2)
    monkeypatch.setattr("latchstring.storage.invitations.existing.SLICE", 2)
    drafts = [draft(f"u{number}") for number in range(5)]
    await apply(invitation_env, *drafts, list_name="spring")
    assert (await plan(invitation_env, *drafts, list_name="spring")).count(PlannedAction.KEEP) == 5
    invitation_env.service_env.clock.forward(timedelta(days=8))
    assert (await plan(invitation_env, drafts[0], list_name="spring")).count(PlannedAction.ORPHANED) == 4


async def test_with_mail_off_the_operator_may_still_apply(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=MailRules(transport="off"))
    assert [outcome.error for outcome in await apply(invitation_env, draft())] == [None]
