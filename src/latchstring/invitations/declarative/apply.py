"""Apply a declared list of invitations: validate it as a whole, plan the changes, carry them out."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar
from uuid import UUID

from latchstring.domain.access import Level
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    AlreadyInvited,
    AlreadyMember,
    FieldProblem,
    Forbidden,
    InvalidFields,
    InvitationNotFound,
    InvitationNotPending,
    LatchstringError,
    NotFound,
    StorageUnreachable,
)
from latchstring.domain.grant import Bundle, ContentRole, terms_digest
from latchstring.domain.principal import Principal, resolve_role
from latchstring.invitations.build import ResolvedTargets, build_bundle, object_names_of
from latchstring.invitations.create import InvitationCreator
from latchstring.invitations.declarative.plan import (
    MARK,
    PRUNED,
    DeclaredEntry,
    Plan,
    PlannedAction,
    PlannedChange,
    add_mark,
    find_repeated_entries,
    make_plan,
    mark_of,
)
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.resend import LinkSender
from latchstring.invitations.revoke import InvitationRevoker
from latchstring.invitations.templates import expand_from
from latchstring.invitations.validate import find_problems
from latchstring.storage.content.objects import find_levels
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.existing import (
    SLICE,
    ExistingAccount,
    ExistingInvitation,
    find_accounts,
    find_existing,
    list_open_of_operator,
)

T = TypeVar("T")
CONCURRENCY = 16  # changes at once: SQLite commits them together, PostgreSQL is bounded by its connection pool
_POINTER_OF = {"group-not-found": "/groups", "content-not-found": "/content"}


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The result of one planned change.

    invitation_id: of the invitation created, renewed or revoked. error: why the change failed. Neither: somebody else
    made the same change in the meantime.
    """

    planned: PlannedChange
    invitation_id: UUID | None = None
    error: LatchstringError | None = None


