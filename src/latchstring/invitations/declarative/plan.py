"""Compare a declared list of invitations with the existing ones, as pure functions.

    existing                                         in the list      with --again   no longer in the list
    nothing                                          create           create         –
    the user holds everything already                keep             keep           –
    PENDING                                          keep             keep           revoke (--prune)
    EXPIRED                                          renew            renew          revoke (--prune)
    ACCEPTED, the user holds less now                ended            create         –
    DECLINED                                         ended            create         –
    REVOKED by a person or with its grants           ended            create         –
    REVOKED by an earlier --prune                    create           create         –

An entry is an address with its grants. Names, message, language and lifetime only apply to new invitations and change
no existing one. An invitation is kept, no matter who sent it: nobody gets two invitations with the same terms. Only
invitations that this list created are revoked: they carry the list's name (`mark_of`), and only the operator's count.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem
from latchstring.domain.grant import Bundle
from latchstring.domain.invitation import State, state_at
from latchstring.storage.invitations.existing import ExistingInvitation

MARK = "latchstring"  # the reserved key of an invitation's metadata
PRUNED = "pruned"  # the cause of a revocation by a list


class EntryState(StrEnum):
    """The existing state for an entry."""

    NOTHING = "nothing"
    ALREADY_HELD = "held"
    PENDING = "pending"
    EXPIRED = "expired"
    NO_LONGER_HELD = "left"
    DECLINED = "declined"
    REVOKED = "revoked"
    PRUNED = "pruned"


class PlannedAction(StrEnum):
    """What a plan does about an entry. The first three are changes."""

    CREATE = "create"
    RENEW = "renew"
    REVOKE = "revoke"
    KEEP = "keep"
    ENDED = "ended"
    ORPHANED = "left-over"


CHANGES = frozenset({PlannedAction.CREATE, PlannedAction.RENEW, PlannedAction.REVOKE})
_ACTIONS: Mapping[EntryState, tuple[PlannedAction, PlannedAction]] = {  # without and with --again
    EntryState.NOTHING: (PlannedAction.CREATE, PlannedAction.CREATE),
    EntryState.ALREADY_HELD: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.PENDING: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.EXPIRED: (PlannedAction.RENEW, PlannedAction.RENEW),
    EntryState.NO_LONGER_HELD: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.DECLINED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.REVOKED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.PRUNED: (PlannedAction.CREATE, PlannedAction.CREATE),
}
_STATE_OF_ENDED = {
    State.EXPIRED: EntryState.EXPIRED,
    State.ACCEPTED: EntryState.NO_LONGER_HELD,
    State.DECLINED: EntryState.DECLINED,
    State.REVOKED: EntryState.REVOKED,
}


@dataclass(frozen=True, slots=True)
class DeclaredEntry:
    """An entry with its resolved grants. index: in the list, from 0."""

    index: int
    draft: Draft
    bundle: Bundle
    terms_key: UUID


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """The action for an entry, or for an invitation that is no longer in the list (entry is None)."""

    action: PlannedAction
    state: EntryState
    entry: DeclaredEntry | None = None
    invitation: ExistingInvitation | None = None

    @property
    def email(self) -> str:
        if self.entry is not None:
            return self.entry.draft.email
        return self.invitation.email if self.invitation is not None else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All planned actions in their order: first invitations no longer in the list, then the entries."""

    items: tuple[PlannedChange, ...]

    @property
    def changes(self) -> tuple[PlannedChange, ...]:
        return tuple(item for item in self.items if item.action in CHANGES)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to change. Ended and orphaned invitations need a decision by a person."""
        return not self.changes

    def count(self, action: PlannedAction) -> int:
        return sum(item.action is action for item in self.items)


def choose_action(state: EntryState, *, again: bool) -> PlannedAction:
    """The action for an entry of the list, by the table above."""
    return _ACTIONS[state][again]


def find_entry_state(
    existing: Sequence[ExistingInvitation], *, is_held: bool, now: datetime
) -> tuple[EntryState, ExistingInvitation | None]:
    """The state for an entry: a pending invitation first, then grants already held, then the newest invitation."""
    for invitation in existing:
        if state_at(invitation.state, invitation.expires_at, now) is State.PENDING:
            return EntryState.PENDING, invitation
    if is_held:
        return EntryState.ALREADY_HELD, None
    if not existing:
        return EntryState.NOTHING, None
    newest = max(existing, key=lambda invitation: invitation.id)
    if newest.state is State.REVOKED and newest.cause == PRUNED:
        return EntryState.PRUNED, newest
    return _STATE_OF_ENDED[state_at(newest.state, newest.expires_at, now)], newest


def make_plan(
    entries: Sequence[DeclaredEntry],
    existing: Mapping[UUID, Sequence[ExistingInvitation]],
    held_terms: AbstractSet[UUID],
    created_before: Iterable[ExistingInvitation],
    *,
    again: bool,
    prune: bool,
    now: datetime,
) -> Plan:
    """Plan the changes for a list.

    existing: invitations by terms. held_terms: terms whose user holds everything already. created_before: the open
    invitations that carry this list's name.
    """
    in_list = {entry.terms_key for entry in entries}
    orphans = [invitation for invitation in created_before if invitation.terms_key not in in_list]
    action = PlannedAction.REVOKE if prune else PlannedAction.ORPHANED
    orphan_changes = [
        PlannedChange(
            action,
            _STATE_OF_ENDED.get(state_at(invitation.state, invitation.expires_at, now), EntryState.PENDING),
            None,
            invitation,
        )
        for invitation in orphans
    ]
    return Plan((*orphan_changes, *(_planned(entry, existing, held_terms, again=again, now=now) for entry in entries)))


def _planned(
    entry: DeclaredEntry,
    existing: Mapping[UUID, Sequence[ExistingInvitation]],
    held_terms: AbstractSet[UUID],
    *,
    again: bool,
    now: datetime,
) -> PlannedChange:
    state, invitation = find_entry_state(
        existing.get(entry.terms_key, ()), is_held=entry.terms_key in held_terms, now=now
    )
    return PlannedChange(choose_action(state, again=again), state, entry, invitation)


def find_repeated_entries(entries: Sequence[DeclaredEntry]) -> list[FieldProblem]:
    """Problems of entries with the same address and grants as an earlier one. Pointers begin with the index."""
    first: dict[UUID, int] = {}
    problems = []
    for entry in entries:
        index = first.setdefault(entry.terms_key, entry.index)
        if index != entry.index:
            detail = f"{entry.draft.email} is in the list twice with the same grants. Keep one."
            problems.append(FieldProblem(f"/{entry.index}", "repeated", detail))
    return problems


# ---- the list name in the metadata -----------------------------------------------------------------------------------


def add_mark(metadata: Mapping[str, object] | None, list_name: str | None) -> dict[str, object] | None:
    """The metadata of an invitation that a list of this name creates."""
    if list_name is None:
        return None if metadata is None else dict(metadata)
    return {**(metadata or {}), MARK: {"list": list_name}}


def mark_of(invitation: ExistingInvitation) -> str | None:
    """The name of the list that created an invitation.

    Only the operator's invitations count: other callers may write any metadata.
    """
    mark = (invitation.metadata or {}).get(MARK) if invitation.inviter is ActorType.OPERATOR else None
    name = mark.get("list") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None
