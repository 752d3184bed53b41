"""Promise 1 and 4: nobody comes in who was not invited, and everybody comes in exactly once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.invitation_env import PROFILE, Door, build_door
from tests.support.service_env import START, World

from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.crypto.link_tokens import LinkTokens, Purpose
from latchstring.domain.errors import (
    AccountBlocked,
    FieldProblem,
    InvalidFields,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationRevoked,
    InvitationSuperseded,
    InvitationTokenInvalid,
    InviterNotAllowed,
    LatchstringError,
    SignInRequired,
    TermsRequired,
    WrongAccount,
)
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, State
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.invitations.commands import AppPerson, Profile
from latchstring.users.accounts import UserChanges

ROUNDS = 12


@pytest.fixture
def door(world: World) -> Door:
    return build_door(world)


async def refusal(waiting: object) -> str:
    """The code of the refusal, or nothing."""
    try:
        await waiting  # type: ignore[misc]
    except LatchstringError as error:
        return error.code
    return ""


# ---- who may come in -------------------------------------------------------------------------------------------------


async def test_a_new_person_gets_account_role_groups_and_session(door: Door) -> None:
    await door.world.group("spring")
    made = await door.invite(role="team", groups=("spring",))
    accepted = await door.accept(door.token(made))
    assert accepted.is_new
    assert accepted.tokens is not None
    assert (accepted.user.role, accepted.user.groups, accepted.user.email_verified) == ("team", ("spring",), True)
    principal, _ = await door.world.users.principal_of_access_token(accepted.tokens.access_token)
    assert principal.id == accepted.user.id
    assert await door.state(made) is State.ACCEPTED
    assert (await door.now(made)).accepted_by == accepted.user.id


async def test_everything_that_is_missing_is_told_at_once(door: Door) -> None:
    token = door.token(await door.invite())
    with pytest.raises(InvalidFields) as caught:
        await door.accept(token, Profile())
    assert [error.pointer for error in caught.value.errors] == ["/firstName", "/lastName", "/password", "/acceptTerms"]
    with pytest.raises(TermsRequired):
        await door.accept(token, replace(PROFILE, accepts_terms=False))


async def test_names_of_the_invitation_need_not_be_typed_again(door: Door) -> None:
    made = await door.invite(role="customer", first_name="Jo", last_name="Keller")
    accepted = await door.accept(door.token(made), replace(PROFILE, first_name=None, last_name=None))
    assert accepted.user.name == "Jo Keller"


async def test_a_mailed_link_admits_an_existing_account_without_a_session(door: Door) -> None:
    user = await door.world.user("customer")
    made = await door.invite(user.email, role="team")
    accepted = await door.accept(door.token(made), Profile(first_name="Mallory"))
    assert accepted.tokens is None
    assert not accepted.is_new
    assert (accepted.user.role, accepted.user.first_name) == ("team", "Ann")


async def test_a_held_role_is_never_lowered_and_the_answer_says_so(door: Door) -> None:
    user = await door.world.user("admin")
    accepted = await door.accept(door.token(await door.invite(user.email, role="customer")))
    assert accepted.user.role == "admin"
    assert accepted.applied.kept_role == "admin"


async def test_somebody_else_cannot_use_the_link(door: Door) -> None:
    made, stranger = await door.invite(), await door.world.user()
    with pytest.raises(WrongAccount):
        await door.accept(door.token(made), caller=stranger)
    assert await door.state(made) is State.PENDING


async def test_a_blocked_account_stays_outside(door: Door) -> None:
    user = await door.world.user(blocked=True)
    with pytest.raises(AccountBlocked):
        await door.accept(door.token(await door.invite(user.email, role="team")))


async def test_a_revealed_link_needs_the_accounts_own_session(door: Door) -> None:
    user = await door.world.user()
    token = door.token(await door.invite(user.email, role="team"), Channel.REVEALED)
    with pytest.raises(SignInRequired):
        await door.accept(token)
    assert (await door.accept(token, caller=user)).user.role == "team"


async def test_an_account_made_through_a_revealed_link_has_to_prove_its_mailbox(door: Door) -> None:
    accepted = await door.accept(door.token(await door.invite(), Channel.REVEALED))
    assert not accepted.user.email_verified
    kinds = [mail.kind for mail in await door.world.mails() if mail.subject_id == accepted.user.id]
    assert kinds == [MailKind.EMAIL_VERIFICATION]


async def test_who_lies_in_wait_under_an_unproved_address_is_thrown_out(door: Door) -> None:
    waiting = await door.accept(door.token(await door.invite(), Channel.REVEALED))
    assert waiting.tokens is not None
    token = door.token(await door.invite(role="team"))
    with pytest.raises(InvalidFields):
        await door.accept(token, Profile(), caller=waiting.user)
    real = await door.accept(token, replace(PROFILE, first_name="Real", password="another long sentence"))
    assert (real.user.id, real.user.first_name, real.user.email_verified) == (waiting.user.id, "Real", True)
    assert real.tokens is not None
    assert await refusal(door.world.users.principal_of_access_token(waiting.tokens.access_token)) != ""
    assert await refusal(door.world.users.login("ada@people.test", PROFILE.password or "")) == "invalid-credentials"
    await door.world.users.login("ada@people.test", "another long sentence")


# ---- the app accepts for its own person ------------------------------------------------------------------------------

ADA = AppPerson(external_id="app-1", email_key="ada@people.test", email_verified=True, first_name="Ada")


async def test_the_app_makes_and_finds_its_person_by_external_id(door: Door) -> None:
    first = await door.invitations.accepting.accept_as(door.token(await door.invite()), ADA)
    assert (first.is_new, first.tokens, first.user.password_hash, first.user.external_id) == (True, None, None, "app-1")
    second = await door.invitations.accepting.accept_as(door.token(await door.invite(role="team")), ADA)
    assert (second.is_new, second.user.id, second.user.role) == (False, first.user.id, "team")


@pytest.mark.parametrize("person", [replace(ADA, email_key="b@people.test"), replace(ADA, email_verified=False)])
async def test_the_app_must_vouch_for_the_invited_address(door: Door, person: AppPerson) -> None:
    with pytest.raises(WrongAccount):
        await door.invitations.accepting.accept_as(door.token(await door.invite()), person)


async def test_an_account_of_another_person_of_the_app_is_not_taken(door: Door) -> None:
    await door.world.user(email="ada@people.test", external_id="somebody-else")
    with pytest.raises(WrongAccount):
        await door.invitations.accepting.accept_as(door.token(await door.invite(role="team")), ADA)


# ---- links that are over ---------------------------------------------------------------------------------------------


async def test_a_used_link_never_readmits_somebody_who_was_removed(door: Door) -> None:
    made = await door.invite()
    accepted = await door.accept(door.token(made))
    await door.world.users.erase_user(OPERATOR_PRINCIPAL, accepted.user.id)
    with pytest.raises(InvitationAccepted):
        await door.accept(door.token(made))


async def test_each_end_has_its_own_refusal(door: Door) -> None:
    declined, revoked, superseded = [await door.invite(f"{n}@people.test") for n in "abc"]
    expired = await door.invite("d@people.test", role="customer", expires_in=timedelta(hours=1))
    await door.invitations.answering.decline(door.token(declined))
    await door.invitations.issuing.revoke(revoked.invitation.id, by=OPERATOR_PRINCIPAL)
    await door.invitations.issuing.resend(superseded.invitation.id, by=OPERATOR_PRINCIPAL)
    door.world.clock.forward(timedelta(hours=1))
    expected = {
        door.token(declined): InvitationDeclined,
        door.token(revoked): InvitationRevoked,
        door.token(superseded): InvitationSuperseded,
        door.token(expired): InvitationExpired,
    }
    for token, error in expected.items():
        with pytest.raises(error):
            await door.accept(token)
        with pytest.raises(error):
            await door.invitations.answering.look_up(token)


async def test_links_of_other_installations_and_made_up_ones_are_alike(door: Door) -> None:
    made = await door.invite()
    tokens, elsewhere = door.world.tokens, LinkTokens(door.world.keyring, new_id(START))
    forger = LinkTokens(Keyring((new_master_key(),)), new_id(START))
    good = tokens.verify(Purpose.INVITATION, door.token(made))
    made_up = [
        elsewhere.sign(Purpose.INVITATION, good),
        forger.sign(Purpose.INVITATION, good),
        tokens.sign(Purpose.PASSWORD_RESET, good),
        tokens.sign(Purpose.INVITATION, replace(good, subject_id=new_id(START))),
        door.token(made)[:-2] + "xx",
        "ey.no.no",
        "",
    ]
    said = set()
    for token in made_up:
        for use in (door.accept, door.invitations.answering.look_up, door.invitations.answering.decline):
            with pytest.raises(InvitationTokenInvalid) as caught:
                await use(token)  # type: ignore[operator]
            said.add(caught.value.detail)
    assert len(said) == 1


# ---- the ceiling at acceptance ---------------------------------------------------------------------------------------


async def test_a_link_holds_only_while_its_sponsor_may_still_send_it(door: Door) -> None:
    sponsor = await door.world.user("lead")
    by = replace(door.world.users.principal_of(sponsor), permissions=frozenset({"*"}))
    made = await door.invite(by=by, role="team")
    await door.world.users.change_user(OPERATOR_PRINCIPAL, sponsor.id, UserChanges(role="customer"))
    with pytest.raises(InviterNotAllowed):
        await door.accept(door.token(made))
    assert await door.state(made) is State.PENDING
    await door.world.users.change_user(OPERATOR_PRINCIPAL, sponsor.id, UserChanges(role="lead"))
    await door.accept(door.token(made))


@pytest.mark.parametrize("end", ["blocked", "erased"])
async def test_a_blocked_or_erased_sponsor_ends_his_links(door: Door, end: str) -> None:
    sponsor = await door.world.user("lead")
    by = replace(door.world.users.principal_of(sponsor), permissions=frozenset({"*"}))
    made = await door.invite(by=by, role="team")
    if end == "blocked":
        await door.world.users.change_user(OPERATOR_PRINCIPAL, sponsor.id, UserChanges(blocked=True))
    else:
        await door.world.users.erase_user(OPERATOR_PRINCIPAL, sponsor.id)
    with pytest.raises(InviterNotAllowed):
        await door.accept(door.token(made))


async def test_who_resends_becomes_the_sponsor(door: Door) -> None:
    sponsor = await door.world.user("lead")
    by = replace(door.world.users.principal_of(sponsor), permissions=frozenset({"*"}))
    made = await door.invite(by=by, role="team")
    await door.world.users.change_user(OPERATOR_PRINCIPAL, sponsor.id, UserChanges(blocked=True))
    again = await door.invitations.issuing.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)
    await door.accept(door.token(again))


# ---- at once ---------------------------------------------------------------------------------------------------------


async def test_fifty_accepts_at_once_let_one_in(door: Door) -> None:
    await door.world.group("spring")
    token = door.token(await door.invite(role="team", groups=("spring",)))
    codes = await asyncio.gather(*(refusal(door.accept(token)) for _ in range(50)))
    assert sorted(codes) == [""] + ["invitation-accepted"] * 49
    events = await door.world.events()
    assert [events.count(name) for name in ("invitation.accepted", "user.created", "group.member_added")] == [1, 1, 1]


async def test_accept_and_revoke_at_once_agree_with_the_final_state(door: Door) -> None:
    for number in range(ROUNDS):
        made = await door.invite(f"r{number}@people.test")
        accepted, revoked = await asyncio.gather(
            refusal(door.accept(door.token(made))),
            refusal(door.invitations.issuing.revoke(made.invitation.id, by=OPERATOR_PRINCIPAL)),
        )
        state = await door.state(made)
        assert (accepted, revoked, state) in {
            ("", "invitation-not-pending", State.ACCEPTED),
            ("invitation-revoked", "", State.REVOKED),
        }


async def test_accept_and_decline_at_once_agree_with_the_final_state(door: Door) -> None:
    for number in range(ROUNDS):
        made = await door.invite(f"d{number}@people.test")
        token = door.token(made)
        answers = await asyncio.gather(refusal(door.accept(token)), refusal(door.invitations.answering.decline(token)))
        state = await door.state(made)
        assert (*answers, state) in {
            ("", "invitation-accepted", State.ACCEPTED),
            ("invitation-declined", "", State.DECLINED),
        }


async def test_accept_and_the_end_of_the_group_at_once_leave_no_half(door: Door) -> None:
    for number in range(ROUNDS):
        key = f"g{number}"
        await door.world.group(key)
        made = await door.invite(f"g{number}@people.test", groups=(key,))
        accepted, deleted = await asyncio.gather(
            refusal(door.accept(door.token(made))),
            refusal(door.world.groups.delete_group(OPERATOR_PRINCIPAL, key)),
        )
        state = await door.state(made)
        assert deleted == ""
        assert (accepted, state) in {("", State.ACCEPTED), ("invitation-revoked", State.REVOKED)}


async def test_two_invitations_to_one_person_at_once_make_one_account(door: Door) -> None:
    for number in range(ROUNDS):
        email = f"t{number}@people.test"
        tokens = [door.token(await door.invite(email, role=role)) for role in ("team", "customer")]
        codes = await asyncio.gather(*(refusal(door.accept(token)) for token in tokens))
        assert codes == ["", ""]
    assert (await door.world.events()).count("user.created") == ROUNDS


async def test_accept_and_resend_at_once_agree(door: Door) -> None:
    for number in range(ROUNDS):
        made = await door.invite(f"s{number}@people.test")
        accepted, resent = await asyncio.gather(
            refusal(door.accept(door.token(made))),
            refusal(door.invitations.issuing.resend(made.invitation.id, by=OPERATOR_PRINCIPAL)),
        )
        state = await door.state(made)
        assert (accepted, resent, state) in {
            ("", "invitation-not-pending", State.ACCEPTED),
            ("invitation-superseded", "", State.PENDING),
        }


async def test_what_cannot_be_read_and_what_is_missing_are_told_together(door: Door) -> None:
    bad = FieldProblem("/firstName", "too-long", "Use at most 100 characters.")
    token = door.token(await door.invite())
    with pytest.raises(InvalidFields) as caught:
        await door.invitations.accepting.accept(token, Profile(password="short"), problems=[bad])
    told = [(error.pointer, error.code) for error in caught.value.errors]
    assert told[0] == ("/firstName", "too-long")
    assert [pointer for pointer, _ in told] == ["/firstName", "/lastName", "/password", "/acceptTerms"]
