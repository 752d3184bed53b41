"""Bulk invitations to objects: the sender must maintain them when rows are stored, not only at validation."""

import pytest
from tests.invitations.bulk.test_jobs import LEASE, report, rows
from tests.invitations.test_content_grants import build_content_env
from tests.support.service_env import ROLES, START, ServiceEnv, role

from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.storage.jobs.jobs import claim_job


async def test_rows_are_refused_if_the_sender_loses_the_object_after_validation(
    service_env: ServiceEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES, "sender", role("sender", "invitations:write"))
    content_env = await build_content_env(service_env)
    helper = await service_env.user("sender")
    await content_env.share((helper, ContentRole.MAINTAINER))
    to_tide = {"content": [{"contentType": "articles", "key": "tide", "role": "EDITOR"}]}
    source = rows(*({"inviteEmail": f"p{number}@people.test", **to_tide} for number in range(3)))
    started_job = await content_env.invitation_env.invitations.bulk.start(source, by=content_env.as_(helper))
    owner, clock = new_id(START), service_env.clock
    job = await claim_job(service_env.db, owner, now=clock(), until=clock() + LEASE)
    assert job is not None
    job_kind = content_env.invitation_env.invitations.job_kinds[job.kind]
    batch = await job_kind.prepare(job, 1)
    await content_env.share((helper, ContentRole.EDITOR))
    after = await job_kind.process(job, owner, clock() + LEASE, batch)
    assert (after.done, after.created, after.refused) == (3, 0, 3)
    assert {row.code for row in await report(content_env.invitation_env, started_job)} == {"grant-not-allowed"}
