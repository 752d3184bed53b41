"""Bulk jobs: every row follows the rules of a single create, no row stops others, no row is processed twice."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.clock import PATIENCE_SECONDS
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.jobs import process_next_batch
from tests.support.rows_in_memory import RowsInMemory
from tests.support.service_env import START, ServiceEnv

from latchstring.domain.actor import ActorType
from latchstring.domain.clock import system_clock
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
from latchstring.invitations.bulk import jobs
from latchstring.invitations.bulk.jobs import BATCH_ROWS
from latchstring.storage.engine.tables import events, invitations, job_parts, outbox
from latchstring.storage.jobs.jobs import JobLost, claim_job, find_job
from latchstring.worker.jobs import JobDependencies, JobWorker
from latchstring.worker.wake_event import WakeEvent

LEASE = timedelta(seconds=6)
Row = dict[str, Any]


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env)


def rows(*source: object) -> RowsInMemory:
    return RowsInMemory(source, {})


def cells(columns: Sequence[str | None], *source: Sequence[str]) -> RowsInMemory:
    return RowsInMemory([list(row) for row in source], {"columns": list(columns)}, "text/csv")


def people(count: int, *, first: int = 0) -> RowsInMemory:
    return rows(*({"inviteEmail": f"p{i}@people.test", "role": "customer"} for i in range(first, first + count)))


async def start(invitation_env: InvitationEnv, source: RowsInMemory, by: Principal = OPERATOR_PRINCIPAL) -> Job:
    return await invitation_env.invitations.bulk.start(source, by=by)


async def run_worker(invitation_env: InvitationEnv, *, batches: int = 1000) -> Job | None:
    """Run a worker for at most this many batches."""
    owner, db, clock = new_id(START), invitation_env.service_env.db, invitation_env.service_env.clock
    job = await claim_job(db, owner, now=clock(), until=clock() + LEASE)
    for _ in range(batches):
        if job is None or job.state.is_finished:
            break
        job = await process_next_batch(invitation_env.invitations.job_kinds[job.kind], job, owner, clock() + LEASE)
    return job


async def report(invitation_env: InvitationEnv, job: Job) -> list[JobRow]:
    return [row async for batch in invitation_env.invitations.bulk.all_rows(job) for row in batch]


async def carried_out(
    invitation_env: InvitationEnv, source: RowsInMemory, by: Principal = OPERATOR_PRINCIPAL
) -> list[JobRow]:
    job = await start(invitation_env, source, by)
    await run_worker(invitation_env)
    return await report(invitation_env, job)


async def foreseen(
    invitation_env: InvitationEnv, source: RowsInMemory, by: Principal = OPERATOR_PRINCIPAL
) -> list[JobRow]:
    return [row async for batch in invitation_env.invitations.bulk.preview_rows(source, by=by) for row in batch]


def statuses_of(results: Iterable[JobRow]) -> list[tuple[str, str | None]]:
    return [(row.status, row.code) for row in results]


async def count(invitation_env: InvitationEnv, table: Any) -> int:
    (row,) = await invitation_env.service_env.db.fetch(select(func.count().label("n")).select_from(table))
    return int(row.n)


def new_principal(*permissions: str, may_grant: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Principal:
    return Principal(
        ActorType.USER, new_id(START), "Some Body", frozenset(permissions), frozenset(may_grant), frozenset(groups)
    )


async def mixed_rows(invitation_env: InvitationEnv) -> tuple[RowsInMemory, list[tuple[str, str | None]]]:
    """Rows of every kind with their expected results."""
    await invitation_env.service_env.group("spring")
    member = await invitation_env.service_env.user("team")
    await invitation_env.invite("waiting@people.test", role="team")
    source: list[tuple[object, tuple[str, str | None]]] = [
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
    return rows(*(row for row, _ in source)), [result for _, result in source]


async def test_every_row_gets_its_result_and_no_row_stops_others(invitation_env: InvitationEnv) -> None:
    row_source, expected = await mixed_rows(invitation_env)
    before = await count(invitation_env, invitations)
    preview = await foreseen(invitation_env, row_source)
    assert statuses_of(preview) == expected
    assert await count(invitation_env, invitations) == before
    job = await start(invitation_env, row_source)
    await run_worker(invitation_env)
    results = await report(invitation_env, job)
    assert statuses_of(results) == expected
    assert [row.row for row in results] == list(range(1, len(expected) + 1))
    after = await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
    assert (after.state, after.total, after.done) == (JobState.DONE, len(expected), len(expected))
    assert (after.created, after.skipped, after.refused) == (4, 4, 11)
    assert await count(invitation_env, invitations) == before + 4
    assert await count(invitation_env, job_parts) == 0
    assert [row.source for row in results if row.status == "REFUSED"] == [row_source.rows[i] for i in range(7, 18)]


async def test_created_rows_are_complete_invitations(invitation_env: InvitationEnv) -> None:
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
    (result,) = await carried_out(invitation_env, rows(row))
    assert result.invitation_id is not None
    details = await invitation_env.invitations.get(result.invitation_id, by=OPERATOR_PRINCIPAL)
    created = details.invitation
    assert (created.email, created.email_key, created.first_name, created.last_name) == (
        "Ada@People.test",
        "ada@people.test",
        "Ada",
        "Löwe",
    )
    assert (created.message, created.locale, created.lifetime) == ("Come\nin.", "de", timedelta(days=2))
    assert created.metadata == row["metadata"]
    assert [grant.target_key for grant in created.bundle.groups] == ["spring"]
    (event,) = await invitation_env.service_env.db.fetch(select(events).where(events.c.type == "invitation.created"))
    assert (event.subject_id, event.data["groups"]) == (created.id, ["spring"])
    (mail,) = await invitation_env.service_env.db.fetch(select(outbox))
    assert (mail.subject_id, mail.priority) == (created.id, MailPriority.BULK)
    await invitation_env.accept(invitation_env.token(details))


async def test_rows_may_be_lists_of_cells(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    await invitation_env.service_env.group("autumn")
    row_source = cells(
        ["inviteEmail", "role", "groups", "content", "metadata", None],
        ["  a@people.test\u00a0", "team", " spring ; autumn;", "", "", ""],
        ["b@people.test", "team", "", "", '{"n": 1}', "ignored"],
        ["c@people.test", "team", "", "articles", "", ""],
        ["d@people.test", "team", "", "", "{", ""],
        ["e@people.test", "team", "", "", "", "", "more"],
        ["f@people.test"],
        ["'+g@people.test", "team"],
    )
    results = await carried_out(invitation_env, row_source)
    assert statuses_of(results) == [
        ("CREATE", None),
        ("CREATE", None),
        ("REFUSED", "invalid-content"),
        ("REFUSED", "invalid-json"),
        ("REFUSED", "too-many-cells"),
        ("REFUSED", "grant-required"),
        ("CREATE", None),
    ]
    first = await invitation_env.invitations.get(results[0].invitation_id, by=OPERATOR_PRINCIPAL)  # type: ignore[arg-type]
    assert [grant.target_key for grant in first.invitation.bundle.groups] == ["autumn", "spring"]
    assert results[2].source == ["c@people.test", "team", "", "articles", "", ""]
    assert results[6].email == "+g@people.test"


async def test_the_ceiling_applies_to_rows(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("open")
    await invitation_env.service_env.group("closed")
    by = invitation_env.service_env.users.principal_of(await invitation_env.service_env.user("lead"))
    by_key = replace(by, permissions=by.permissions | {"invitations:write"})
    source = rows(
        {"inviteEmail": "a@people.test", "role": "customer"},
        {"inviteEmail": "b@people.test", "role": "admin"},
        {"inviteEmail": "c@people.test", "groups": ["open"]},
        {"inviteEmail": "d@people.test", "groups": ["closed"]},
        {"inviteEmail": "e@people.test", "groups": ["unknown"]},
    )
    refused = ("REFUSED", "grant-not-allowed")
    assert statuses_of(await foreseen(invitation_env, source, by_key)) == [
        ("CREATE", None),
        refused,
        ("CREATE", None),
        refused,
        refused,
    ]


async def test_bulk_invitations_require_the_permission_and_a_delivery_channel(
    service_env: ServiceEnv, invitation_env: InvitationEnv
) -> None:
    for by, error in ((new_principal("invitations:read"), NotAllowed),):
        with pytest.raises(error):
            await start(invitation_env, people(1), by)
        with pytest.raises(error):
            await foreseen(invitation_env, people(1), by)
    off = build_invitation_env(service_env, mail=MailRules(transport="off"))
    with pytest.raises(MailDisabled):
        await start(off, people(1), new_principal("invitations:write", may_grant=("customer",)))


async def test_a_job_without_rows_is_refused_and_not_stored(invitation_env: InvitationEnv) -> None:
    with pytest.raises(InvalidFields):
        await start(invitation_env, rows())
    assert await run_worker(invitation_env) is None


async def test_members_and_other_invitations_are_not_revealed_without_the_read_permission(
    invitation_env: InvitationEnv,
) -> None:
    creator = await invitation_env.service_env.user("lead")
    by = replace(
        invitation_env.service_env.users.principal_of(creator),
        permissions=frozenset({"invitations:write"}),
        may_grant=frozenset("*"),
    )
    member = await invitation_env.service_env.user("team")
    await invitation_env.invite("waiting@people.test", role="team")
    source = rows({"inviteEmail": member.email, "role": "team"}, {"inviteEmail": "waiting@people.test", "role": "team"})
    results = await foreseen(invitation_env, source, by)
    assert statuses_of(results) == [("CREATE", None), ("DUPLICATE", "already-invited")]
    assert results[1].invitation_id is None
    assert (await foreseen(invitation_env, source))[1].invitation_id is not None


async def test_an_expired_invitation_does_not_block_a_row(invitation_env: InvitationEnv) -> None:
    first = await invitation_env.invite("p0@people.test", role="customer")
    invitation_env.service_env.clock.forward(timedelta(days=8))
    assert statuses_of(await foreseen(invitation_env, people(2))) == [("CREATE", None)] * 2
    assert statuses_of(await carried_out(invitation_env, people(2))) == [("CREATE", None)] * 2
    assert (await invitation_env.state(first)).name == "EXPIRED"
    assert (await invitation_env.service_env.events()).count("invitation.expired") == 1


async def test_the_limit_per_recipient_applies_to_rows(service_env: ServiceEnv) -> None:
    invitation_env = build_invitation_env(service_env, recipient_rates=((2, timedelta(days=1)),))
    by = new_principal("*", may_grant=("*",))
    await invitation_env.invite("p0@people.test", role="customer")
    source = rows(*({"inviteEmail": "p0@people.test", "role": role} for role in ("team", "lead", "admin")))
    assert (
        statuses_of(await foreseen(invitation_env, source, by))
        == [("CREATE", None)] + [("REFUSED", "too-many-requests")] * 2
    )
    invitation_env.service_env.clock.forward(timedelta(days=2))
    assert statuses_of(await foreseen(invitation_env, source, by))[:2] == [("CREATE", None)] * 2


async def test_duplicates_are_found_across_batches(invitation_env: InvitationEnv) -> None:
    source = people(BATCH_ROWS + 5)
    twice = RowsInMemory([*source.rows, *source.rows[:3]], {})
    for results in (await foreseen(invitation_env, twice), await carried_out(invitation_env, twice)):
        assert statuses_of(results[-3:]) == [("DUPLICATE", "duplicate-row")] * 3
        assert results[-1].detail == "Duplicate of row 3."
        assert results[-1].duplicate_of == 3
        assert all(row.status == "CREATE" for row in results[:-3])


async def test_a_job_continues_after_its_worker_died(invitation_env: InvitationEnv) -> None:
    job = await start(invitation_env, people(BATCH_ROWS * 3))
    halfway = await run_worker(invitation_env, batches=1)
    assert halfway is not None
    assert halfway.done == BATCH_ROWS
    assert await run_worker(invitation_env) is None  # the lease of the dead worker has not expired
    invitation_env.service_env.clock.forward(LEASE)
    assert (await run_worker(invitation_env)) is not None
    after = await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
    assert (after.state, after.created) == (JobState.DONE, BATCH_ROWS * 3)
    assert await count(invitation_env, invitations) == BATCH_ROWS * 3 == await count(invitation_env, outbox)


async def test_a_worker_that_lost_its_lease_stores_nothing(invitation_env: InvitationEnv) -> None:
    await start(invitation_env, people(BATCH_ROWS * 2))
    db, clock, slow, quick = (
        invitation_env.service_env.db,
        invitation_env.service_env.clock,
        new_id(START),
        new_id(START),
    )
    lost_job = await claim_job(db, slow, now=clock(), until=clock() + LEASE)
    clock.forward(LEASE)
    taken_job = await claim_job(db, quick, now=clock(), until=clock() + LEASE)
    assert lost_job is not None
    assert taken_job is not None
    job_kind = invitation_env.invitations.job_kinds["invite"]
    with pytest.raises(JobLost):
        await process_next_batch(job_kind, lost_job, slow, clock() + LEASE)
    again = await process_next_batch(job_kind, taken_job, quick, clock() + LEASE)
    with pytest.raises(JobLost):  # the same batch again
        await process_next_batch(job_kind, taken_job, quick, clock() + LEASE)
    assert again.done == BATCH_ROWS == await count(invitation_env, invitations)


async def test_jobs_with_the_same_rows_at_once_invite_each_address_once(invitation_env: InvitationEnv) -> None:
    jobs = [
        await start(invitation_env, people(120)),
        await start(invitation_env, people(120, first=20)),
        await start(invitation_env, people(120)),
    ]
    for _ in range(20):  # a worker leaves a batch with too many conflicts for the next run
        await asyncio.gather(*(run_worker(invitation_env) for _ in jobs), return_exceptions=True)
        invitation_env.service_env.clock.forward(LEASE)
        finished = [await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL) for job in jobs]
        if all(job.state is JobState.DONE for job in finished):
            break
    assert (
        sum(job.created for job in finished)
        == 140
        == await count(invitation_env, invitations)
        == await count(invitation_env, outbox)
    )
    assert [job.done for job in finished] == [120, 120, 120]
    assert (await invitation_env.service_env.events()).count("invitation.created") == 140


async def test_a_cancelled_job_keeps_created_invitations(invitation_env: InvitationEnv) -> None:
    job = await start(invitation_env, people(BATCH_ROWS * 2))
    await run_worker(invitation_env, batches=1)
    await invitation_env.invitations.bulk.cancel(job.id, by=OPERATOR_PRINCIPAL)
    invitation_env.service_env.clock.forward(LEASE)
    assert await run_worker(invitation_env) is None
    after = await invitation_env.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
    assert (after.state, after.created, after.total) == (JobState.CANCELLED, BATCH_ROWS, BATCH_ROWS * 2)
    with pytest.raises(JobFinished):
        await invitation_env.invitations.bulk.cancel(job.id, by=OPERATOR_PRINCIPAL)
    assert await count(invitation_env, job_parts) == 0


async def test_a_job_fails_when_its_creator_may_no_longer_invite(invitation_env: InvitationEnv) -> None:
    service_env = invitation_env.service_env
    key = await service_env.users.api_keys.create(
        name="k", scopes=["invitations:write"], may_grant=["customer"], by=OPERATOR_PRINCIPAL
    )
    job = await start(invitation_env, people(BATCH_ROWS + 1), key.key.principal)
    await run_worker(invitation_env, batches=1)
    await service_env.users.api_keys.revoke(key.key.id, by=OPERATOR_PRINCIPAL)
    service_env.clock.forward(LEASE)
    await run_worker(invitation_env)
    after = await find_job(service_env.db, job.id)
    assert after is not None
    assert (after.state, after.cause, after.created) == (JobState.FAILED, "inviter-not-allowed", BATCH_ROWS)


async def test_a_lost_permission_applies_to_the_remaining_rows(invitation_env: InvitationEnv) -> None:
    service_env = invitation_env.service_env
    user = await service_env.user("admin")
    job = await start(invitation_env, people(BATCH_ROWS + 1), service_env.users.principal_of(user))
    await run_worker(invitation_env, batches=1)
    await service_env.users.change(user.id, _role("customer"), by=OPERATOR_PRINCIPAL)
    service_env.clock.forward(LEASE)
    await run_worker(invitation_env)
    after = await find_job(service_env.db, job.id)
    assert after is not None
    assert (after.state, after.cause, after.created) == (JobState.FAILED, "not-allowed", BATCH_ROWS)


def _role(key: str) -> Any:
    from latchstring.users.accounts import UserChanges  # noqa: PLC0415

    return UserChanges(role=key)


async def test_a_job_is_visible_to_its_creator_and_to_readers(invitation_env: InvitationEnv) -> None:
    mine, other = (new_principal("invitations:write", may_grant=("*",)) for _ in range(2))
    job = await start(invitation_env, people(1), mine)
    bulk = invitation_env.invitations.bulk
    assert (await bulk.get(job.id, by=mine)).id == job.id
    assert (await bulk.get(job.id, by=new_principal("invitations:read"))).id == job.id
    with pytest.raises(JobNotFound):
        await bulk.get(job.id, by=other)
    with pytest.raises(JobNotFound):
        await bulk.cancel(job.id, by=other)
    with pytest.raises(NotAllowed):
        await bulk.cancel(job.id, by=new_principal("invitations:read"))
    assert [len(await bulk.list_jobs(by=principal, limit=10)) for principal in (mine, other, OPERATOR_PRINCIPAL)] == [
        1,
        0,
        1,
    ]


async def test_a_draft_is_processed_only_after_it_was_confirmed(invitation_env: InvitationEnv) -> None:
    bulk = invitation_env.invitations.bulk
    draft = await bulk.create_draft(people(3), by=OPERATOR_PRINCIPAL, name="spring.csv")
    assert await run_worker(invitation_env) is None
    with pytest.raises(JobNotFound):
        await bulk.get(draft.id, by=OPERATOR_PRINCIPAL)
    assert [len(batch) async for batch in bulk.rows_of_draft(draft)] == [3]
    await bulk.confirm(draft.id, by=OPERATOR_PRINCIPAL)
    done = await run_worker(invitation_env)
    assert done is not None
    assert done.created == 3
    assert await bulk.list_jobs(by=OPERATOR_PRINCIPAL, limit=5)


async def test_drafts_and_reports_past_retention_are_deleted(invitation_env: InvitationEnv) -> None:
    bulk = invitation_env.invitations.bulk
    job = await start(invitation_env, people(3))
    await run_worker(invitation_env)
    draft = await bulk.create_draft(people(3), by=OPERATOR_PRINCIPAL)
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


async def test_erasing_a_user_erases_their_rows_in_reports(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user("team")
    job = await start(
        invitation_env, rows({"inviteEmail": user.email, "role": "king"}, {"inviteEmail": user.email, "role": "lead"})
    )
    await run_worker(invitation_env)
    await invitation_env.service_env.users.erase(user.id, by=OPERATOR_PRINCIPAL)
    results = await report(invitation_env, job)
    assert [(row.email, row.email_key, row.source) for row in results] == [(None, None, None)] * 2


async def test_after_an_error_of_the_source_nothing_is_stored(invitation_env: InvitationEnv) -> None:
    class Broken(RowsInMemory):
        async def __aiter__(self) -> Any:
            yield list(self.rows) * BATCH_ROWS
            raise LatchstringError

    with pytest.raises(LatchstringError):
        await start(invitation_env, Broken([{"inviteEmail": "a@people.test"}], {}))
    assert await count(invitation_env, job_parts) == 0
    assert await run_worker(invitation_env) is None


async def test_the_job_worker_processes_every_batch(
    invitation_env: InvitationEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real worker with the real kind of job: PostgreSQL prepares a batch while the one before is stored."""
    monkeypatch.setattr(jobs, "BATCH_ROWS", 2)
    job = await start(invitation_env, people(5))
    db, clock, wake_event, stop = invitation_env.service_env.db, system_clock, WakeEvent(), asyncio.Event()
    kinds = invitation_env.invitations.job_kinds
    worker = JobWorker(JobDependencies(db=db, clock=clock, kinds=kinds, wake_event=wake_event.jobs))
    running = asyncio.create_task(worker.run(stop))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (after := await find_job(db, job.id)) is None or not after.state.is_finished:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0)
    stop.set()
    wake_event.notify()
    await running
    assert (after.state, after.cause, after.created) == (JobState.DONE, None, 5)
