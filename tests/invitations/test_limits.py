"""How many invitations one inviter sends and one address gets, whichever face asks."""

from typing import Any

import pytest
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.rows_in_memory import RowsInMemory
from tests.support.service_env import ServiceEnv

from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, InvalidFields, TooManyRequests
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import Limits


def limited(service_env: ServiceEnv, **limits: Any) -> InvitationEnv:
    return build_invitation_env(service_env, limits=Limits(**limits))


@pytest.fixture
async def admin(service_env: ServiceEnv) -> Principal:
    return await service_env.principal("admin")


async def test_an_inviter_sends_so_many_and_no_more(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = limited(service_env, per_inviter="2/hour")
    await invitation_env.invite("ada@people.test", by=admin)
    await invitation_env.invite("bob@people.test", by=admin)
    with pytest.raises(TooManyRequests):
        await invitation_env.invite("cem@people.test", by=admin)


async def test_an_address_gets_so_many_whoever_invites(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = limited(service_env, per_recipient="1/day")
    await invitation_env.invite("ada@people.test", by=admin, role="team")
    other = await service_env.principal("admin")
    with pytest.raises(TooManyRequests):
        await invitation_env.invite("ada@people.test", by=other, role="customer")


async def test_sending_again_counts_for_the_inviter_and_the_address(service_env: ServiceEnv, admin: Principal) -> None:
    for limits in ({"per_inviter": "2/hour"}, {"per_recipient": "2/day"}):
        invitation_env = limited(service_env, **limits)
        made = await invitation_env.invite(f"{len(limits)}{next(service_env.numbers)}@people.test", by=admin)
        await invitation_env.invitations.resend(made.invitation.id, by=admin)
        with pytest.raises(TooManyRequests):
            await invitation_env.invitations.resend(made.invitation.id, by=admin)
        assert (await invitation_env.reload(made)).link.generation == 2


async def test_the_operator_is_not_bounded(service_env: ServiceEnv) -> None:
    invitation_env = limited(service_env, per_inviter="1/hour", per_recipient="1/day")
    made = await invitation_env.invite("ada@people.test")
    await invitation_env.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    await invitation_env.invite("ada@people.test", role="team")


async def test_fields_that_cannot_be_read_count_for_nobody(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = limited(service_env, per_inviter="1/hour")
    unreadable = (FieldProblem("/inviteEmail", "invalid-email", "No address."),)
    for _ in range(3):
        with pytest.raises(InvalidFields):
            await invitation_env.invitations.create(
                Draft(email="", email_key="", role="team"), by=admin, problems=unreadable
            )
    await invitation_env.invite("ada@people.test", by=admin)


async def test_an_upload_counts_once_and_looking_at_one_does_not(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = limited(service_env, per_inviter="1/hour")
    rows = RowsInMemory([{"inviteEmail": f"p{n}@people.test", "role": "team"} for n in range(3)], {})
    for _ in range(2):
        assert [
            row.status async for batch in invitation_env.invitations.bulk.judge_rows(rows, by=admin) for row in batch
        ]
    await invitation_env.invitations.bulk.start(rows, by=admin)
    with pytest.raises(TooManyRequests):
        await invitation_env.invitations.bulk.start(rows, by=admin)
