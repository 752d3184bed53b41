"""How many invitations one inviter sends and one address gets, whichever face asks."""

import pytest
from tests.support.invitation_env import Door, build_door
from tests.support.service_env import World

from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, InvalidFields, TooManyRequests
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import Limits
from latchstring.invitations.bulk.jobs import GivenRows


def limited(world: World, **limits: str) -> Door:
    return build_door(world, limits=Limits(**limits))


@pytest.fixture
async def admin(world: World) -> Principal:
    return await world.principal("admin")


async def test_an_inviter_sends_so_many_and_no_more(world: World, admin: Principal) -> None:
    door = limited(world, per_inviter="2/hour")
    await door.invite("ada@people.test", by=admin)
    await door.invite("bob@people.test", by=admin)
    with pytest.raises(TooManyRequests):
        await door.invite("cem@people.test", by=admin)


async def test_an_address_gets_so_many_whoever_invites(world: World, admin: Principal) -> None:
    door = limited(world, per_recipient="1/day")
    await door.invite("ada@people.test", by=admin, role="team")
    other = await world.principal("admin")
    with pytest.raises(TooManyRequests):
        await door.invite("ada@people.test", by=other, role="customer")


async def test_sending_again_counts_for_the_inviter_and_the_address(world: World, admin: Principal) -> None:
    for limits in ({"per_inviter": "2/hour"}, {"per_recipient": "2/day"}):
        door = limited(world, **limits)
        made = await door.invite(f"{len(limits)}{next(world.numbers)}@people.test", by=admin)
        await door.invitations.resend(made.invitation.id, by=admin)
        with pytest.raises(TooManyRequests):
            await door.invitations.resend(made.invitation.id, by=admin)
        assert (await door.now(made)).link.generation == 2


async def test_the_operator_is_not_bounded(world: World) -> None:
    door = limited(world, per_inviter="1/hour", per_recipient="1/day")
    made = await door.invite("ada@people.test")
    await door.invitations.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    await door.invite("ada@people.test", role="team")


async def test_fields_that_cannot_be_read_count_for_nobody(world: World, admin: Principal) -> None:
    door = limited(world, per_inviter="1/hour")
    unreadable = (FieldProblem("/inviteEmail", "invalid-email", "No address."),)
    for _ in range(3):
        with pytest.raises(InvalidFields):
            await door.invitations.create(Draft(email="", email_key="", role="team"), by=admin, problems=unreadable)
    await door.invite("ada@people.test", by=admin)


async def test_an_upload_counts_once_and_looking_at_one_does_not(world: World, admin: Principal) -> None:
    door = limited(world, per_inviter="1/hour")
    rows = GivenRows([{"inviteEmail": f"p{n}@people.test", "role": "team"} for n in range(3)], {})
    for _ in range(2):
        assert [row.status async for batch in door.invitations.bulk.judge_rows(rows, by=admin) for row in batch]
    await door.invitations.bulk.start(rows, by=admin)
    with pytest.raises(TooManyRequests):
        await door.invitations.bulk.start(rows, by=admin)
