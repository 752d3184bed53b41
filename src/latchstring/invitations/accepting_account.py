"""Which account accepts an invitation.

The account of the address, the channel of the link and the caller decide (after links that have ended were refused):

    account       link      anonymous             signed in as it       as another user    the app, with `as`
    none          mailed    profile → new         –                     wrong account      new
    none          revealed  profile → new, *      –                     wrong account      new
    unverified    mailed    profile → taken over  profile → taken over  wrong account      taken over
    unverified    revealed  sign in first         accepted              wrong account      taken over
    verified      mailed    accepted, no tokens   accepted              wrong account      accepted
    verified      revealed  sign in first         accepted              wrong account      accepted
    blocked       any       blocked               –                     wrong account      blocked

`*` its address is not verified, and a verification mail is sent. An account that is taken over loses every credential
that its unverified owner could sign in with: the person who created it may not own the mailbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import User
from latchstring.domain.errors import (
    AccountBlocked,
    FieldProblem,
    InvalidFields,
    SignInRequired,
    TermsRequired,
    UserNotFound,
    WrongAccount,
)
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, Invitation
from latchstring.invitations.build import requires_existing_account
from latchstring.invitations.commands import AppPerson, Profile
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.respond import ResolvedLink
from latchstring.storage.users.users import find_user, find_user_by_external_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptingAccount:
    """The account that accepts.

    stored: the account as it was read, None for a new one. by_app: whether the app's backend accepts.
    """

    user: User
    stored: User | None
    is_taken_over: bool = False
    by_app: bool = False

    @property
    def needs_password(self) -> bool:
        """Whether the invitee chooses a password now and is signed in with it."""
        return not self.by_app and (self.stored is None or self.is_taken_over)

    @property
    def must_verify_email(self) -> bool:
        return self.stored is None and not self.user.email_verified


@dataclass(frozen=True, slots=True)
class AcceptingAccountResolver:
    """Finds or prepares the account that accepts. Nothing is stored here."""

    deps: InvitationDependencies

    async def of_person(
        self, link: ResolvedLink, profile: Profile, by: User | None, problems: Sequence[FieldProblem]
    ) -> AcceptingAccount:
        """The account of an invitee who opened the link.

        by: the signed-in user, or None. problems: what is known to be wrong with the fields.

        Raises WrongAccount, UserNotFound, AccountBlocked, SignInRequired, InvalidFields, TermsRequired.
        """
        invitation, is_mailed = link.invitation, link.token.channel is Channel.MAILED
        if by is not None and by.email_key != invitation.email_key:
            raise WrongAccount("You are signed in as somebody else. Sign out, or sign in as the invited person.")
        account = await self._find_account(link)
        self._refuse_unregistered(invitation, account)
        if account is None:
            return self._from_profile(invitation, profile, problems, email_verified=is_mailed)
        if account.blocked:
            raise AccountBlocked("This account is blocked. Only the people who run the app can open it again.")
        if is_mailed and not account.email_verified:
            return self._from_profile(invitation, profile, problems, email_verified=True, unverified=account)
        if not is_mailed and by is None:
            raise SignInRequired("Sign in as the invited person first: this link was not sent to the mailbox.")
        if problems:
            raise InvalidFields(problems)
        return AcceptingAccount(user=account, stored=account)

    async def of_app_person(self, link: ResolvedLink, person: AppPerson) -> AcceptingAccount:
        """The account of a user signed in to the app. Raises WrongAccount, UserNotFound, AccountBlocked."""
        invitation = link.invitation
        if person.email_key != invitation.email_key or not person.email_verified:
            raise WrongAccount("The invitation is for another address, or the address is not verified.")
        account = await find_user_by_external_id(self.deps.db, person.external_id) or await self._find_account(link)
        self._refuse_unregistered(invitation, account)
        if account is None:
            return self._from_app(invitation, person)
        if account.external_id not in {None, person.external_id} or account.email_key != invitation.email_key:
            raise WrongAccount("The invited address belongs to another person of the app.")
        if account.blocked:
            raise AccountBlocked("This account is blocked.")
        user = replace(account, external_id=person.external_id, email_verified=True)
        if account.email_verified:
            return AcceptingAccount(user=user, stored=account, by_app=True)
        user = replace(user, password_hash=None, link_generation=account.link_generation + 1)
        return AcceptingAccount(user=user, stored=account, is_taken_over=True, by_app=True)

    async def _find_account(self, link: ResolvedLink) -> User | None:
        account_id = link.view.account_id
        return None if account_id is None else await find_user(self.deps.db, account_id)

    def _refuse_unregistered(self, invitation: Invitation, account: User | None) -> None:
        is_registered = account is not None and account.email_verified
        if requires_existing_account(invitation.bundle, self.deps.content_rules) and not is_registered:
            raise UserNotFound("Only people who have an account can accept this invitation.")

    def _from_profile(
        self,
        invitation: Invitation,
        profile: Profile,
        known: Sequence[FieldProblem],
        *,
        email_verified: bool,
        unverified: User | None = None,
    ) -> AcceptingAccount:
        """A new account, or the unverified account of the address, taken over. The password hash is still missing.

        Raises InvalidFields, or TermsRequired when nothing but the consent is missing.
        """
        profile = replace(
            profile,
            first_name=profile.first_name or invitation.first_name,
            last_name=profile.last_name or invitation.last_name,
        )
        known_pointers = {problem.pointer for problem in known}
        missing = self._find_problems(profile, invitation.email_key)
        problems = [*known, *(problem for problem in missing if problem.pointer not in known_pointers)]
        if problems:
            only_terms = all(problem.code == TermsRequired.code for problem in problems)
            raise (TermsRequired if only_terms else InvalidFields)(problems)
        user = self._with_consent(unverified or self._new_user(invitation))
        user = replace(
            user,
            first_name=profile.first_name or "",
            last_name=profile.last_name or "",
            email_verified=email_verified,
            locale=profile.locale or invitation.locale,
        )
        if unverified is not None:  # reset links mailed earlier stop working
            user = replace(user, link_generation=unverified.link_generation + 1)
        return AcceptingAccount(user=user, stored=unverified, is_taken_over=unverified is not None)

    def _from_app(self, invitation: Invitation, person: AppPerson) -> AcceptingAccount:
        user = replace(
            self._with_consent(self._new_user(invitation)),  # the app has asked for consent itself
            first_name=person.first_name or invitation.first_name or "",
            last_name=person.last_name or invitation.last_name or "",
            external_id=person.external_id,
            email_verified=True,
            locale=person.locale or invitation.locale,
        )
        return AcceptingAccount(user=user, stored=None, by_app=True)

    def _new_user(self, invitation: Invitation) -> User:
        id_ = new_id(self.deps.clock())
        return User(id=id_, email=invitation.email, email_key=invitation.email_key, first_name="", last_name="")

    def _with_consent(self, user: User) -> User:
        accepted_at = self.deps.clock() if self._asks_for_terms else None
        return replace(user, terms_version=self.deps.app.terms_version, terms_accepted_at=accepted_at)

    def _find_problems(self, profile: Profile, email_key: str) -> list[FieldProblem]:
        problems = []
        if not profile.first_name:
            problems.append(FieldProblem("/firstName", "required", "Enter your first name."))
        if not profile.last_name:
            problems.append(FieldProblem("/lastName", "required", "Enter your last name."))
        if not profile.password:
            problems.append(FieldProblem("/password", "required", "Choose a password."))
        else:
            names = [name for name in (profile.first_name, profile.last_name) if name]
            problems += check_policy(profile.password, self.deps.account_rules, email=email_key, names=names)
        if self._asks_for_terms and not profile.accepts_terms:
            problems.append(
                FieldProblem("/acceptTerms", TermsRequired.code, "Joining needs your consent to the terms.")
            )
        return problems

    @property
    def _asks_for_terms(self) -> bool:
        return bool(self.deps.app.terms_url or self.deps.app.terms_version)
