"""A declared list compared with what is: the table of the plan, then applying on each database."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.support.invitation_env import Door, build_door
from tests.support.service_env import World

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
from latchstring.invitations.declarative.apply import Outcome
from latchstring.invitations.declarative.plan import (
    Act,
    Found,
    Plan,
    Wanted,
    act_for,
    find_repeated,
    find_standing,
    make_plan,
    mark_of,
    marked,
)
from latchstring.storage.invitations.existing import Past

AT = datetime(2026, 3, 1, tzinfo=UTC)
SOON, GONE = AT + timedelta(days=1), AT - timedelta(days=1)
TERMS = UUID(int=7)


def past(state: State, *, expires_at: datetime = SOON, created: int = 0, **more: Any) -> Past:
    id_ = new_id(AT - timedelta(days=30) + timedelta(days=created))
    return Past(id_, "ada@people.test", TERMS, state, expires_at, ActorType.OPERATOR, **more)


def entry(index: int = 0, terms_key: UUID = TERMS) -> Wanted:
    draft = Draft(email="ada@people.test", email_key="ada@people.test", role="team")
    return Wanted(index, draft, Bundle("team"), terms_key)


# ---- the table -------------------------------------------------------------------------------------------------------

ACTS = {
    Found.NOTHING: (Act.CREATE, Act.CREATE),
    Found.HELD: (Act.KEEP, Act.KEEP),
    Found.PENDING: (Act.KEEP, Act.KEEP),
    Found.EXPIRED: (Act.RENEW, Act.RENEW),
    Found.LEFT: (Act.ENDED, Act.CREATE),
    Found.DECLINED: (Act.ENDED, Act.CREATE),
    Found.REVOKED: (Act.ENDED, Act.CREATE),
    Found.PRUNED: (Act.CREATE, Act.CREATE),
}


@pytest.mark.parametrize("found", Found)
@pytest.mark.parametrize("again", [False, True])
def test_what_is_done_about_an_entry(*, found: Found, again: bool) -> None:
    assert act_for(found, again=again) is ACTS[found][again]


@pytest.mark.parametrize(
    ("pasts", "is_held", "found"),
    [
        ([], False, Found.NOTHING),
        ([], True, Found.HELD),
        ([past(State.PENDING)], False, Found.PENDING),
        ([past(State.PENDING)], True, Found.PENDING),
        ([past(State.PENDING, expires_at=GONE)], False, Found.EXPIRED),
        ([past(State.PENDING, expires_at=AT)], False, Found.EXPIRED),
        ([past(State.EXPIRED, expires_at=GONE)], False, Found.EXPIRED),
        ([past(State.EXPIRED, expires_at=GONE)], True, Found.HELD),
        ([past(State.ACCEPTED)], True, Found.HELD),
        ([past(State.ACCEPTED)], False, Found.LEFT),
        ([past(State.DECLINED)], False, Found.DECLINED),
        ([past(State.REVOKED, cause="revoked")], False, Found.REVOKED),
        ([past(State.REVOKED, cause="group-deleted")], False, Found.REVOKED),
        ([past(State.REVOKED, cause="pruned")], False, Found.PRUNED),
        ([past(State.REVOKED)], False, Found.REVOKED),
        ([past(State.DECLINED, created=1), past(State.EXPIRED, created=2)], False, Found.EXPIRED),
        ([past(State.DECLINED, created=2), past(State.EXPIRED, created=1)], False, Found.DECLINED),
        ([past(State.PENDING, created=1), past(State.DECLINED, created=2)], False, Found.PENDING),
    ],
)
def test_what_there_is_for_an_entry(*, pasts: list[Past], is_held: bool, found: Found) -> None:
    assert find_standing(pasts, is_held=is_held, at=AT)[0] is found


def test_what_is_gone_from_the_list_is_withdrawn_only_when_asked_and_before_the_rest() -> None:
    gone = [past(State.PENDING), past(State.EXPIRED, expires_at=GONE)]
    options: dict[str, Any] = {"again": False, "at": AT}
    pruned = make_plan([entry(terms_key=uuid4())], {}, set(), gone, prune=True, **options)
    assert [(item.act, item.found) for item in pruned.items] == [
        (Act.REVOKE, Found.PENDING),
        (Act.REVOKE, Found.EXPIRED),
        (Act.CREATE, Found.NOTHING),
    ]
    kept = make_plan([], {}, set(), gone, prune=False, **options)
    assert [item.act for item in kept.items] == [Act.LEFT_OVER] * 2
    assert kept.is_empty
    assert make_plan([entry()], {}, set(), gone, prune=True, **options).count(Act.REVOKE) == 0


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
    assert mark_of(Past(uuid4(), "", TERMS, State.PENDING, SOON, inviter, metadata)) == name


def test_a_mark_stands_beside_what_is_there() -> None:
    assert marked({"crmId": "1"}, "spring") == {"crmId": "1", "latchstring": {"list": "spring"}}
    assert marked(None, None) is None
    assert marked({"crmId": "1"}, None) == {"crmId": "1"}


# ---- on each database ------------------------------------------------------------------------------------------------


@pytest.fixture
def door(world: World) -> Door:
    content = ContentRules({"articles": ContentType("articles", "Articles")})
    template = InvitationTemplate(key="new", name="New", role="customer", message="Welcome.")
    return build_door(world, content=content, templates={"new": template})


def draft(name: str = "ada", **terms: Any) -> Draft:
    address = parse_address(f"{name}@people.test")
    return Draft(email=address.email, email_key=address.email_key, **(terms or {"role": "customer"}))


async def plan(door: Door, *drafts: Draft, **options: Any) -> Plan:
    return await door.invitations.lists.plan(drafts, by=OPERATOR_PRINCIPAL, **options)


async def apply(door: Door, *drafts: Draft, **options: Any) -> list[Outcome]:
    made = await plan(door, *drafts, **options)
    return [outcome async for outcome in door.invitations.lists.carry_out(made, by=OPERATOR_PRINCIPAL)]


def acts(of: Plan) -> list[Act]:
    return [item.act for item in of.items]


async def test_a_list_is_applied_once(door: Door) -> None:
    await door.world.group("early")
    drafts = [draft("ada"), draft("bob", groups=("early",)), draft("cleo", template="new")]
    outcomes = await apply(door, *drafts)
    assert [outcome.planned.act for outcome in outcomes] == [Act.CREATE] * 3
    assert all(outcome.invitation_id and outcome.error is None for outcome in outcomes)
    second = await plan(door, *drafts)
    assert (acts(second), second.is_empty) == ([Act.KEEP] * 3, True)
    assert len(await door.world.mails()) == 3


async def test_one_address_may_stand_twice_with_different_grants(door: Door) -> None:
    await door.world.group("early")
    outcomes = await apply(door, draft(), draft(groups=("early",)))
    assert len({outcome.invitation_id for outcome in outcomes}) == 2


async def test_whoever_holds_it_all_is_left_alone(door: Door) -> None:
    group = await door.world.group("early")
    user = await door.world.user("team", email="ada@people.test")
    assert acts(await plan(door, draft(role="team"), draft(role="customer"), draft(role="admin"))) == [
        Act.KEEP, Act.KEEP, Act.CREATE,
    ]  # fmt: skip
    assert acts(await plan(door, draft(groups=("early",)))) == [Act.CREATE]
    await door.world.groups.add_member(OPERATOR_PRINCIPAL, group.key, user.id)
    assert acts(await plan(door, draft(role="team", groups=("early",)))) == [Act.KEEP]


async def test_an_unverified_account_holds_nothing(door: Door) -> None:
    await door.world.user("team", email="ada@people.test", email_verified=False)
    assert acts(await plan(door, draft(role="team"))) == [Act.CREATE]


async def test_what_ran_out_is_renewed(door: Door) -> None:
    standing = await door.invite(role="customer")
    door.world.clock.forward(timedelta(days=8))
    assert acts(await plan(door, draft())) == [Act.RENEW]
    await door.invitations.sweep()
    (outcome,) = await apply(door, draft())
    assert (outcome.planned.act, outcome.invitation_id) == (Act.RENEW, standing.invitation.id)
    assert (await door.now(standing)).link.generation == 2
    assert acts(await plan(door, draft())) == [Act.KEEP]


async def test_what_a_person_ended_waits_for_a_word(door: Door) -> None:
    standing = await door.invite(role="customer")
    await door.invitations.issuing.revoke(standing.invitation.id, by=OPERATOR_PRINCIPAL)
    ended = await plan(door, draft())
    assert (acts(ended), ended.items[0].found, ended.is_empty) == ([Act.ENDED], Found.REVOKED, True)
    (outcome,) = await apply(door, draft(), again=True)
    assert outcome.invitation_id not in {None, standing.invitation.id}
    declined = await door.invite("bob@people.test", role="customer")
    await door.invitations.answering.decline(door.token(declined), reason=None)
    assert (await plan(door, draft("bob"))).items[0].found is Found.DECLINED


async def test_an_acceptance_is_kept_until_its_rights_are_taken(door: Door) -> None:
    await door.world.group("early")
    standing = await door.invite(role="customer", groups=("early",))
    user = (await door.accept(door.token(standing))).user
    terms = {"role": "customer", "groups": ("early",)}
    assert (await plan(door, draft(**terms))).items[0].found is Found.HELD
    await door.world.groups.remove_member(OPERATOR_PRINCIPAL, "early", user.id)
    assert (await plan(door, draft(**terms))).items[0].found is Found.LEFT


async def test_content_counts_by_object_and_role(door: Door) -> None:
    from latchstring.content.service import Content, NewObject  # noqa: PLC0415  # only here

    world = door.world
    owner = await world.user("admin")
    content = Content(
        db=world.db, clock=world.clock, rules=door.invitations.lists.parts.content_rules, roles={},
        find_pending=door.invitations.find_pending,
    )  # fmt: skip
    await content.create_object(OPERATOR_PRINCIPAL, "articles", NewObject(title="A", key="a", owner_id=owner.id))
    viewer = draft(content=(("articles", "a", "VIEWER"),))
    assert [outcome.error for outcome in await apply(door, viewer)] == [None]
    assert acts(await plan(door, viewer, draft(content=(("articles", "a", "EDITOR"),)))) == [Act.KEEP, Act.CREATE]
    mine = Draft(email=owner.email, email_key=owner.email_key, content=(("articles", "a", "MAINTAINER"),))
    assert acts(await plan(door, mine)) == [Act.KEEP]


# ---- pruning ---------------------------------------------------------------------------------------------------------


async def test_pruning_withdraws_only_what_this_list_made(door: Door) -> None:
    await apply(door, draft("ada"), draft("bob"), list_name="spring")
    await apply(door, draft("cleo"), list_name="autumn")
    await apply(door, draft("dora"))
    await door.invite("emil@people.test", role="customer")
    key = Principal(ActorType.API_KEY, uuid4(), "k", frozenset({"*"}), frozenset({"*"}), frozenset({"*"}))
    posing = {"metadata": {"latchstring": {"list": "spring"}}, "role": "customer"}
    await door.invite("fred@people.test", by=await real_key(door, key), **posing)
    left = await plan(door, draft("ada"), list_name="spring")
    assert (acts(left), left.is_empty) == ([Act.LEFT_OVER, Act.KEEP], True)
    (outcome,) = await apply(door, draft("ada"), list_name="spring", prune=True)
    assert (outcome.planned.act, outcome.planned.email) == (Act.REVOKE, "bob@people.test")
    assert (await plan(door, draft("ada"), list_name="spring", prune=True)).is_empty


async def real_key(door: Door, like: Principal) -> Principal:
    """A principal whose API key is in the database, as creating demands."""
    made = await door.world.users.create_api_key(OPERATOR_PRINCIPAL, name="k", scopes=["*"])
    return Principal(like.type, made.key.id, like.name, like.permissions, like.may_grant, like.may_grant_groups)


async def test_who_comes_back_to_the_list_is_invited_again(door: Door) -> None:
    await apply(door, draft("ada"), list_name="spring")
    await apply(door, list_name="spring", prune=True)
    again = await plan(door, draft("ada"), list_name="spring")
    assert (acts(again), again.items[0].found) == ([Act.CREATE], Found.PRUNED)


async def test_changed_grants_are_a_new_invitation_and_the_old_one_goes(door: Door) -> None:
    (first,) = await apply(door, draft(role="customer"), list_name="spring")
    outcomes = await apply(door, draft(role="team"), list_name="spring", prune=True)
    assert [(o.planned.act, o.error) for o in outcomes] == [(Act.REVOKE, None), (Act.CREATE, None)]
    assert outcomes[0].invitation_id == first.invitation_id


async def test_expired_ones_that_left_the_list_are_withdrawn_since_their_links_could_be_renewed(door: Door) -> None:
    await apply(door, draft("ada"), list_name="spring")
    door.world.clock.forward(timedelta(days=8))
    (outcome,) = await apply(door, list_name="spring", prune=True)
    assert (outcome.planned.act, outcome.planned.found) == (Act.REVOKE, Found.EXPIRED)


# ---- refusing --------------------------------------------------------------------------------------------------------


async def test_everything_wrong_is_told_by_place_and_nothing_is_done(door: Door) -> None:
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
        await plan(door, *wrong)
    assert [(problem.pointer, problem.code) for problem in refused.value.errors] == [
        ("/0/role", "unknown-role"),
        ("/1/groups", "group-not-found"),
        ("/2/content", "content-not-found"),
        ("/3/template", "unknown-template"),
        ("/6/metadata", "reserved"),
        ("/7/role", "grant-required"),
        ("/5", "repeated"),
    ]
    assert await door.world.mails() == []


async def test_one_that_fails_stops_no_other(door: Door) -> None:
    await door.world.group("early")
    made = await plan(door, draft("ada", groups=("early",)), draft("bob"))
    await door.world.groups.delete_group(OPERATOR_PRINCIPAL, "early")
    lists = door.invitations.lists
    outcomes = [outcome async for outcome in lists.carry_out(made, by=OPERATOR_PRINCIPAL)]
    assert [outcome.error.code if outcome.error else None for outcome in outcomes] == ["group-not-found", None]


async def test_what_somebody_did_meanwhile_is_no_failure(door: Door) -> None:
    made = await plan(door, draft("ada"))
    await door.invite("ada@people.test", role="customer")
    lists = door.invitations.lists
    (outcome,) = [outcome async for outcome in lists.carry_out(made, by=OPERATOR_PRINCIPAL)]
    assert (outcome.invitation_id, outcome.error) == (None, None)


async def test_of_two_who_apply_at_once_everybody_gets_one_invitation(door: Door) -> None:
    drafts = [draft(f"u{number}") for number in range(12)]
    plans = [await plan(door, *drafts, list_name="spring") for _ in range(2)]

    async def carry_out(made: Plan) -> list[Outcome]:
        return [outcome async for outcome in door.invitations.lists.carry_out(made, by=OPERATOR_PRINCIPAL)]

    outcomes = [outcome for one in await asyncio.gather(*map(carry_out, plans)) for outcome in one]
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert sum(outcome.invitation_id is not None for outcome in outcomes) == 12
    assert len(await door.world.mails()) == 12


async def test_many_addresses_are_compared_in_slices(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latchstring.invitations.declarative.apply.SLICE", 2)
    monkeypatch.setattr("latchstring.storage.invitations.existing.SLICE", 2)
    drafts = [draft(f"u{number}") for number in range(5)]
    await apply(door, *drafts, list_name="spring")
    assert (await plan(door, *drafts, list_name="spring")).count(Act.KEEP) == 5
    door.world.clock.forward(timedelta(days=8))
    assert (await plan(door, drafts[0], list_name="spring")).count(Act.LEFT_OVER) == 4


async def test_with_mail_off_the_operator_may_still_apply(world: World) -> None:
    door = build_door(world, mail=MailRules(transport="off"))
    assert [outcome.error for outcome in await apply(door, draft())] == [None]
