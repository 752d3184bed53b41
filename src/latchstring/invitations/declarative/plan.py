"""Comparing a declared list of invitations with what is, as pure functions.

    found                                            in the list      with --again   not in the list any more
    nothing                                          create           create         –
    holds it all already                             keep             keep           –
    PENDING                                          keep             keep           revoke (--prune)
    EXPIRED                                          renew            renew          revoke (--prune)
    ACCEPTED, holds less by now                      ended            create         –
    DECLINED                                         ended            create         –
    REVOKED by a person or with its grants           ended            create         –
    REVOKED by an earlier --prune                    create           create         –

An entry is an address with its grants; names, message, language and lifetime are words for a new invitation and change
none that is there. Who invited does not matter for keeping: nobody gets a second invitation to the same. Revoked is
only what this list made: invitations carry the list's name (`mark_of`), and only the operator's are looked at.
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

MARK = "latchstring"  # the key of an invitation's metadata that is ours
PRUNED = "pruned"  # the cause of a revocation by a list


class EntryState(StrEnum):
    """What there is for an entry."""

    NOTHING = "nothing"
    HELD = "held"
    PENDING = "pending"
    EXPIRED = "expired"
    LEFT = "left"
    DECLINED = "declined"
    REVOKED = "revoked"
    PRUNED = "pruned"


class PlannedAction(StrEnum):
    """What is to be done. The first three change something."""

    CREATE = "create"
    RENEW = "renew"
    REVOKE = "revoke"
    KEEP = "keep"
    ENDED = "ended"
    LEFT_OVER = "left-over"


CHANGES = frozenset({PlannedAction.CREATE, PlannedAction.RENEW, PlannedAction.REVOKE})
_ACTS: Mapping[EntryState, tuple[PlannedAction, PlannedAction]] = {  # without and with --again
    EntryState.NOTHING: (PlannedAction.CREATE, PlannedAction.CREATE),
    EntryState.HELD: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.PENDING: (PlannedAction.KEEP, PlannedAction.KEEP),
    EntryState.EXPIRED: (PlannedAction.RENEW, PlannedAction.RENEW),
    EntryState.LEFT: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.DECLINED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.REVOKED: (PlannedAction.ENDED, PlannedAction.CREATE),
    EntryState.PRUNED: (PlannedAction.CREATE, PlannedAction.CREATE),
}
_ENDED_AS = {
    State.EXPIRED: EntryState.EXPIRED,
    State.ACCEPTED: EntryState.LEFT,
    State.DECLINED: EntryState.DECLINED,
    State.REVOKED: EntryState.REVOKED,
}


@dataclass(frozen=True, slots=True)
class DeclaredEntry:
    """An entry whose grants are known. index: its place in the list, from 0."""

    index: int
    draft: Draft
    bundle: Bundle
    terms_key: UUID


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What is to be done about an entry, or about an invitation that is in the list no more (wanted is None)."""

    act: PlannedAction
    found: EntryState
    wanted: DeclaredEntry | None = None
    past: ExistingInvitation | None = None

    @property
    def email(self) -> str:
        if self.wanted is not None:
            return self.wanted.draft.email
        return self.past.email if self.past is not None else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to be done, in the order of doing it: first what is withdrawn, then the list as it stands."""

    items: tuple[PlannedChange, ...]

    @property
    def changes(self) -> tuple[PlannedChange, ...]:
        return tuple(item for item in self.items if item.act in CHANGES)

    @property
    def is_empty(self) -> bool:
        """Nothing has to change. What ended and what is left over waits for a person's word."""
        return not self.changes

    def count(self, act: PlannedAction) -> int:
        return sum(item.act is act for item in self.items)


def act_for(found: EntryState, *, again: bool) -> PlannedAction:
    """The table above for an entry of the list."""
    return _ACTS[found][again]


def find_entry_state(
    pasts: Sequence[ExistingInvitation], *, is_held: bool, now: datetime
) -> tuple[EntryState, ExistingInvitation | None]:
    """What there is for an entry: a pending invitation before everything, then what is held, then the newest."""
    for past in pasts:
        if state_at(past.state, past.expires_at, now) is State.PENDING:
            return EntryState.PENDING, past
    if is_held:
        return EntryState.HELD, None
    if not pasts:
        return EntryState.NOTHING, None
    newest = max(pasts, key=lambda past: past.id)
    if newest.state is State.REVOKED and newest.cause == PRUNED:
        return EntryState.PRUNED, newest
    return _ENDED_AS[state_at(newest.state, newest.expires_at, now)], newest


def make_plan(
    wanted: Sequence[DeclaredEntry],
    pasts: Mapping[UUID, Sequence[ExistingInvitation]],
    held: AbstractSet[UUID],
    made_before: Iterable[ExistingInvitation],
    *,
    again: bool,
    prune: bool,
    now: datetime,
) -> Plan:
    """The plan for a list.

    pasts: invitations by terms. held: terms whose person has everything already. made_before: the open invitations
    that carry this list's name.
    """
    in_list = {entry.terms_key for entry in wanted}
    gone = [past for past in made_before if past.terms_key not in in_list]
    act = PlannedAction.REVOKE if prune else PlannedAction.LEFT_OVER
    withdrawn = [
        PlannedChange(act, _ENDED_AS.get(state_at(past.state, past.expires_at, now), EntryState.PENDING), None, past)
        for past in gone
    ]
    return Plan((*withdrawn, *(_planned(entry, pasts, held, again=again, now=now) for entry in wanted)))


def _planned(
    entry: DeclaredEntry,
    pasts: Mapping[UUID, Sequence[ExistingInvitation]],
    held: AbstractSet[UUID],
    *,
    again: bool,
    now: datetime,
) -> PlannedChange:
    found, past = find_entry_state(pasts.get(entry.terms_key, ()), is_held=entry.terms_key in held, now=now)
    return PlannedChange(act_for(found, again=again), found, entry, past)


def find_repeated(wanted: Sequence[DeclaredEntry]) -> list[FieldProblem]:
    """Entries that invite an address to the same grants as one before. Pointers begin with the place in the list."""
    first: dict[UUID, int] = {}
    problems = []
    for entry in wanted:
        index = first.setdefault(entry.terms_key, entry.index)
        if index != entry.index:
            detail = f"{entry.draft.email} stands in the list twice with the same grants. Keep one."
            problems.append(FieldProblem(f"/{entry.index}", "repeated", detail))
    return problems


# ---- the mark --------------------------------------------------------------------------------------------------------


def marked(metadata: Mapping[str, object] | None, list_name: str | None) -> dict[str, object] | None:
    """The metadata of an invitation made by a list of this name."""
    if list_name is None:
        return None if metadata is None else dict(metadata)
    return {**(metadata or {}), MARK: {"list": list_name}}


def mark_of(past: ExistingInvitation) -> str | None:
    """The name of the list that made an invitation. Only the operator's own count: metadata are anybody's to write."""
    mark = (past.metadata or {}).get(MARK) if past.inviter is ActorType.OPERATOR else None
    name = mark.get("list") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None
