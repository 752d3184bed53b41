"""Accept an invitation, at most once.

Everything is read and checked first, and the password is hashed before the transaction. The transaction locks the
targets, then ends the invitation by one conditional update, then locks the account. If anything changed since it was
read, the acceptance starts again. `accepting_account.py` decides which account accepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from latchstring.domain import invitation as rules
from latchstring.domain.access import ObjectWithAccess, SubjectKind
from latchstring.domain.account import User
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import FieldProblem, InviterNotAllowed, StorageBusy
from latchstring.domain.event import Event, new_event
from latchstring.domain.grant import Bundle, ContentRole
from latchstring.domain.invitation import Invitation
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import resolve_role
from latchstring.events.record import record
from latchstring.invitations.accepting_account import AcceptingAccount, AcceptingAccountResolver
from latchstring.invitations.commands import AppPerson, Profile
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.respond import InvitationResponses, ResolvedLink, sponsor_may_grant
from latchstring.invitations.results import Accepted, Applied
from latchstring.mail.account_mail import account_mail
from latchstring.storage.content.grants import grant_access
from latchstring.storage.content.invitations import load_live_targets
from latchstring.storage.content.objects import load_levels, lock_objects
from latchstring.storage.engine.database import ATTEMPTS, ReferenceViolation, UniqueViolation, Work
from latchstring.storage.groups.groups import share_lock_groups_by_id
from latchstring.storage.invitations.transitions import TransitionLost, end_invitation
from latchstring.storage.outbox.outbox import queue_mail
from latchstring.storage.users.users import (
    insert_user,
    join_groups,
    load_user,
    lock_user,
    translate_violation,
    update_user,
)
from latchstring.users.sessions import NewSession


class _StaleRead(Exception):
    """Data read before the transaction has changed."""


@dataclass(frozen=True, slots=True)
class InvitationAcceptance:
    """Accepts invitations."""

    deps: InvitationDependencies
    responses: InvitationResponses
    accounts: AcceptingAccountResolver

    async def accept(
        self, token: str, profile: Profile, *, by: User | None = None, problems: Sequence[FieldProblem] = ()
    ) -> Accepted:
        """Accept an invitation.

        by: the signed-in user, or None; their tokens are not renewed. problems: what is known to be wrong with the
        fields, to be reported together with what is missing.

        Raises InvitationTokenInvalid, what `check_open` raises, WrongAccount, AccountBlocked, SignInRequired,
        InviterNotAllowed, InvalidFields with every missing field, TermsRequired.
        """
        password_hash: str | None = None
        for _ in range(ATTEMPTS):
            link = await self.responses.get_open_link(token)
            account = await self.accounts.of_person(link, profile, by, problems)
            if account.needs_password:
                # hashed once, even if the acceptance starts again: it takes a tenth of a second
                password_hash = password_hash or await self.deps.passwords.hash(profile.password or "")
                account = replace(account, user=replace(account.user, password_hash=password_hash))
            accepted = await self._carry_out(link, account)
            if accepted is not None:
                return accepted
        raise StorageBusy("This invitation is being changed by many at once.")

    async def accept_as(self, token: str, person: AppPerson) -> Accepted:
        """Accept on behalf of a user that the app's backend has signed in and whose address it has verified.

        Raises what `accept` raises, and WrongAccount when the address differs or is not verified.
        """
        for _ in range(ATTEMPTS):
            link = await self.responses.get_open_link(token)
            account = await self.accounts.of_app_person(link, person)
            accepted = await self._carry_out(link, account)
            if accepted is not None:
                return accepted
        raise StorageBusy("This invitation is being changed by many at once.")

    async def _carry_out(self, link: ResolvedLink, account: AcceptingAccount) -> Accepted | None:
        """Run the transaction; None when something changed since the acceptance was prepared."""
        deps, invitation, now = self.deps, link.invitation, self.deps.clock()
        account = replace(account, user=replace(account.user, role=self._role_after(account, invitation)))
        session = deps.users.sessions.new_session(account.user.id, now) if account.needs_password else None
        try:
            user, applied = await deps.db.transact(lambda: self._work(link, account, session, now))
        except (TransitionLost, _StaleRead, ReferenceViolation):
            return None
        except UniqueViolation as violation:
            if translate_violation(violation) is None:
                raise
            return None
        if account.must_verify_email:
            deps.wake_worker()
        tokens = deps.users.sessions.tokens_for(user, session) if session else None
        return Accepted(user, account.stored is None, applied, invitation, tokens)

    def _role_after(self, account: AcceptingAccount, invitation: Invitation) -> str | None:
        offered = invitation.bundle.role
        if account.stored is None and offered is None:
            return self.deps.account_rules.default_role
        return resolve_role(account.user.role, offered, self.deps.roles)

    # ---- the transaction ---------------------------------------------------------------------------------------------

    def _work(
        self, link: ResolvedLink, account: AcceptingAccount, session: NewSession | None, now: datetime
    ) -> Work[tuple[User, Applied]]:
        invitation, user = link.invitation, account.user

        # targets first, here and wherever a target goes away, so that nothing deadlocks
        objects = yield from lock_objects(grant.target_id for grant in invitation.bundle.content)
        groups = yield from share_lock_groups_by_id([grant.target_id for grant in invitation.bundle.groups])
        accepted = rules.accept(invitation, generation=link.token.generation, by=user.id, now=now)
        yield from end_invitation(accepted)
        # while the targets are locked, no grant on them can end
        bundle = yield from _load_live_bundle(invitation, {*objects, *groups})
        if not (yield from sponsor_may_grant(invitation, bundle, self.deps.roles)):
            raise InviterNotAllowed("The person who invited you may no longer grant this. Ask for a new invitation.")

        yield from self._write_account(account, now)
        joined_ids = yield from self._join_groups(bundle, user.id)
        shared_ids = yield from self._grant_content(bundle, user.id)
        events = _events_of(account, joined_ids, shared_ids, now)
        events.append(_accepted_event(invitation, user, now))
        pending_steps = [*(session.steps if session else ()), *(record(event) for event in events)]
        if account.must_verify_email:
            is_off = self.deps.mail_rules.is_off
            pending_steps.append(queue_mail(account_mail(user, MailKind.EMAIL_VERIFICATION, now=now, is_off=is_off)))
        for step in pending_steps:  # noqa: UP028  # a list cannot be sent the rows
            yield step

        present = yield from load_user(user.id)  # with the groups joined above
        if present is None:
            raise _StaleRead
        offered = invitation.bundle.role
        group_keys = tuple(sorted(groups[grant.target_id] for grant in bundle.groups))
        content = yield from _load_content(bundle, user.id)
        return present, Applied(None if offered is None else present.role, group_keys, offered, content)

    def _write_account(self, account: AcceptingAccount, now: datetime) -> Work[None]:
        """Insert the account, or lock the one that was read and update it."""
        if account.stored is None:
            yield insert_user(account.user)
            return
        present = yield from lock_user(account.stored.id)
        if present is None or _relevant_fields(present) != _relevant_fields(account.stored):
            raise _StaleRead
        if account.user != account.stored:
            yield update_user(account.user)
        if account.is_taken_over:
            yield self.deps.users.sessions.end_all(account.user.id, now)

    def _join_groups(self, bundle: Bundle, user_id: UUID) -> Work[list[UUID]]:
        """Join the groups; returns those that the user was not in before."""
        if not bundle.groups:
            return []
        group_ids = [grant.target_id for grant in bundle.groups]
        rows = yield join_groups(self.deps.db.dialect_name, user_id, group_ids)
        return [row.group_id for row in rows]

    def _grant_content(self, bundle: Bundle, user_id: UUID) -> Work[list[UUID]]:
        """Grant the roles on objects; returns the objects whose access changed. A higher role already held stays."""
        changed_ids = []
        for grant in bundle.content:
            is_new = yield from grant_access(
                self.deps.db.dialect_name,
                grant.target_id,
                grant.target_type or "",
                user_id,
                SubjectKind.USER,
                grant.role or ContentRole.VIEWER,
            )
            changed_ids += [grant.target_id] if is_new else []
        return changed_ids


def _load_live_bundle(invitation: Invitation, locked_ids: set[UUID]) -> Work[Bundle]:
    """The grants that have not ended, on targets that are locked."""
    bundle = invitation.bundle
    if bundle.grants:
        bundle = bundle.only((yield from load_live_targets(invitation.id)) & locked_ids)
    if bundle.is_void:
        raise _StaleRead
    return bundle


def _load_content(bundle: Bundle, user_id: UUID) -> Work[tuple[ObjectWithAccess, ...]]:
    """The objects as they are in this transaction, with the user's level on each."""
    ids = [grant.target_id for grant in bundle.content]
    objects = yield from lock_objects(ids)
    levels = (yield from load_levels(user_id, ids)) if ids else {}
    return tuple(ObjectWithAccess(objects[id_], levels[id_]) for id_ in ids)


def _events_of(
    account: AcceptingAccount, joined_ids: Sequence[UUID], shared_ids: Sequence[UUID], now: datetime
) -> list[Event]:
    """The events of the account, the groups and the objects."""
    user_id = account.user.id
    by = Actor(ActorType.INVITEE, user_id)
    events = []
    if account.stored is None:
        events.append(new_event("user.created", user_id, by=by, now=now, via="invitation"))
    elif account.is_taken_over:
        events.append(new_event("user.email_verified", user_id, by=by, now=now, via="invitation"))
    changes = [("group.member_added", id_) for id_ in joined_ids] + [
        ("content.access_changed", id_) for id_ in shared_ids
    ]
    events += [new_event(name, id_, by=by, now=now, userId=str(user_id), via="invitation") for name, id_ in changes]
    return events


def _accepted_event(invitation: Invitation, user: User, now: datetime) -> Event:
    by = Actor(ActorType.INVITEE, user.id)
    kept_role = user.role if invitation.bundle.role not in {None, user.role} else None
    return new_event("invitation.accepted", invitation.id, by=by, now=now, userId=str(user.id), keptRole=kept_role)


def _relevant_fields(user: User) -> tuple[object, ...]:
    """The fields of an account that decide about an acceptance."""
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
