"""Rate limits of invitations per inviter and per recipient."""

from typing import Any

import pytest
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.rows_in_memory import RowsInMemory
from tests.support.service_env import ServiceEnv

from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, InvalidFields, TooManyRequests
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import Limits


def build_limited(service_env: ServiceEnv, **limits: Any) -> InvitationEnv:
    return build_invitation_env(service_env, limits=Limits(**limits))


@pytest.fixture
async def admin(service_env: ServiceEnv) -> Principal:
    return await service_env.principal("admin")


async def test_the_limit_per_inviter(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = build_limited(service_env, per_inviter="2/hour")
    await invitation_env.invite("ada@people.test", by=admin)
    await invitation_env.invite("bob@people.test", by=admin)
    with pytest.raises(TooManyRequests):
        await invitation_env.invite("cem@people.test", by=admin)


async def test_the_limit_per_recipient_counts_all_inviters(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = build_limited(service_env, per_recipient="1/day")
    await invitation_env.invite("ada@people.test", by=admin, role="team")
    other = await service_env.principal("admin")
    with pytest.raises(TooManyRequests):
        await invitation_env.invite("ada@people.test", by=other, role="customer")


async def test_resending_counts_for_inviter_and_recipient(service_env: ServiceEnv, admin: Principal) -> None:
    for limits in ({"per_inviter": "2/hour"}, {"per_recipient": "2/day"}):
        invitation_env = build_limited(service_env, **limits)
        details = await invitation_env.invite(f"{len(limits)}{next(service_env.numbers)}@people.test", by=admin)
        await invitation_env.invitations.resend(details.invitation.id, by=admin)
        with pytest.raises(TooManyRequests):
            await invitation_env.invitations.resend(details.invitation.id, by=admin)
        assert (await invitation_env.reload(details)).link.generation == 2


async def test_the_operator_has_no_limit(service_env: ServiceEnv) -> None:
    invitation_env = build_limited(service_env, per_inviter="1/hour", per_recipient="1/day")
    details = await invitation_env.invite("ada@people.test")
    await invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)
    await invitation_env.invite("ada@people.test", role="team")


async def test_invalid_fields_do_not_count(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = build_limited(service_env, per_inviter="1/hour")
    unreadable = (FieldProblem("/inviteEmail", "invalid-email", "Not an address."),)
    for _ in range(3):
        with pytest.raises(InvalidFields):
            await invitation_env.invitations.create(
                Draft(email="", email_key="", role="team"), by=admin, problems=unreadable
            )
    await invitation_env.invite("ada@people.test", by=admin)


async def test_an_upload_counts_once_and_a_preview_does_not(service_env: ServiceEnv, admin: Principal) -> None:
    invitation_env = build_limited(service_env, per_inviter="1/hour")
    rows = RowsInMemory([{"inviteEmail": f"p{n}@people.test", "role": "team"} for n in range(3)], {})
    for _ in range(2):
        assert [
            row.status async for batch in invitation_env.invitations.bulk.preview_rows(rows, by=admin) for row in batch
        ]
    await invitation_env.invitations.bulk.start(rows, by=admin)
    with pytest.raises(TooManyRequests):
        await invitation_env.invitations.bulk.start(rows, by=admin)
