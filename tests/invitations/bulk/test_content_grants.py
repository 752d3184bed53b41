"""Many invitations to objects: the sender maintains them at the moment of writing, not only when rows were judged."""

import pytest
from tests.invitations.bulk.test_jobs import LEASE, report, rows
from tests.invitations.test_content_grants import build_content_env
from tests.support.service_env import ROLES, START, ServiceEnv, role

from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.storage.jobs.jobs import claim_job


async def test_who_loses_an_object_between_judging_and_writing_invites_nobody_to_it(
    service_env: ServiceEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES, "sender", role("sender", "invitations:write"))
    content_env = await build_content_env(service_env)
    helper = await service_env.user("sender")
    await content_env.share((helper, ContentRole.MAINTAINER))
    to_tide = {"content": [{"contentType": "articles", "key": "tide", "role": "EDITOR"}]}
    given = rows(*({"inviteEmail": f"p{number}@people.test", **to_tide} for number in range(3)))
    started = await content_env.invitation_env.invitations.bulk.start(given, by=content_env.as_(helper))
    owner, clock = new_id(START), service_env.clock
    job = await claim_job(service_env.db, owner, now=clock(), until=clock() + LEASE)
    assert job is not None
    inviting = content_env.invitation_env.invitations.job_kinds[job.kind]
    batch = await inviting.prepare(job, 1)
    await content_env.share((helper, ContentRole.EDITOR))
    after = await inviting.settle(job, owner, clock() + LEASE, batch)
    assert (after.done, after.created, after.refused) == (3, 0, 3)
    assert {row.code for row in await report(content_env.invitation_env, started)} == {"grant-not-allowed"}