@dataclass(frozen=True, slots=True)
class DeclarativeLists:
    """Declared lists. Changes go through the same services as single invitations."""

    deps: InvitationDependencies
    creator: InvitationCreator
    sender: LinkSender
    revoker: InvitationRevoker

    # ---- planning ----------------------------------------------------------------------------------------------------

    async def plan(
        self,
        drafts: Sequence[Draft],
        *,
        by: Principal,
        list_name: str | None = None,
        again: bool = False,
        prune: bool = False,
    ) -> Plan:
        """Compare a list with the existing invitations. Changes nothing.

        list_name: identifies the invitations of this list, for prune. Raises InvalidFields with every problem of the
        list; each pointer begins with the index of the entry, `/3/role`.
        """
        entries = await self._resolve(drafts, by=by, list_name=list_name)
        existing: dict[UUID, list[ExistingInvitation]] = {}
        held_terms: set[UUID] = set()
        for batch in _slices(entries, SLICE):
            email_keys = sorted({entry.draft.email_key for entry in batch})
            existing |= await find_existing(self.deps.db, email_keys, frozenset(entry.terms_key for entry in batch))
            held_terms |= await self._find_held_terms(batch, await find_accounts(self.deps.db, email_keys))
        created_before = [] if list_name is None else await self._list_created_by(list_name)
        return make_plan(entries, existing, held_terms, created_before, again=again, prune=prune, now=self.deps.clock())

    async def _list_created_by(self, list_name: str) -> list[ExistingInvitation]:
        invitations = {
            invitation.id: invitation
            async for invitation in list_open_of_operator(self.deps.db)
            if mark_of(invitation) == list_name
        }
        return list(invitations.values())

    async def _resolve(self, drafts: Sequence[Draft], *, by: Principal, list_name: str | None) -> list[DeclaredEntry]:
        """The entries with their grants. Raises InvalidFields with the problems of all entries."""
        templates = await self.creator.templates.find_all_in_use()
        expanded = [expand_from(draft, templates) for draft in drafts]
        targets = await self._targets_of([draft for draft, _ in expanded], by)
        entries, problems = [], []
        for index, (draft, template_problems) in enumerate(expanded):
            result = self._validate(index, draft, template_problems, targets, by=by, list_name=list_name)
            if isinstance(result, DeclaredEntry):
                entries.append(result)
            else:
                problems += [replace(problem, pointer=f"/{index}{problem.pointer}") for problem in result]
        problems += find_repeated_entries(entries)
        if problems:
            raise InvalidFields(problems)
        return entries

    async def _targets_of(self, drafts: Sequence[Draft], by: Principal) -> ResolvedTargets:
        """All targets of the list, read at once."""
        keys = sorted({key for draft in drafts for key in draft.groups})
        groups = await find_groups(self.deps.db, keys)
        names = {name for draft in drafts for name in object_names_of(draft, self.deps.content_rules)}
        objects, levels = await self.creator.checks.look_up(names, by)
        return ResolvedTargets({key: group.id for key, group in groups.items()}, objects, levels)

    def _validate(
        self,
        index: int,
        draft: Draft,
        template_problems: Sequence[FieldProblem],
        targets: ResolvedTargets,
        *,
        by: Principal,
        list_name: str | None,
    ) -> DeclaredEntry | list[FieldProblem]:
        if problems := find_problems(draft, [*template_problems, *_find_reserved_key(draft)], self.deps):
            return problems
        try:
            bundle = build_bundle(draft, targets, by=by, deps=self.deps)
        except (NotFound, Forbidden) as refused:
            return [FieldProblem(_POINTER_OF.get(refused.code, ""), refused.code, refused.detail)]
        marked_draft = replace(draft, metadata=add_mark(draft.metadata, list_name))
        return DeclaredEntry(index, marked_draft, bundle, terms_digest(draft.email_key, bundle))

    async def _find_held_terms(
        self, entries: Sequence[DeclaredEntry], holders: dict[str, ExistingAccount]
    ) -> set[UUID]:
        """The terms of entries whose user holds everything already."""
        held_terms = set()
        for entry in entries:
            holder = holders.get(entry.draft.email_key)
            if holder is not None and await self._has_everything(holder, entry.bundle):
                held_terms.add(entry.terms_key)
        return held_terms

    async def _has_everything(self, holder: ExistingAccount, bundle: Bundle) -> bool:
        """Whether accepting would grant nothing new. A role with at least the same rights counts as the role."""
        if bundle.role is not None and resolve_role(holder.role, bundle.role, self.deps.roles) != holder.role:
            return False
        if not {grant.target_id for grant in bundle.groups} <= holder.group_ids:
            return False
        if not bundle.content:
            return True
        levels = await find_levels(self.deps.db, holder.user_id, [grant.target_id for grant in bundle.content])
        return all(levels.get(g.target_id, Level.NONE) >= Level(g.role or ContentRole.VIEWER) for g in bundle.content)

    # ---- carrying out ------------------------------------------------------------------------------------------------

    async def carry_out(self, plan: Plan, *, by: Principal) -> AsyncIterator[ApplyResult]:
        """Carry out the changes of a plan, several at once, revocations first. A failed change does not stop others.

        Raises StorageUnreachable; applying the list again continues where this stopped.
        """
        for _, group in groupby(plan.changes, key=lambda planned: planned.action is PlannedAction.REVOKE):
            for batch in _slices(list(group), CONCURRENCY):
                for outcome in await asyncio.gather(*(self._try_change(planned, by=by) for planned in batch)):
                    if isinstance(outcome.error, StorageUnreachable):
                        raise outcome.error
                    yield outcome

    async def _try_change(self, planned: PlannedChange, *, by: Principal) -> ApplyResult:
        try:
            return ApplyResult(planned, await self._apply_change(planned, by=by))
        except (AlreadyInvited, AlreadyMember, InvitationNotFound, InvitationNotPending):
            return ApplyResult(planned)  # somebody else made the change, or the invitee has answered: nothing to do
        except LatchstringError as error:
            return ApplyResult(planned, error=error)

    async def _apply_change(self, planned: PlannedChange, *, by: Principal) -> UUID | None:
        if planned.action is PlannedAction.CREATE and planned.entry is not None:
            return (await self.creator.create(planned.entry.draft, by=by)).invitation.id
        if planned.invitation is None:
            return None
        if planned.action is PlannedAction.RENEW:
            await self.sender.resend(planned.invitation.id, by=by)
        else:
            await self.revoker.revoke(planned.invitation.id, by=by, cause=PRUNED)
        return planned.invitation.id


def _find_reserved_key(draft: Draft) -> list[FieldProblem]:
    if MARK not in (draft.metadata or {}):
        return []
    return [FieldProblem("/metadata", "reserved", f"The key {MARK} is kept for the name of the list.")]


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
