"""A declared list compared with what is: the table of the plan, then applying on each database."""

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
    act_for,
    find_entry_state,
    find_repeated,
    make_plan,
    mark_of,
    marked,
)
from latchstring.storage.invitations.existing import ExistingInvitation

AT = datetime(2026, 3, 1, tzinfo=UTC)
SOON, GONE = AT + timedelta(days=1), AT - timedelta(days=1)
TERMS = UUID(int=7)


def past(state: State, *, expires_at: datetime = SOON, created: int = 0, **more: Any) -> ExistingInvitation:
    id_ = new_id(AT - timedelta(days=30) + timedelta(days=created))
    return ExistingInvitation(id_, "ada@people.test", TERMS, state, expires_at, ActorType.OPERATOR, **more)


def entry(index: int = 0, terms_key: UUID = TERMS) -> DeclaredEntry:
    draft = Draft(email="ada@people.test", email_key="ada@people.test", role="team")
    return DeclaredEntry(index, draft, Bundle("team"), terms_key)


# ---- the table -------------------------------------------------------------------------------------------------------

ACTS = {
    EntryState.NOTHING: (PlannedAction.CREATE, PlannedAction.CREATE),
    EntryState.HELD: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.PENDING: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.EXPIRED: (PlannedAction.RENEW, PlannedAction.RENEW),
    EntryState.LEFT: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.DECLINED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.REVOKED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.PRUNED: (PlannedAction.CREATE, PlannedAction.CREATE),
}


@pytest.mark.parametrize("found", EntryState)
@pytest.mark.parametrize("again", [False, True])
def test_what_is_done_about_an_entry(*, found: EntryState, again: bool) -> None:
    assert act_for(found, again=again) is ACTS[found][again]


@pytest.mark.parametrize(
    ("pasts", "is_held", "found"),
    [
        ([], False, EntryState.NOTHING),
        ([], True, EntryState.HELD),
        ([past(State.PENDING)], False, EntryState.PENDING),
        ([past(State.PENDING)], True, EntryState.PENDING),
        ([past(State.PENDING, expires_at=GONE)], False, EntryState.EXPIRED),
        ([past(State.PENDING, expires_at=AT)], False, EntryState.EXPIRED),
        ([past(State.EXPIRED, expires_at=GONE)], False, EntryState.EXPIRED),
        ([past(State.EXPIRED, expires_at=GONE)], True, EntryState.HELD),
        ([past(State.ACCEPTED)], True, EntryState.HELD),
        ([past(State.ACCEPTED)], False, EntryState.LEFT),
        ([past(State.DECLINED)], False, EntryState.DECLINED),
        ([past(State.REVOKED, cause="revoked")], False, EntryState.REVOKED),
        ([past(State.REVOKED, cause="group-deleted")], False, EntryState.REVOKED),
        ([past(State.REVOKED, cause="pruned")], False, EntryState.PRUNED),
        ([past(State.REVOKED)], False, EntryState.REVOKED),
        ([past(State.DECLINED, created=1), past(State.EXPIRED, created=2)], False, EntryState.EXPIRED),
        ([past(State.DECLINED, created=2), past(State.EXPIRED, created=1)], False, EntryState.DECLINED),
        ([past(State.PENDING, created=1), past(State.DECLINED, created=2)], False, EntryState.PENDING),
    ],
)
def test_what_there_is_for_an_entry(*, pasts: list[ExistingInvitation], is_held: bool, found: EntryState) -> None:
    assert find_entry_state(pasts, is_held=is_held, now=AT)[0] is found


