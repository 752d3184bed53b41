"""Accepting: the one moment somebody comes in.

What the address has × how the link left × who asks → what happens (after the refusals of a link that is over):

    account       link      anonymous             signed in as it     as somebody else   the app, with `as`
    none          mailed    profile → new         –                   wrong account      new
    none          revealed  profile → new, *      –                   wrong account      new
    unverified    mailed    profile → taken over  profile → taken over wrong account     taken over
    unverified    revealed  sign in first         accepted            wrong account      taken over
    verified      mailed    accepted, no tokens   accepted            wrong account      accepted
    verified      revealed  sign in first         accepted            wrong account      accepted
    blocked       any       blocked               –                   wrong account      blocked

`*` its address is not verified, and a verification mail goes out. Read and refuse early, hash the password before the
transaction; in it, targets are held first, then the invitation is won by one conditional update, then the account is
held. Whatever changed in between sends us back to the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from latchstring.crypto.passwords import check_policy
from latchstring.domain import invitation as rules_of
from latchstring.domain.access import Seen, SubjectKind
from latchstring.domain.account import User
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import (
    AccountBlocked,
    FieldProblem,
    InvalidFields,
    InviterNotAllowed,
    SignInRequired,
    StorageBusy,
    TermsRequired,
    UserNotFound,
    WrongAccount,
)
from latchstring.domain.event import Event, happened
from latchstring.domain.grant import Bundle, ContentRole
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.mail import MailKind, OutgoingMail
from latchstring.domain.principal import role_after
from latchstring.events.record import record
from latchstring.invitations.commands import AppPerson, Profile
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.respond import Answering, Opened, sponsor_holds
from latchstring.invitations.results import Accepted, Applied
from latchstring.mail.account_mail import account_mail
from latchstring.storage.content.invitations import load_live_targets
from latchstring.storage.content.objects import grant_access, load_levels, lock_objects
from latchstring.storage.engine.database import ATTEMPTS, ReferenceViolation, UniqueViolation, Work
from latchstring.storage.invitations.transitions import Lost, end_invitation, hold_groups
from latchstring.storage.outbox.outbox import queue_mail
from latchstring.storage.users.users import (
    find_user,
    find_user_by_external_id,
    insert_user,
    join_groups,
    load_user,
    lock_user,
    taken,
    update_user,
)
from latchstring.users.sessions import NewSession


class _WorldChanged(Exception):
    """What was read before the transaction is not so any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Whose account it will be. before: the account as read, None for a new one. taken_over: see the table."""

    user: User
    before: User | None
    taken_over: bool = False
    by_app: bool = False

    @property
    def is_new(self) -> bool:
        return self.before is None or self.taken_over


@dataclass(slots=True)
class _Hashed:
    """The password's hash, made once however often the acceptance starts anew."""

    text: str | None = field(default=None, repr=False)


