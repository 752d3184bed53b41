"""Acceptance: only invited people get access, and each invitation is accepted at most once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.invitation_env import PROFILE, InvitationEnv, build_invitation_env
from tests.support.service_env import NETWORK, START, ServiceEnv

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
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env)


async def refusal(call: object) -> str:
    """The error code of a refused call, or an empty string."""
    try:
        await call  # type: ignore[misc]
    except LatchstringError as error:
        return error.code
    return ""


# ---- who may accept --------------------------------------------------------------------------------------------------


async def test_a_new_user_gets_account_role_groups_and_session(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    details = await invitation_env.invite(role="team", groups=("spring",))
    accepted = await invitation_env.accept(invitation_env.token(details))
    assert accepted.is_new
    assert accepted.tokens is not None
    assert (accepted.user.role, accepted.user.groups, accepted.user.email_verified) == ("team", ("spring",), True)
    principal, _ = await invitation_env.service_env.users.sessions.principal_of_access_token(
        accepted.tokens.access_token
    )
    assert principal.id == accepted.user.id
    assert await invitation_env.state(details) is State.ACCEPTED
    assert (await invitation_env.reload(details)).accepted_by == accepted.user.id


async def test_all_missing_fields_are_reported_at_once(invitation_env: InvitationEnv) -> None:
    token = invitation_env.token(await invitation_env.invite())
    with pytest.raises(InvalidFields) as caught:
        await invitation_env.accept(token, Profile())
    assert [error.pointer for error in caught.value.errors] == ["/firstName", "/lastName", "/password", "/acceptTerms"]
    with pytest.raises(TermsRequired):
        await invitation_env.accept(token, replace(PROFILE, accepts_terms=False))


async def test_names_of_the_invitation_are_the_default(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite(role="customer", first_name="Jo", last_name="Keller")
    accepted = await invitation_env.accept(
        invitation_env.token(details), replace(PROFILE, first_name=None, last_name=None)
    )
    assert accepted.user.name == "Jo Keller"


async def test_a_mailed_link_accepts_for_an_existing_account_without_a_session(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user("customer")
    details = await invitation_env.invite(user.email, role="team")
    accepted = await invitation_env.accept(invitation_env.token(details), Profile(first_name="Mallory"))
    assert accepted.tokens is None
    assert not accepted.is_new
    assert (accepted.user.role, accepted.user.first_name) == ("team", "Ann")


async def test_a_higher_role_is_kept_and_the_result_says_so(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user("admin")
    accepted = await invitation_env.accept(
        invitation_env.token(await invitation_env.invite(user.email, role="customer"))
    )
    assert accepted.user.role == "admin"
    assert accepted.applied.kept_role == "admin"


async def test_another_user_cannot_use_the_link(invitation_env: InvitationEnv) -> None:
    details, other_user = await invitation_env.invite(), await invitation_env.service_env.user()
    with pytest.raises(WrongAccount):
        await invitation_env.accept(invitation_env.token(details), by=other_user)
    assert await invitation_env.state(details) is State.PENDING


async def test_a_blocked_account_cannot_accept(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user(blocked=True)
    with pytest.raises(AccountBlocked):
        await invitation_env.accept(invitation_env.token(await invitation_env.invite(user.email, role="team")))


async def test_a_revealed_link_requires_a_session_of_the_account(invitation_env: InvitationEnv) -> None:
    user = await invitation_env.service_env.user()
    token = invitation_env.token(await invitation_env.invite(user.email, role="team"), Channel.REVEALED)
    with pytest.raises(SignInRequired):
        await invitation_env.accept(token)
    assert (await invitation_env.accept(token, by=user)).user.role == "team"


async def test_an_account_created_with_a_revealed_link_must_verify_its_address(invitation_env: InvitationEnv) -> None:
    accepted = await invitation_env.accept(invitation_env.token(await invitation_env.invite(), Channel.REVEALED))
    assert not accepted.user.email_verified
    kinds = [mail.kind for mail in await invitation_env.service_env.mails() if mail.subject_id == accepted.user.id]
    assert kinds == [MailKind.EMAIL_VERIFICATION]


async def test_a_mailed_link_takes_over_an_unverified_account_and_its_credentials_stop_working(
    invitation_env: InvitationEnv,
) -> None:
    unverified = await invitation_env.accept(invitation_env.token(await invitation_env.invite(), Channel.REVEALED))
    assert unverified.tokens is not None
    token = invitation_env.token(await invitation_env.invite(role="team"))
    with pytest.raises(InvalidFields):
        await invitation_env.accept(token, Profile(), by=unverified.user)
    real = await invitation_env.accept(token, replace(PROFILE, first_name="Real", password="another long sentence"))
    assert (real.user.id, real.user.first_name, real.user.email_verified) == (unverified.user.id, "Real", True)
    assert real.tokens is not None
    assert (
        await refusal(
            invitation_env.service_env.users.sessions.principal_of_access_token(unverified.tokens.access_token)
        )
        != ""
    )
    assert (
        await refusal(
            invitation_env.service_env.users.sessions.login("ada@people.test", PROFILE.password or "", network=NETWORK)
        )
        == "invalid-credentials"
    )
    await invitation_env.service_env.users.sessions.login("ada@people.test", "another long sentence", network=NETWORK)


# ---- the app accepts for its own user --------------------------------------------------------------------------------

ADA = AppPerson(external_id="app-1", email_key="ada@people.test", email_verified=True, first_name="Ada")


async def test_the_app_creates_and_finds_its_user_by_external_id(invitation_env: InvitationEnv) -> None:
    first = await invitation_env.invitations.acceptance.accept_as(
        invitation_env.token(await invitation_env.invite()), ADA
    )
    assert (first.is_new, first.tokens, first.user.password_hash, first.user.external_id) == (True, None, None, "app-1")
    second = await invitation_env.invitations.acceptance.accept_as(
        invitation_env.token(await invitation_env.invite(role="team")), ADA
    )
    assert (second.is_new, second.user.id, second.user.role) == (False, first.user.id, "team")


@pytest.mark.parametrize("person", [replace(ADA, email_key="b@people.test"), replace(ADA, email_verified=False)])
async def test_the_app_must_have_verified_the_invited_address(invitation_env: InvitationEnv, person: AppPerson) -> None:
    with pytest.raises(WrongAccount):
        await invitation_env.invitations.acceptance.accept_as(
            invitation_env.token(await invitation_env.invite()), person
        )


async def test_an_account_of_another_user_of_the_app_is_refused(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.user(email="ada@people.test", external_id="somebody-else")
    with pytest.raises(WrongAccount):
        await invitation_env.invitations.acceptance.accept_as(
            invitation_env.token(await invitation_env.invite(role="team")), ADA
        )


# ---- links that do not work ------------------------------------------------------------------------------------------


async def test_a_used_link_does_not_bring_back_an_erased_user(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    accepted = await invitation_env.accept(invitation_env.token(details))
    await invitation_env.service_env.users.erase(accepted.user.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(InvitationAccepted):
        await invitation_env.accept(invitation_env.token(details))


async def test_each_ended_state_has_its_own_error(invitation_env: InvitationEnv) -> None:
    declined, revoked, superseded = [await invitation_env.invite(f"{n}@people.test") for n in "abc"]
    expired = await invitation_env.invite("d@people.test", role="customer", expires_in=timedelta(hours=1))
    await invitation_env.invitations.responses.decline(invitation_env.token(declined))
    await invitation_env.invitations.revoke(revoked.invitation.id, by=OPERATOR_PRINCIPAL)
    await invitation_env.invitations.resend(superseded.invitation.id, by=OPERATOR_PRINCIPAL)
    invitation_env.service_env.clock.forward(timedelta(hours=1))
    expected = {
        invitation_env.token(declined): InvitationDeclined,
        invitation_env.token(revoked): InvitationRevoked,
        invitation_env.token(superseded): InvitationSuperseded,
        invitation_env.token(expired): InvitationExpired,
    }
    for token, error in expected.items():
        with pytest.raises(error):
            await invitation_env.accept(token)
        with pytest.raises(error):
            await invitation_env.invitations.responses.look_up(token)


async def test_all_invalid_links_are_refused_alike(invitation_env: InvitationEnv) -> None:
    details = await invitation_env.invite()
    tokens, other_installation = (
        invitation_env.service_env.tokens,
        LinkTokens(invitation_env.service_env.keyring, new_id(START)),
    )
    forger = LinkTokens(Keyring((new_master_key(),)), new_id(START))
    content = tokens.verify(Purpose.INVITATION, invitation_env.token(details))
    invalid_tokens = [
        other_installation.sign(Purpose.INVITATION, content),
        forger.sign(Purpose.INVITATION, content),
        tokens.sign(Purpose.PASSWORD_RESET, content),
        tokens.sign(Purpose.INVITATION, replace(content, subject_id=new_id(START))),
        invitation_env.token(details)[:-2] + "xx",
        "ey.no.no",
        "",
    ]
    messages = set()
    for token in invalid_tokens:
        for call in (
            invitation_env.accept,
            invitation_env.invitations.responses.look_up,
            invitation_env.invitations.responses.decline,
        ):
            with pytest.raises(InvitationTokenInvalid) as caught:
                await call(token)
            messages.add(caught.value.detail)
    assert len(messages) == 1


# ---- the ceiling at acceptance ---------------------------------------------------------------------------------------


async def test_a_link_works_only_while_its_sponsor_may_still_send_it(invitation_env: InvitationEnv) -> None:
    sponsor = await invitation_env.service_env.user("lead")
    by = replace(invitation_env.service_env.users.principal_of(sponsor), permissions=frozenset({"*"}))
    details = await invitation_env.invite(by=by, role="team")
    await invitation_env.service_env.users.change(sponsor.id, UserChanges(role="customer"), by=OPERATOR_PRINCIPAL)
    with pytest.raises(InviterNotAllowed):
        await invitation_env.accept(invitation_env.token(details))
    assert await invitation_env.state(details) is State.PENDING
    await invitation_env.service_env.users.change(sponsor.id, UserChanges(role="lead"), by=OPERATOR_PRINCIPAL)
    await invitation_env.accept(invitation_env.token(details))


@pytest.mark.parametrize("end", ["blocked", "erased"])
async def test_links_of_a_blocked_or_erased_sponsor_stop_working(invitation_env: InvitationEnv, end: str) -> None:
    sponsor = await invitation_env.service_env.user("lead")
    by = replace(invitation_env.service_env.users.principal_of(sponsor), permissions=frozenset({"*"}))
    details = await invitation_env.invite(by=by, role="team")
    if end == "blocked":
        await invitation_env.service_env.users.change(sponsor.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL)
    else:
        await invitation_env.service_env.users.erase(sponsor.id, by=OPERATOR_PRINCIPAL)
    with pytest.raises(InviterNotAllowed):
        await invitation_env.accept(invitation_env.token(details))


async def test_the_principal_that_resends_becomes_the_sponsor(invitation_env: InvitationEnv) -> None:
    sponsor = await invitation_env.service_env.user("lead")
    by = replace(invitation_env.service_env.users.principal_of(sponsor), permissions=frozenset({"*"}))
    details = await invitation_env.invite(by=by, role="team")
    await invitation_env.service_env.users.change(sponsor.id, UserChanges(blocked=True), by=OPERATOR_PRINCIPAL)
    again = await invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)
    await invitation_env.accept(invitation_env.token(again))


# ---- concurrency -----------------------------------------------------------------------------------------------------


async def test_of_fifty_accepts_at_once_one_succeeds(invitation_env: InvitationEnv) -> None:
    await invitation_env.service_env.group("spring")
    token = invitation_env.token(await invitation_env.invite(role="team", groups=("spring",)))
    codes = await asyncio.gather(*(refusal(invitation_env.accept(token)) for _ in range(50)))
    assert sorted(codes) == [""] + ["invitation-accepted"] * 49
    events = await invitation_env.service_env.events()
    assert [events.count(name) for name in ("invitation.accepted", "user.created", "group.member_added")] == [1, 1, 1]


async def test_accept_and_revoke_at_once_agree_with_the_final_state(invitation_env: InvitationEnv) -> None:
    for number in range(ROUNDS):
        details = await invitation_env.invite(f"r{number}@people.test")
        accepted, revoked = await asyncio.gather(
            refusal(invitation_env.accept(invitation_env.token(details))),
            refusal(invitation_env.invitations.revoke(details.invitation.id, by=OPERATOR_PRINCIPAL)),
        )
        state = await invitation_env.state(details)
        assert (accepted, revoked, state) in {
            ("", "invitation-not-pending", State.ACCEPTED),
            ("invitation-revoked", "", State.REVOKED),
        }


async def test_accept_and_decline_at_once_agree_with_the_final_state(invitation_env: InvitationEnv) -> None:
    for number in range(ROUNDS):
        details = await invitation_env.invite(f"d{number}@people.test")
        token = invitation_env.token(details)
        answers = await asyncio.gather(
            refusal(invitation_env.accept(token)), refusal(invitation_env.invitations.responses.decline(token))
        )
        state = await invitation_env.state(details)
        assert (*answers, state) in {
            ("", "invitation-accepted", State.ACCEPTED),
            ("invitation-declined", "", State.DECLINED),
        }


async def test_accept_and_group_deletion_at_once_are_consistent(invitation_env: InvitationEnv) -> None:
    for number in range(ROUNDS):
        key = f"g{number}"
        await invitation_env.service_env.group(key)
        details = await invitation_env.invite(f"g{number}@people.test", groups=(key,))
        accepted, deleted = await asyncio.gather(
            refusal(invitation_env.accept(invitation_env.token(details))),
            refusal(invitation_env.service_env.groups.delete(key, by=OPERATOR_PRINCIPAL)),
        )
        state = await invitation_env.state(details)
        assert deleted == ""
        assert (accepted, state) in {("", State.ACCEPTED), ("invitation-revoked", State.REVOKED)}


async def test_two_invitations_of_one_address_accepted_at_once_create_one_account(
    invitation_env: InvitationEnv,
) -> None:
    for number in range(ROUNDS):
        email = f"t{number}@people.test"
        tokens = [invitation_env.token(await invitation_env.invite(email, role=role)) for role in ("team", "customer")]
        codes = await asyncio.gather(*(refusal(invitation_env.accept(token)) for token in tokens))
        assert codes == ["", ""]
    assert (await invitation_env.service_env.events()).count("user.created") == ROUNDS


async def test_accept_and_resend_at_once_agree_with_the_final_state(invitation_env: InvitationEnv) -> None:
    for number in range(ROUNDS):
        details = await invitation_env.invite(f"s{number}@people.test")
        accepted, resent = await asyncio.gather(
            refusal(invitation_env.accept(invitation_env.token(details))),
            refusal(invitation_env.invitations.resend(details.invitation.id, by=OPERATOR_PRINCIPAL)),
        )
        state = await invitation_env.state(details)
        assert (accepted, resent, state) in {
            ("", "invitation-not-pending", State.ACCEPTED),
            ("invitation-superseded", "", State.PENDING),
        }


async def test_invalid_and_missing_fields_are_reported_together(invitation_env: InvitationEnv) -> None:
    too_long = FieldProblem("/firstName", "too-long", "Use at most 100 characters.")
    token = invitation_env.token(await invitation_env.invite())
    with pytest.raises(InvalidFields) as caught:
        await invitation_env.invitations.acceptance.accept(token, Profile(password="short"), problems=[too_long])
    problems = [(error.pointer, error.code) for error in caught.value.errors]
    assert problems[0] == ("/firstName", "too-long")
    assert [pointer for pointer, _ in problems] == ["/firstName", "/lastName", "/password", "/acceptTerms"]