def test_what_is_gone_from_the_list_is_withdrawn_only_when_asked_and_before_the_rest() -> None:
    gone = [past(State.PENDING), past(State.EXPIRED, expires_at=GONE)]
    options: dict[str, Any] = {"again": False, "now": AT}
    pruned = make_plan([entry(terms_key=uuid4())], {}, set(), gone, prune=True, **options)
    assert [(item.act, item.found) for item in pruned.items] == [
        (PlannedAction.REVOKE, EntryState.PENDING),
        (PlannedAction.REVOKE, EntryState.EXPIRED),
        (PlannedAction.CREATE, EntryState.NOTHING),
    ]
    kept = make_plan([], {}, set(), gone, prune=False, **options)
    assert [item.act for item in kept.items] == [PlannedAction.LEFT_OVER] * 2
    assert kept.is_empty
    assert make_plan([entry()], {}, set(), gone, prune=True, **options).count(PlannedAction.REVOKE) == 0


def test_an_entry_twice_is_a_problem_at_its_second_place() -> None:
    (problem,) = find_repeated([entry(0), entry(1, uuid4()), entry(2)])
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
def test_a_mark_counts_only_as_we_wrote_it(metadata: Any, inviter: ActorType, name: str | None) -> None:
    assert mark_of(ExistingInvitation(uuid4(), "", TERMS, State.PENDING, SOON, inviter, metadata)) == name


def test_a_mark_stands_beside_what_is_there() -> None:
    assert marked({"crmId": "1"}, "spring") == {"crmId": "1", "latchstring": {"list": "spring"}}
    assert marked(None, None) is None
    assert marked({"crmId": "1"}, None) == {"crmId": "1"}


# ---- on each database ------------------------------------------------------------------------------------------------


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
    made = await plan(invitation_env, *drafts, **options)
    return [
        outcome async for outcome in invitation_env.invitations.declared_lists.carry_out(made, by=OPERATOR_PRINCIPAL)
    ]


def acts(of: Plan) -> list[PlannedAction]:
    return [item.act for item in of.items]


