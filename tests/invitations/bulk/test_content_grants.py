"""Many invitations to objects: the sender maintains them at the moment of writing, not only when rows were judged."""

import pytest
from tests.invitations.bulk.test_jobs import LEASE, report, rows
from tests.invitations.test_content_grants import build_shelf
from tests.support.service_env import ROLES, START, World, role

from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.storage.jobs.jobs import claim_job


async def test_who_loses_an_object_between_judging_and_writing_invites_nobody_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES, "sender", role("sender", "invitations:write"))
    shelf = await build_shelf(world)
    helper = await world.user("sender")
    await shelf.share((helper, ContentRole.MAINTAINER))
    to_tide = {"content": [{"contentType": "articles", "key": "tide", "role": "EDITOR"}]}
    given = rows(*({"inviteEmail": f"p{number}@people.test", **to_tide} for number in range(3)))
    started = await shelf.door.invitations.bulk.start(given, by=shelf.as_(helper))
    owner, clock = new_id(START), world.clock
    job = await claim_job(world.db, owner, now=clock(), until=clock() + LEASE)
    assert job is not None
    inviting = shelf.door.invitations.job_kinds[job.kind]
    batch = await inviting.prepare(job, 1)
    await shelf.share((helper, ContentRole.EDITOR))
    after = await inviting.settle(job, owner, clock() + LEASE, batch)
    assert (after.done, after.created, after.refused) == (3, 0, 3)
    assert {row.code for row in await report(shelf.door, started)} == {"grant-not-allowed"}