class Accepting:
    """Turns an open link into membership, at most once."""

    def __init__(self, deps: InvitationDependencies, answering: Answering) -> None:
        self._deps = deps
        self._answering = answering

    async def accept(
        self, text: str, profile: Profile, *, caller: User | None = None, problems: Sequence[FieldProblem] = ()
    ) -> Accepted:
        """Come in. caller: the signed-in user, if somebody is; its tokens are not renewed. problems: what is wrong with
        the fields already, to be told together with what is missing.

        Raises InvitationTokenInvalid, what `check_open` raises, WrongAccount, AccountBlocked, SignInRequired,
        InviterNotAllowed, InvalidFields with every missing field, TermsRequired.
        """
        hashed = _Hashed()
        for _ in range(ATTEMPTS):
            opened = await self._answering.open_link(text)
            entry = await self._entry_of_person(opened, profile, caller, hashed, problems)
            accepted = await self._carry_out(opened, entry)
            if accepted is not None:
                return accepted
        raise StorageBusy("This invitation is being changed by many at once.")

    async def accept_as(self, text: str, person: AppPerson) -> Accepted:
        """The app's backend accepts for its own signed-in person, for whose address it vouches.

        Raises like `accept`; WrongAccount when the address is another's or not verified.
        """
        for _ in range(ATTEMPTS):
            opened = await self._answering.open_link(text)
            entry = await self._entry_of_app(opened, person)
            accepted = await self._carry_out(opened, entry)
            if accepted is not None:
                return accepted
        raise StorageBusy("This invitation is being changed by many at once.")

    # ---- whose account -------------------------------------------------------------------------------------------

    async def _entry_of_person(  # everything that decides
        self,
        opened: Opened,
        profile: Profile,
        caller: User | None,
        hashed: _Hashed,
        known: Sequence[FieldProblem],
    ) -> _Entry:
        invitation, revealed = opened.invitation, opened.token.channel is Channel.REVEALED
        if caller is not None and caller.email_key != invitation.email_key:
            raise WrongAccount("You are signed in as somebody else. Sign out, or sign in as the invited person.")
        account = await self._account_of(opened)
        self._refuse_stranger(invitation, account)
        if account is None:
            return await self._new_entry(invitation, profile, hashed, known, verified=not revealed)
        if account.blocked:
            raise AccountBlocked("This account is blocked. Only the people who run the app can open it again.")
        if not account.email_verified and not revealed:
            return await self._new_entry(invitation, profile, hashed, known, verified=True, over=account)
        if revealed and caller is None:
            raise SignInRequired("Sign in as the invited person first: this link was not sent to the mailbox.")
        if known:
            raise InvalidFields(known)
        return _Entry(user=account, before=account)

    def _refuse_stranger(self, invitation: Invitation, account: User | None) -> None:
        """Where strangers may not be invited to content, such a link makes no account."""
        closed = invitation.bundle.is_content_only and not self._deps.content_rules.allow_unregistered_users
        if closed and (account is None or not account.email_verified):
            raise UserNotFound("Only people who have an account can accept this invitation.")

    async def _account_of(self, opened: Opened) -> User | None:
        account_id = opened.view.account_id
        return None if account_id is None else await find_user(self._deps.db, account_id)

    async def _new_entry(
        self,
        invitation: Invitation,
        profile: Profile,
        hashed: _Hashed,
        known: Sequence[FieldProblem],
        *,
        verified: bool,
        over: User | None = None,
    ) -> _Entry:
        first_name = profile.first_name or invitation.first_name
        last_name = profile.last_name or invitation.last_name
        spoken_of = {problem.pointer for problem in known}
        missing = self._find_problems(invitation, profile, first_name, last_name)
        problems = [*known, *(problem for problem in missing if problem.pointer not in spoken_of)]
        if problems:
            only_terms = all(problem.code == TermsRequired.code for problem in problems)
            raise (TermsRequired if only_terms else InvalidFields)(problems)
        hashed.text = hashed.text or await self._deps.passwords.hash(profile.password or "")
        at = self._deps.clock()
        user = replace(
            over or self._user_of(invitation, at),
            first_name=first_name or "",
            last_name=last_name or "",
            email_verified=verified,
            password_hash=hashed.text,
            locale=profile.locale or invitation.locale,
            terms_version=self._deps.app.terms_version,
            terms_accepted_at=at if self._asks_for_terms else None,
        )
        if over is not None:  # links for the old password die with it
            user = replace(user, link_generation=over.link_generation + 1)
        return _Entry(user=user, before=over, taken_over=over is not None)

    def _user_of(self, invitation: Invitation, at: datetime) -> User:
        return User(id=new_id(at), email=invitation.email, email_key=invitation.email_key, first_name="", last_name="")

    def _find_problems(
        self, invitation: Invitation, profile: Profile, first_name: str | None, last_name: str | None
    ) -> list[FieldProblem]:
        problems = []
        for pointer, value, what in (("/firstName", first_name, "first name"), ("/lastName", last_name, "last name")):
            if not value:
                problems.append(FieldProblem(pointer, "required", f"Enter your {what}."))
        if not profile.password:
            problems.append(FieldProblem("/password", "required", "Choose a password."))
        else:
            names = [name for name in (first_name, last_name) if name]
            rules = self._deps.account_rules
            problems += check_policy(profile.password, rules, email=invitation.email_key, names=names)
        if self._asks_for_terms and not profile.accepts_terms:
            problems.append(
                FieldProblem("/acceptTerms", TermsRequired.code, "Joining needs your consent to the terms.")
            )
        return problems

    @property
    def _asks_for_terms(self) -> bool:
        return bool(self._deps.app.terms_url or self._deps.app.terms_version)

    async def _entry_of_app(self, opened: Opened, person: AppPerson) -> _Entry:
        invitation = opened.invitation
        if person.email_key != invitation.email_key or not person.email_verified:
            raise WrongAccount("The invitation is for another address, or the address is not verified.")
        known = await find_user_by_external_id(self._deps.db, person.external_id)
        account = known or await self._account_of(opened)
        self._refuse_stranger(invitation, account)
        if account is None:
            return self._new_app_entry(invitation, person)
        if account.external_id not in {None, person.external_id} or account.email_key != invitation.email_key:
            raise WrongAccount("The invited address belongs to another person of the app.")
        if account.blocked:
            raise AccountBlocked("This account is blocked.")
        user = replace(account, external_id=person.external_id, email_verified=True)
        if account.email_verified:
            return _Entry(user=user, before=account, by_app=True)
        # nobody lies in wait: what an unverified account could sign in with is gone
        user = replace(user, password_hash=None, link_generation=account.link_generation + 1)
        return _Entry(user=user, before=account, taken_over=True, by_app=True)

    def _new_app_entry(self, invitation: Invitation, person: AppPerson) -> _Entry:
        at = self._deps.clock()
        user = replace(
            self._user_of(invitation, at),
            first_name=person.first_name or invitation.first_name or "",
            last_name=person.last_name or invitation.last_name or "",
            external_id=person.external_id,
            email_verified=True,
            locale=person.locale or invitation.locale,
            # the app asked its people itself
            terms_version=self._deps.app.terms_version,
            terms_accepted_at=at if self._asks_for_terms else None,
        )
        return _Entry(user=user, before=None, by_app=True)

    # ---- the transaction -----------------------------------------------------------------------------------------

    async def _carry_out(self, opened: Opened, entry: _Entry) -> Accepted | None:
        """The acceptance, or None when the world changed since it was prepared."""
        at = self._deps.clock()
        deps, invitation = self._deps, opened.invitation
        entry = replace(entry, user=replace(entry.user, role=self._role_after(entry, invitation)))
        session = None if entry.by_app or not entry.is_new else deps.users.new_session(entry.user.id, at)
        try:
            user, joined, content = await deps.db.transact(lambda: self._work(opened, entry, session, at))
        except (Lost, _WorldChanged, ReferenceViolation):
            return None
        except UniqueViolation as violation:
            if taken(violation) is None:
                raise
            return None
        if self._mails(entry, at):
            deps.wake_worker()
        offered = invitation.bundle.role
        applied = Applied(None if offered is None else user.role, joined, offered, content)
        tokens = deps.users.tokens_for(user, session) if session else None
        return Accepted(user, entry.before is None, applied, invitation, tokens)

    def _role_after(self, entry: _Entry, invitation: Invitation) -> str | None:
        offered = invitation.bundle.role
        if entry.before is None and offered is None:
            return self._deps.account_rules.default_role
        return role_after(entry.user.role, offered, self._deps.roles)

    def _work(
        self, opened: Opened, entry: _Entry, session: NewSession | None, at: datetime
    ) -> Work[tuple[User, tuple[str, ...], tuple[Seen, ...]]]:
        invitation, user = opened.invitation, entry.user
        bundle = invitation.bundle
        objects = (yield from lock_objects(g.target_id for g in bundle.content)) if bundle.content else {}
        groups = yield from hold_groups([grant.target_id for grant in bundle.groups])
        accepted = rules_of.accept(invitation, generation=opened.token.generation, by=user.id, now=at)
        yield from end_invitation(accepted)
        if bundle.grants:  # while the targets are held, nothing more of this invitation ends
            bundle = bundle.only((yield from load_live_targets(invitation.id)) & {*objects, *groups})
        if bundle.is_void:
            raise _WorldChanged
        if not (yield from sponsor_holds(invitation, bundle, self._deps.roles)):
            raise InviterNotAllowed("Whoever invited you may no longer give you this. Ask to be invited again.")
        yield from self._write_account(entry, at)
        joined = []
        if bundle.groups:
            ids = [grant.target_id for grant in bundle.groups]
            joined = yield join_groups(self._deps.db.dialect_name, user.id, ids)
        given = yield from self._give_content(bundle, user.id)
        for one in session.steps if session else ():  # noqa: UP028  # a list cannot be sent the rows
            yield one
        by = Actor(ActorType.INVITEE, user.id)
        gains = [("group.member_added", row.group_id) for row in joined] + [
            ("content.access_changed", id_) for id_ in given
        ]
        for event in self._events(invitation, entry, gains, by, at):
            yield record(event)
        for mail in self._mails(entry, at):
            yield queue_mail(mail)
        present = yield from load_user(user.id)
        if present is None:
            raise _WorldChanged
        content = yield from self._content_held(bundle, user.id)
        return present, tuple(sorted(groups[grant.target_id] for grant in bundle.groups)), content

    def _give_content(self, bundle: Bundle, user_id: UUID) -> Work[list[UUID]]:
        """Give the rights on objects; returns those whose access changed. A greater right already held stays."""
        given = []
        for grant in bundle.content:
            changed = yield from grant_access(
                self._deps.db.dialect_name,
                grant.target_id,
                grant.target_type or "",
                user_id,
                SubjectKind.USER,
                grant.role or ContentRole.VIEWER,
            )
            given += [grant.target_id] if changed else []
        return given

    def _content_held(self, bundle: Bundle, user_id: UUID) -> Work[tuple[Seen, ...]]:
        """The objects as they stand in this transaction, with what the person may do with each now."""
        if not bundle.content:
            return ()
        ids = [grant.target_id for grant in bundle.content]
        objects = yield from lock_objects(ids)
        levels = yield from load_levels(user_id, ids)
        return tuple(Seen(objects[id_], levels[id_]) for id_ in ids)

    def _write_account(self, entry: _Entry, at: datetime) -> Work[None]:
        """Make the account, or hold the one that was read and change what is to change."""
        if entry.before is None:
            yield insert_user(entry.user)
            return
        present = yield from lock_user(entry.before.id)
        if present is None or _essence(present) != _essence(entry.before):
            raise _WorldChanged
        if entry.user != entry.before:
            yield update_user(entry.user)
        if entry.taken_over:
            yield self._deps.users.end_sessions(entry.user.id, at)

    def _events(
        self, invitation: Invitation, entry: _Entry, gains: list[tuple[str, UUID]], by: Actor, at: datetime
    ) -> list[Event]:
        events = []
        if entry.before is None:
            events.append(happened("user.created", entry.user.id, by=by, at=at, via="invitation"))
        elif entry.taken_over:
            events.append(happened("user.email_verified", entry.user.id, by=by, at=at, via="invitation"))
        events += [
            happened(name, subject_id, by=by, at=at, userId=str(entry.user.id), via="invitation")
            for name, subject_id in gains
        ]
        kept = entry.user.role if invitation.bundle.role not in {None, entry.user.role} else None
        events.append(
            happened("invitation.accepted", invitation.id, by=by, at=at, userId=str(entry.user.id), keptRole=kept)
        )
        return events

    def _mails(self, entry: _Entry, at: datetime) -> list[OutgoingMail]:
        if entry.before is None and not entry.user.email_verified:
            return [
                account_mail(
                    entry.user, MailKind.EMAIL_VERIFICATION, at=at, is_off=self._deps.mail_rules.transport == "off"
                )
            ]
        return []


def _essence(user: User) -> tuple[object, ...]:
    """What of an account an acceptance was prepared on."""
    return (
        user.email_key,
        user.email_verified,
        user.blocked,
        user.role,
        user.external_id,
        user.link_generation,
        user.first_name,
        user.last_name,
    )