async def test_a_list_is_applied_once(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    drafts = [draft("ada"), draft("bob", groups=("early",)), draft("cleo", template="new")]
    outcomes = await apply(invitation_env, *drafts)
    assert [outcome.planned.act for outcome in outcomes] == [PlannedAction.CREATE] * 3
    assert all(outcome.invitation_id and outcome.error is None for outcome in outcomes)
    second = await plan(invitation_env, *drafts)
    assert (acts(second), second.is_empty) == ([PlannedAction.KEEP] * 3, True)
    assert len(await invitation_env.service_env.mails()) == 3


async def test_one_address_may_stand_twice_with_different_grants(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    outcomes = await apply(invitation_env, draft(), draft(groups=("early",)))
    assert len({outcome.invitation_id for outcome in outcomes}) == 2


async def test_whoever_holds_it_all_is_left_alone(invitation_env: InvitationEnv) -> None:
    group = await invitation_env.service_env.group("early")
    user = await invitation_env.service_env.user("team", email="ada@people.test")
    assert acts(await plan(invitation_env, draft(role="team"), draft(role="customer"), draft(role="admin"))) == [
        PlannedAction.KEEP,
        PlannedAction.KEEP,
        PlannedAction.CREATE,
    ]
    assert acts(await plan(invitation_env, draft(groups=("early",)))) == [PlannedAction.CREATE]
    await invitation_env.service_env.groups.add_member(group.key, user.id, by=OPERATOR_PRINCIPAL)
    assert acts(await plan(invitation_env, draft(role="team", groups=("early",)))) == [PlannedAction.KEEP]


async def test_an_unverified_account_holds_nothing(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.user("team", email="ada@people.test", email_verified=False)
    assert acts(await plan(invitation_env, draft(role="team"))) == [PlannedAction.CREATE]


async def test_what_ran_out_is_renewed(invitation_env: InvitationEnv) -> None:
    standing = await invitation_env.invite(role="customer")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    assert acts(await plan(invitation_env, draft())) == [PlannedAction.RENEW]
    await invitation_env.invitations.sweep()
    (outcome,) = await apply(invitation_env, draft())
    assert (outcome.planned.act, outcome.invitation_id) == (PlannedAction.RENEW, standing.invitation.id)
    assert (await invitation_env.reload(standing)).link.generation == 2
    assert acts(await plan(invitation_env, draft())) == [PlannedAction.KEEP]


async def test_what_a_person_ended_waits_for_a_word(invitation_env: InvitationEnv) -> None:
    standing = await invitation_env.invite(role="customer")
    await invitation_env.invitations.revoke(standing.invitation.id, by=OPERATOR_PRINCIPAL)
    ended = await plan(invitation_env, draft())
    assert (acts(ended), ended.items[0].found, ended.is_empty) == ([PlannedAction.ENDED], EntryState.REVOKED, True)
    (outcome,) = await apply(invitation_env, draft(), again=True)
    assert outcome.invitation_id not in {None, standing.invitation.id}
    declined = await invitation_env.invite("bob@people.test", role="customer")
    await invitation_env.invitations.responses.decline(invitation_env.token(declined), reason=None)
    assert (await plan(invitation_env, draft("bob"))).items[0].found is EntryState.DECLINED


async def test_an_acceptance_is_kept_until_its_rights_are_taken(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    standing = await invitation_env.invite(role="customer", groups=("early",))
    user = (await invitation_env.accept(invitation_env.token(standing))).user
    terms: dict[str, Any] = {"role": "customer", "groups": ("early",)}
    assert (await plan(invitation_env, draft(**terms))).items[0].found is EntryState.HELD
    await invitation_env.service_env.groups.remove_member("early", user.id, by=OPERATOR_PRINCIPAL)
    assert (await plan(invitation_env, draft(**terms))).items[0].found is EntryState.LEFT


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
    assert acts(await plan(invitation_env, viewer, draft(content=(("articles", "a", "EDITOR"),)))) == [
        PlannedAction.KEEP,
        PlannedAction.CREATE,
    ]
    mine = Draft(email=owner.email, email_key=owner.email_key, content=(("articles", "a", "MAINTAINER"),))
    assert acts(await plan(invitation_env, mine)) == [PlannedAction.KEEP]


# ---- pruning ---------------------------------------------------------------------------------------------------------


async def test_pruning_withdraws_only_what_this_list_made(invitation_env: InvitationEnv) -> None:
    await apply(invitation_env, draft("ada"), draft("bob"), list_name="spring")
    await apply(invitation_env, draft("cleo"), list_name="autumn")
    await apply(invitation_env, draft("dora"))
    await invitation_env.invite("emil@people.test", role="customer")
    key = Principal(ActorType.API_KEY, uuid4(), "k", frozenset({"*"}), frozenset({"*"}), frozenset({"*"}))
    posing = {"metadata": {"latchstring": {"list": "spring"}}, "role": "customer"}
    await invitation_env.invite("fred@people.test", by=await real_key(invitation_env, key), **posing)
    left = await plan(invitation_env, draft("ada"), list_name="spring")
    assert (acts(left), left.is_empty) == ([PlannedAction.LEFT_OVER, PlannedAction.KEEP], True)
    (outcome,) = await apply(invitation_env, draft("ada"), list_name="spring", prune=True)
    assert (outcome.planned.act, outcome.planned.email) == (PlannedAction.REVOKE, "bob@people.test")
    assert (await plan(invitation_env, draft("ada"), list_name="spring", prune=True)).is_empty


async def real_key(invitation_env: InvitationEnv, like: Principal) -> Principal:
    """A principal whose API key is in the database, as creating demands."""
    made = await invitation_env.service_env.users.api_keys.create(name="k", scopes=["*"], by=OPERATOR_PRINCIPAL)
    return Principal(like.type, made.key.id, like.name, like.permissions, like.may_grant, like.may_grant_groups)


async def test_who_comes_back_to_the_list_is_invited_again(invitation_env: InvitationEnv) -> None:
    await apply(invitation_env, draft("ada"), list_name="spring")
    await apply(invitation_env, list_name="spring", prune=True)
    again = await plan(invitation_env, draft("ada"), list_name="spring")
    assert (acts(again), again.items[0].found) == ([PlannedAction.CREATE], EntryState.PRUNED)


async def test_changed_grants_are_a_new_invitation_and_the_old_one_goes(invitation_env: InvitationEnv) -> None:
    (first,) = await apply(invitation_env, draft(role="customer"), list_name="spring")
    outcomes = await apply(invitation_env, draft(role="team"), list_name="spring", prune=True)
    assert [(o.planned.act, o.error) for o in outcomes] == [(PlannedAction.REVOKE, None), (PlannedAction.CREATE, None)]
    assert outcomes[0].invitation_id == first.invitation_id


async def test_expired_ones_that_left_the_list_are_withdrawn_since_their_links_could_be_renewed(
    invitation_env: InvitationEnv,
) -> None:
    await apply(invitation_env, draft("ada"), list_name="spring")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    (outcome,) = await apply(invitation_env, list_name="spring", prune=True)
    assert (outcome.planned.act, outcome.planned.found) == (PlannedAction.REVOKE, EntryState.EXPIRED)


# ---- refusing --------------------------------------------------------------------------------------------------------


async def test_everything_wrong_is_told_by_place_and_nothing_is_done(invitation_env: InvitationEnv) -> None:
    wrong = [
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
        await plan(invitation_env, *wrong)
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


async def test_one_that_fails_stops_no_other(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("early")
    made = await plan(invitation_env, draft("ada", groups=("early",)), draft("bob"))
    await invitation_env.service_env.groups.delete("early", by=OPERATOR_PRINCIPAL)
    lists = invitation_env.invitations.declared_lists
    outcomes = [outcome async for outcome in lists.carry_out(made, by=OPERATOR_PRINCIPAL)]
    assert [outcome.error.code if outcome.error else None for outcome in outcomes] == ["group-not-found", None]


async def test_what_somebody_did_meanwhile_is_no_failure(invitation_env: InvitationEnv) -> None:
    made = await plan(invitation_env, draft("ada"))
    await invitation_env.invite("ada@people.test", role="customer")
    lists = invitation_env.invitations.declared_lists
    (outcome,) = [outcome async for outcome in lists.carry_out(made, by=OPERATOR_PRINCIPAL)]
    assert (outcome.invitation_id, outcome.error) == (None, None)


async def test_of_two_who_apply_at_once_everybody_gets_one_invitation(invitation_env: InvitationEnv) -> None:
    drafts = [draft(f"u{number}") for number in range(12)]
    plans = [await plan(invitation_env, *drafts, list_name="spring") for _ in range(2)]

    async def carry_out(made: Plan) -> list[ApplyResult]:
        return [
            outcome
            async for outcome in invitation_env.invitations.declared_lists.carry_out(made, by=OPERATOR_PRINCIPAL)
        ]

    outcomes = [outcome for one in await asyncio.gather(*map(carry_out, plans)) for outcome in one]
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert sum(outcome.invitation_id is not None for outcome in outcomes) == 12
    assert len(await invitation_env.service_env.mails()) == 12


async def test_many_addresses_are_compared_in_slices(
    invitation_env: InvitationEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latchstring.invitations.declarative.apply.SLICE", 2)
    monkeypatch.setattr("latchstring.storage.invitations.existing.SLICE", 2)
    drafts = [draft(f"u{number}") for number in range(5)]
    await apply(invitation_env, *drafts, list_name="spring")
    assert (await plan(invitation_env, *drafts, list_name="spring")).count(PlannedAction.KEEP) == 5
    invitation_env.service_env.clock.forward(timedelta(days=8))
    assert (await plan(invitation_env, drafts[0], list_name="spring")).count(PlannedAction.LEFT_OVER) == 4


async def test_with_mail_off_the_operator_may_still_apply(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, mail=MailRules(transport="off"))
    assert [outcome.error for outcome in await apply(invitation_env, draft())] == [None]
