"""Applying a declared list of invitations: judging it whole, planning, and carrying the plan out."""

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
from latchstring.invitations.build import ResolvedTargets, build_bundle, find_problems, object_names_of
from latchstring.invitations.create import InvitationCreator
from latchstring.invitations.declarative.plan import (
    MARK,
    PRUNED,
    DeclaredEntry,
    Plan,
    PlannedAction,
    PlannedChange,
    find_repeated,
    make_plan,
    mark_of,
    marked,
)
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.resend import LinkSender
from latchstring.invitations.revoke import InvitationRevoker
from latchstring.invitations.templates import expand_from
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
AT_ONCE = 16  # changes under way: SQLite syncs them together, PostgreSQL has as many connections as it has
_FIELD_OF = {"group-not-found": "/groups", "content-not-found": "/content"}


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What became of one planned change. invitation_id: of the invitation made, renewed or withdrawn.

    error: why it could not be done. Neither: somebody had done it in the meantime.
    """

    planned: PlannedChange
    invitation_id: UUID | None = None
    error: LatchstringError | None = None


@dataclass(frozen=True, slots=True)
class DeclarativeLists:
    """Declared lists. Everything they do, they do by the same functions as everybody else."""

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
        """Compare a list with what is; nothing is changed.

        list_name: under which the list's invitations are known, for prune. Raises InvalidFields with everything that
        is wrong in the list; each pointer begins with the entry's place, `/3/role`.
        """
        wanted = await self._resolve(drafts, by=by, list_name=list_name)
        pasts: dict[UUID, list[ExistingInvitation]] = {}
        held: set[UUID] = set()
        for some in _slices(wanted, SLICE):
            email_keys = sorted({entry.draft.email_key for entry in some})
            pasts |= await find_existing(self.deps.db, email_keys, frozenset(entry.terms_key for entry in some))
            held |= await self._held(some, await find_accounts(self.deps.db, email_keys))
        before = [] if list_name is None else await self._made_by(list_name)
        return make_plan(wanted, pasts, held, before, again=again, prune=prune, now=self.deps.clock())

    async def _made_by(self, list_name: str) -> list[ExistingInvitation]:
        found = {past.id: past async for past in list_open_of_operator(self.deps.db) if mark_of(past) == list_name}
        return list(found.values())

    async def _resolve(self, drafts: Sequence[Draft], *, by: Principal, list_name: str | None) -> list[DeclaredEntry]:
        """The entries with their grants. Raises InvalidFields with everything that is wrong with any of them."""
        templates = await self.creator.templates.find_all_in_use()
        expanded = [expand_from(draft, templates) for draft in drafts]
        targets = await self._targets_of([draft for draft, _ in expanded], by)
        wanted, problems = [], []
        for index, (draft, unknown) in enumerate(expanded):
            judged = self._judge(index, draft, unknown, targets, by=by, list_name=list_name)
            if isinstance(judged, DeclaredEntry):
                wanted.append(judged)
            else:
                problems += [replace(problem, pointer=f"/{index}{problem.pointer}") for problem in judged]
        problems += find_repeated(wanted)
        if problems:
            raise InvalidFields(problems)
        return wanted

    async def _targets_of(self, drafts: Sequence[Draft], by: Principal) -> ResolvedTargets:
        """Everything the list leads to, read at once."""
        keys = sorted({key for draft in drafts for key in draft.groups})
        groups = await find_groups(self.deps.db, keys)
        names = {name for draft in drafts for name in object_names_of(draft, self.deps.content_rules)}
        objects, levels = await self.creator.checks.look_up(names, by)
        return ResolvedTargets({key: group.id for key, group in groups.items()}, objects, levels)

    def _judge(  # an entry, and all it is judged by
        self,
        index: int,
        draft: Draft,
        unknown: Sequence[FieldProblem],
        targets: ResolvedTargets,
        *,
        by: Principal,
        list_name: str | None,
    ) -> DeclaredEntry | list[FieldProblem]:
        if problems := find_problems(draft, [*unknown, *_reserved(draft)], self.deps):
            return problems
        try:
            bundle = build_bundle(draft, targets, by=by, deps=self.deps)
        except (NotFound, Forbidden) as refused:
            return [FieldProblem(_FIELD_OF.get(refused.code, ""), refused.code, refused.detail)]
        kept = replace(draft, metadata=marked(draft.metadata, list_name))
        return DeclaredEntry(index, kept, bundle, terms_digest(draft.email_key, bundle))

    async def _held(self, wanted: Sequence[DeclaredEntry], holders: dict[str, ExistingAccount]) -> set[UUID]:
        """The terms of those who have everything already."""
        held = set()
        for entry in wanted:
            holder = holders.get(entry.draft.email_key)
            if holder is not None and await self._holds(holder, entry.bundle):
                held.add(entry.terms_key)
        return held

    async def _holds(self, holder: ExistingAccount, bundle: Bundle) -> bool:
        """Whether accepting would give nothing: a role that holds as much counts as the role."""
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
        """Do what the plan says, a few changes at a time, what is withdrawn before what is made. One that fails stops
        no other.

        Raises StorageUnreachable; applying the list again goes on where this stopped.
        """
        for _, same in groupby(plan.changes, key=lambda planned: planned.act is PlannedAction.REVOKE):
            for some in _slices(list(same), AT_ONCE):
                for outcome in await asyncio.gather(*(self._outcome(planned, by=by) for planned in some)):
                    if isinstance(outcome.error, StorageUnreachable):
                        raise outcome.error
                    yield outcome

    async def _outcome(self, planned: PlannedChange, *, by: Principal) -> ApplyResult:
        try:
            return ApplyResult(planned, await self._do(planned, by=by))
        except (AlreadyInvited, AlreadyMember, InvitationNotFound, InvitationNotPending):
            return ApplyResult(planned)  # somebody was first, or the person has answered: as good as planned
        except LatchstringError as error:
            return ApplyResult(planned, error=error)

    async def _do(self, planned: PlannedChange, *, by: Principal) -> UUID | None:
        if planned.act is PlannedAction.CREATE and planned.wanted is not None:
            return (await self.creator.create(planned.wanted.draft, by=by)).invitation.id
        if planned.past is None:
            return None
        if planned.act is PlannedAction.RENEW:
            await self.sender.resend(planned.past.id, by=by)
        else:
            await self.revoker.revoke(planned.past.id, by=by, cause=PRUNED)
        return planned.past.id


def _reserved(draft: Draft) -> list[FieldProblem]:
    if MARK not in (draft.metadata or {}):
        return []
    return [FieldProblem("/metadata", "reserved", f"The key {MARK} is kept for the name of the list.")]


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
