"""Many invitations at once: every row meets the rules of a single create, none stops the others, none comes twice."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.rows_in_memory import RowsInMemory
from tests.support.service_env import START, ServiceEnv

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import (
    InvalidFields,
    JobFinished,
    JobNotFound,
    LatchstringError,
    MailDisabled,
    NotAllowed,
)
from latchstring.domain.ids import new_id
from latchstring.domain.job import Job, JobRow, JobState
from latchstring.domain.mail import MailPriority
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import MailRules
from latchstring.invitations.bulk.jobs import BATCH_ROWS
from latchstring.storage.engine.tables import events, invitations, job_parts, outbox
from latchstring.storage.jobs.jobs import JobLost, claim_job, find_job

LEASE = timedelta(seconds=6)
Row = dict[str, Any]


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env)


def rows(*given: object) -> RowsInMemory:
    return RowsInMemory(given, {})


def cells(columns: Sequence[str | None], *given: Sequence[str]) -> RowsInMemory:
    return RowsInMemory([list(row) for row in given], {"columns": list(columns)}, "text/csv")


def people(count: int, *, first: int = 0) -> RowsInMemory:
    return rows(*({"inviteEmail": f"p{i}@people.test", "role": "customer"} for i in range(first, first + count)))


async def start(invitation_env: InvitationEnv, given: RowsInMemory, by: Principal = OPERATOR_PRINCIPAL) -> Job:
    return await invitation_env.invitations.bulk.start(given, by=by)


async def work(invitation_env: InvitationEnv, *, batches: int = 1000) -> Job | None:
    """Let a worker do so many batches, and then no more."""
    owner, db, clock = new_id(START), invitation_env.service_env.db, invitation_env.service_env.clock
    job = await claim_job(db, owner, now=clock(), until=clock() + LEASE)
    for _ in range(batches):
        if job is None or job.state.is_finished:
            break
        job = await invitation_env.invitations.job_kinds[job.kind](job, owner, clock() + LEASE)
    return job


async def report(invitation_env: InvitationEnv, job: Job) -> list[JobRow]:
    return [row async for batch in invitation_env.invitations.bulk.all_rows(job) for row in batch]


async def carried_out(
    invitation_env: InvitationEnv, given: RowsInMemory, by: Principal = OPERATOR_PRINCIPAL
) -> list[JobRow]:
    job = await start(invitation_env, given, by)
    await work(invitation_env)
    return await report(invitation_env, job)


async def foreseen(
    invitation_env: InvitationEnv, given: RowsInMemory, by: Principal = OPERATOR_PRINCIPAL
) -> list[JobRow]:
    return [row async for batch in invitation_env.invitations.bulk.judge_rows(given, by=by) for row in batch]


def said(found: Iterable[JobRow]) -> list[tuple[str, str | None]]:
    return [(row.status, row.code) for row in found]


async def count(invitation_env: InvitationEnv, table: Any) -> int:
    (found,) = await invitation_env.service_env.db.fetch(select(func.count().label("n")).select_from(table))
    return int(found.n)


def somebody(*permissions: str, may_grant: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Principal:
    return Principal(
        ActorType.USER, new_id(START), "Some Body", frozenset(permissions), frozenset(may_grant), frozenset(groups)
    )


async def mixed(invitation_env: InvitationEnv) -> tuple[RowsInMemory, list[tuple[str, str | None]]]:
    """Rows of every kind, and what becomes of each."""
    await invitation_env.service_env.group("spring")
    member = await invitation_env.service_env.user("team")
    await invitation_env.invite("waiting@people.test", role="team")
    given: list[tuple[object, tuple[str, str | None]]] = [
        ({"inviteEmail": "new@people.test", "role": "team"}, ("CREATE", None)),
        ({"inviteEmail": "NEW@people.test", "role": "team"}, ("DUPLICATE", "duplicate-row")),
        ({"inviteEmail": "new@people.test", "role": "team", "groups": ["spring"]}, ("CREATE", None)),
        ({"inviteEmail": "waiting@people.test", "role": "team"}, ("DUPLICATE", "already-invited")),
        ({"inviteEmail": "Waiting@people.test", "role": "team"}, ("DUPLICATE", "already-invited")),
        ({"inviteEmail": member.email, "role": "team"}, ("MEMBER", "already-member")),
        ({"inviteEmail": member.email, "role": "team", "groups": ["spring"]}, ("CREATE", None)),
        ({"inviteEmail": "no address", "role": "team"}, ("REFUSED", "invalid-email")),
        ({"inviteEmail": "a@people.test"}, ("REFUSED", "grant-required")),
        ({"inviteEmail": "a@people.test", "role": "king"}, ("REFUSED", "unknown-role")),
        ({"inviteEmail": "a@people.test", "groups": ["nowhere"]}, ("REFUSED", "group-not-found")),
        (
            {"inviteEmail": "a@people.test", "content": [{"contentType": "x", "key": "y", "role": "VIEWER"}]},
            ("REFUSED", "content-not-found"),
        ),
        ({"inviteEmail": "a@people.test", "role": "team", "expiresIn": "P400D"}, ("REFUSED", "out-of-bounds")),
        ({"inviteEmail": "a@people.test", "role": "team", "nick": "A"}, ("REFUSED", "unknown-field")),
        ({"inviteEmail": "a@people.test", "template": "none"}, ("REFUSED", "unknown-template")),
        ({"role": "team"}, ("REFUSED", "required")),
        (["a@people.test"], ("REFUSED", "invalid-type")),
        (None, ("REFUSED", "invalid-type")),
        ({"inviteEmail": "last@people.test", "role": "team"}, ("CREATE", None)),
    ]
    return rows(*(row for row, _ in given)), [verdict for _, verdict in given]


async def test_every_row_gets_its_verdict_and_none_stops_the_others(invitation_env: InvitationEnv) -> None:
    given, expected = await mixed(invitation_env)
    before = await count(invitation_env, invitations)
    foresight = await foreseen(invitation_env, given)
    assert said(foresight) == expected
    assert await count(invitation_env, invitations) == before
    job = await start(invitation_env, given)
    await work(invitation_env)
    found = await report(invitation_env, job)
    assert said(found) == expected
    assert [row.row for row in found] == list(range(1, len(expected) + 1))
    after = await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
    assert (after.state, after.total, after.done) == (JobState.DONE, len(expected), len(expected))
    assert (after.created, after.skipped, after.refused) == (4, 4, 11)
    assert await count(invitation_env, invitations) == before + 4
    assert await count(invitation_env, job_parts) == 0
    assert [row.source for row in found if row.status == "REFUSED"] == [given.rows[i] for i in range(7, 18)]


async def test_created_rows_are_invitations_like_any_other(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    row = {
        "inviteEmail": "Ada@People.test",
        "groups": ["spring"],
        "firstName": "Ada",
        "lastName": "Löwe",
        "message": "Come\r\nin.",
        "locale": "de",
        "expiresIn": "P2D",
        "metadata": {"crm": 4711, "deep": [1.5, None]},
        "redirectUrl": "https://invite.example.org/profile",
    }
    (verdict,) = await carried_out(invitation_env, rows(row))
    assert verdict.invitation_id is not None
    standing = await invitation_env.invitations.get(verdict.invitation_id, by=OPERATOR_PRINCIPAL)
    made = standing.invitation
    assert (made.email, made.email_key, made.first_name, made.last_name) == (
        "Ada@People.test",
        "ada@people.test",
        "Ada",
        "Löwe",
    )
    assert (made.message, made.locale, made.lifetime) == ("Come\nin.", "de", timedelta(days=2))
    assert made.metadata == row["metadata"]
    assert [grant.target_key for grant in made.bundle.groups] == ["spring"]
    (event,) = await invitation_env.service_env.db.fetch(select(events).where(events.c.type == "invitation.created"))
    assert (event.subject_id, event.data["groups"]) == (made.id, ["spring"])
    (mail,) = await invitation_env.service_env.db.fetch(select(outbox))
    assert (mail.subject_id, mail.priority) == (made.id, MailPriority.BULK)
    await invitation_env.accept(invitation_env.token(standing))


async def test_lines_of_a_spreadsheet_are_rows(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    await invitation_env.service_env.group("autumn")
    given = cells(
        ["inviteEmail", "role", "groups", "content", "metadata", None],
        ["  a@people.test\u00a0", "team", " spring ; autumn;", "", "", ""],
        ["b@people.test", "team", "", "", '{"n": 1}', "ignored"],
        ["c@people.test", "team", "", "articles", "", ""],
        ["d@people.test", "team", "", "", "{", ""],
        ["e@people.test", "team", "", "", "", "", "more"],
        ["f@people.test"],
        ["'+g@people.test", "team"],
    )
    found = await carried_out(invitation_env, given)
    assert said(found) == [
        ("CREATE", None),
        ("CREATE", None),
        ("REFUSED", "invalid-content"),
        ("REFUSED", "invalid-json"),
        ("REFUSED", "too-many-cells"),
        ("REFUSED", "grant-required"),
        ("CREATE", None),
    ]
    first = await invitation_env.invitations.get(found[0].invitation_id, by=OPERATOR_PRINCIPAL)  # type: ignore[arg-type]
    assert [grant.target_key for grant in first.invitation.bundle.groups] == ["autumn", "spring"]
    assert found[2].source == ["c@people.test", "team", "", "articles", "", ""]
    assert found[6].email == "+g@people.test"


async def test_nobody_hands_out_more_than_they_may_in_bulk(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("open")
    await invitation_env.service_env.group("closed")
    by = invitation_env.service_env.users.principal_of(await invitation_env.service_env.user("lead"))
    by_key = replace(by, permissions=by.permissions | {"invitations:write"})
    given = rows(
        {"inviteEmail": "a@people.test", "role": "customer"},
        {"inviteEmail": "b@people.test", "role": "admin"},
        {"inviteEmail": "c@people.test", "groups": ["open"]},
        {"inviteEmail": "d@people.test", "groups": ["closed"]},
        {"inviteEmail": "e@people.test", "groups": ["unknown"]},
    )
    refused = ("REFUSED", "grant-not-allowed")
    assert said(await foreseen(invitation_env, given, by_key)) == [
        ("CREATE", None),
        refused,
        ("CREATE", None),
        refused,
        refused,
    ]


async def test_inviting_many_needs_the_permission_and_a_way(
    service_env: ServiceEnv, invitation_env: InvitationEnv
) -> None:
    for by, error in ((somebody("invitations:read"), NotAllowed),):
        with pytest.raises(error):
            await start(invitation_env, people(1), by)
        with pytest.raises(error):
            await foreseen(invitation_env, people(1), by)
    off = build_invitation_env(service_env, mail=MailRules(transport="off"))
    with pytest.raises(MailDisabled):
        await start(off, people(1), somebody("invitations:write", may_grant=("customer",)))


async def test_nothing_to_invite_is_refused_and_leaves_nothing(invitation_env: InvitationEnv) -> None:
    with pytest.raises(InvalidFields):
        await start(invitation_env, rows())
    assert await work(invitation_env) is None


async def test_members_and_others_invitations_are_not_told_to_who_may_not_list_them(
    invitation_env: InvitationEnv,
) -> None:
    maker = await invitation_env.service_env.user("lead")
    by = replace(
        invitation_env.service_env.users.principal_of(maker),
        permissions=frozenset({"invitations:write"}),
        may_grant=frozenset("*"),
    )
    member = await invitation_env.service_env.user("team")
    await invitation_env.invite("waiting@people.test", role="team")
    given = rows({"inviteEmail": member.email, "role": "team"}, {"inviteEmail": "waiting@people.test", "role": "team"})
    found = await foreseen(invitation_env, given, by)
    assert said(found) == [("CREATE", None), ("DUPLICATE", "already-invited")]
    assert found[1].invitation_id is None
    assert (await foreseen(invitation_env, given))[1].invitation_id is not None


async def test_an_expired_invitation_gives_way(invitation_env: InvitationEnv) -> None:
    first = await invitation_env.invite("p0@people.test", role="customer")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    assert said(await foreseen(invitation_env, people(2))) == [("CREATE", None)] * 2
    assert said(await carried_out(invitation_env, people(2))) == [("CREATE", None)] * 2
    assert (await invitation_env.state(first)).name == "EXPIRED"
    assert (await invitation_env.service_env.events()).count("invitation.expired") == 1


async def test_limits_of_an_address_hold_for_rows(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, recipient_rates=((2, timedelta(days=1)),))
    by = somebody("*", may_grant=("*",))
    await invitation_env.invite("p0@people.test", role="customer")
    given = rows(*({"inviteEmail": "p0@people.test", "role": role} for role in ("team", "lead", "admin")))
    assert (
        said(await foreseen(invitation_env, given, by)) == [("CREATE", None)] + [("REFUSED", "too-many-requests")] * 2
    )
    invitation_env.service_env.clock.forward(timedelta(days=2))
    assert said(await foreseen(invitation_env, given, by))[:2] == [("CREATE", None)] * 2


async def test_duplicates_are_found_across_batches(invitation_env: InvitationEnv) -> None:
    given = people(BATCH_ROWS + 5)
    twice = RowsInMemory([*given.rows, *given.rows[:3]], {})
    for found in (await foreseen(invitation_env, twice), await carried_out(invitation_env, twice)):
        assert said(found[-3:]) == [("DUPLICATE", "duplicate-row")] * 3
        assert found[-1].detail == "Duplicate of row 3."
        assert found[-1].duplicate_of == 3
        assert all(row.status == "CREATE" for row in found[:-3])


async def test_a_job_goes_on_where_its_worker_died(invitation_env: InvitationEnv) -> None:
    job = await start(invitation_env, people(BATCH_ROWS * 3))
    halfway = await work(invitation_env, batches=1)
    assert halfway is not None
    assert halfway.done == BATCH_ROWS
    assert await work(invitation_env) is None  # the dead one's lease still holds
    invitation_env.service_env.clock.forward(LEASE)
    assert (await work(invitation_env)) is not None
    after = await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
    assert (after.state, after.created) == (JobState.DONE, BATCH_ROWS * 3)
    assert await count(invitation_env, invitations) == BATCH_ROWS * 3 == await count(invitation_env, outbox)


async def test_a_worker_whose_job_was_taken_over_writes_nothing(invitation_env: InvitationEnv) -> None:
    await start(invitation_env, people(BATCH_ROWS * 2))
    db, clock, slow, quick = (
        invitation_env.service_env.db,
        invitation_env.service_env.clock,
        new_id(START),
        new_id(START),
    )
    held = await claim_job(db, slow, now=clock(), until=clock() + LEASE)
    clock.forward(LEASE)
    taken = await claim_job(db, quick, now=clock(), until=clock() + LEASE)
    assert held is not None
    assert taken is not None
    inviting = invitation_env.invitations.job_kinds["invite"]
    with pytest.raises(JobLost):
        await inviting(held, slow, clock() + LEASE)
    again = await inviting(taken, quick, clock() + LEASE)
    with pytest.raises(JobLost):  # the same batch once more
        await inviting(taken, quick, clock() + LEASE)
    assert again.done == BATCH_ROWS == await count(invitation_env, invitations)


async def test_two_jobs_over_the_same_people_invite_each_once(invitation_env: InvitationEnv) -> None:
    jobs = [
        await start(invitation_env, people(120)),
        await start(invitation_env, people(120, first=20)),
        await start(invitation_env, people(120)),
    ]
    for _ in range(20):  # a worker whose batch met too many conflicts leaves it for the next look
        await asyncio.gather(*(work(invitation_env) for _ in jobs), return_exceptions=True)
        invitation_env.service_env.clock.forward(LEASE)
        found = [await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL) for job in jobs]
        if all(job.state is JobState.DONE for job in found):
            break
    assert (
        sum(job.created for job in found)
        == 140
        == await count(invitation_env, invitations)
        == await count(invitation_env, outbox)
    )
    assert [job.done for job in found] == [120, 120, 120]
    assert (await invitation_env.service_env.events()).count("invitation.created") == 140


async def test_a_cancelled_job_keeps_what_is_done(invitation_env: InvitationEnv) -> None:
    job = await start(invitation_env, people(BATCH_ROWS * 2))
    await work(invitation_env, batches=1)
    await invitation_env.invitations.bulk.cancel(job.id, by=OPERATOR_PRINCIPAL)
    invitation_env.service_env.clock.forward(LEASE)
    assert await work(invitation_env) is None
    after = await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
    assert (after.state, after.created, after.total) == (JobState.CANCELLED, BATCH_ROWS, BATCH_ROWS * 2)
    with pytest.raises(JobFinished):
        await invitation_env.invitations.bulk.cancel(job.id, by=OPERATOR_PRINCIPAL)
    assert await count(invitation_env, job_parts) == 0


async def test_a_job_fails_when_its_maker_may_no_longer_invite(invitation_env: InvitationEnv) -> None:
    service_env = invitation_env.service_env
    key = await service_env.users.api_keys.create(
        name="k", scopes=["invitations:write"], may_grant=["customer"], by=OPERATOR_PRINCIPAL
    )
    job = await start(invitation_env, people(BATCH_ROWS + 1), key.key.principal)
    await work(invitation_env, batches=1)
    await service_env.users.api_keys.revoke(key.key.id, by=OPERATOR_PRINCIPAL)
    service_env.clock.forward(LEASE)
    await work(invitation_env)
    after = await find_job(service_env.db, job.id)
    assert after is not None
    assert (after.state, after.cause, after.created) == (JobState.FAILED, "inviter-not-allowed", BATCH_ROWS)


async def test_who_loses_a_right_in_between_loses_it_for_the_rows_to_come(invitation_env: InvitationEnv) -> None:
    service_env = invitation_env.service_env
    user = await service_env.user("admin")
    job = await start(invitation_env, people(BATCH_ROWS + 1), service_env.users.principal_of(user))
    await work(invitation_env, batches=1)
    await service_env.users.change(user.id, _role("customer"), by=OPERATOR_PRINCIPAL)
    service_env.clock.forward(LEASE)
    await work(invitation_env)
    after = await find_job(service_env.db, job.id)
    assert after is not None
    assert (after.state, after.cause, after.created) == (JobState.FAILED, "not-allowed", BATCH_ROWS)


def _role(key: str) -> Any:
    from latchstring.users.accounts import UserChanges  # noqa: PLC0415

    return UserChanges(role=key)


async def test_a_job_is_seen_by_its_maker_and_by_who_may_list_invitations(invitation_env: InvitationEnv) -> None:
    mine, other = (somebody("invitations:write", may_grant=("*",)) for _ in range(2))
    job = await start(invitation_env, people(1), mine)
    bulk = invitation_env.invitations.bulk
    assert (await bulk.get(job.id, by=mine)).id == job.id
    assert (await bulk.get(job.id, by=somebody("invitations:read"))).id == job.id
    with pytest.raises(JobNotFound):
        await bulk.get(job.id, by=other)
    with pytest.raises(JobNotFound):
        await bulk.cancel(job.id, by=other)
    with pytest.raises(NotAllowed):
        await bulk.cancel(job.id, by=somebody("invitations:read"))
    assert [len(await bulk.list_jobs(by=who, limit=10)) for who in (mine, other, OPERATOR_PRINCIPAL)] == [1, 0, 1]


async def test_a_draft_is_worked_on_only_after_it_was_confirmed(invitation_env: InvitationEnv) -> None:
    bulk = invitation_env.invitations.bulk
    draft = await bulk.draft(people(3), by=OPERATOR_PRINCIPAL, name="spring.csv")
    assert await work(invitation_env) is None
    with pytest.raises(JobNotFound):
        await bulk.get(draft.id, by=OPERATOR_PRINCIPAL)
    assert [len(batch) async for batch in bulk.rows_of_draft(draft)] == [3]
    await bulk.confirm(draft.id, by=OPERATOR_PRINCIPAL)
    done = await work(invitation_env)
    assert done is not None
    assert done.created == 3
    assert await bulk.list_jobs(by=OPERATOR_PRINCIPAL, limit=5)


async def test_what_is_past_its_time_is_forgotten(invitation_env: InvitationEnv) -> None:
    bulk = invitation_env.invitations.bulk
    job = await start(invitation_env, people(3))
    await work(invitation_env)
    draft = await bulk.draft(people(3), by=OPERATOR_PRINCIPAL)
    invitation_env.service_env.clock.forward(timedelta(days=2))
    while await bulk.purge():
        pass
    with pytest.raises(JobNotFound):
        await bulk.get_draft(draft.id, by=OPERATOR_PRINCIPAL)
    assert len(await report(invitation_env, job)) == 3
    invitation_env.service_env.clock.forward(timedelta(days=90))
    while await bulk.purge():
        pass
    assert await find_job(invitation_env.service_env.db, job.id) is None
    assert await report(invitation_env, job) == []


async def test_erasing_a_person_erases_them_from_reports(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user("team")
    job = await start(
        invitation_env, rows({"inviteEmail": user.email, "role": "king"}, {"inviteEmail": user.email, "role": "lead"})
    )
    await work(invitation_env)
    await invitation_env.service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    found = await report(invitation_env, job)
    assert [(row.email, row.email_key, row.source) for row in found] == [(None, None, None)] * 2


async def test_an_error_of_the_source_leaves_nothing(invitation_env: InvitationEnv) -> None:
    class Broken(RowsInMemory):
        async def __aiter__(self) -> Any:
            yield list(self.rows) * BATCH_ROWS
            raise LatchstringError

    with pytest.raises(LatchstringError):
        await start(invitation_env, Broken([{"inviteEmail": "a@people.test"}], {}))
    assert await count(invitation_env, job_parts) == 0
    assert await work(invitation_env) is None
