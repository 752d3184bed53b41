"""Doing one thing to many invitations: ticked ones, or all that match a filter.

First a dry run says what would happen to each and why not to some. Whoever confirms it sends its digest back; it is
made again, and when anything came out differently, nothing is done and the new one is shown. Then each invitation
goes through the very function that serves a single one, so ceilings, limits and events are the same.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain import invitation as rules
from latchstring.domain.errors import (
    AlreadyInvited,
    ChangedMeanwhile,
    GrantNotAllowed,
    InvitationNotFound,
    InvitationNotPending,
    StorageBusy,
    TooManyRequests,
)
from latchstring.domain.grant import terms_digest
from latchstring.domain.invitation import InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor
from latchstring.domain.principal import Principal
from latchstring.invitations.build import require_delivery_channel
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.read import InvitationReader
from latchstring.invitations.resend import LinkSender
from latchstring.invitations.revoke import InvitationRevoker
from latchstring.storage.invitations.lists import find_invitations_by_ids, find_pending_terms, list_ids

MOST = 10_000  # invitations that one action takes: a minute of work at most
AT_ONCE = 8
CHUNK = 500
MOST_PAGES = 40  # of a list in which hardly anything matches, before counting is given up
SHOWN = 200  # of each verdict: every row that a page can tick


class BulkAction(StrEnum):
    """What may be done to many at once."""

    RESEND = "resend"
    REVOKE = "revoke"


class RowResult(StrEnum):
    """What becomes of one invitation: it is done, or the reason why not."""

    DONE = "done"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    NOT_ALLOWED = "not-allowed"
    ALREADY_INVITED = "already-invited"
    TOO_MANY = "too-many"
    CHANGED = "changed"
    BUSY = "busy"


_ENDED = {State.ACCEPTED: RowResult.ACCEPTED, State.DECLINED: RowResult.DECLINED, State.REVOKED: RowResult.REVOKED}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which invitations: these, or all that match and were made before `as_of`, so that none slips in meanwhile."""

    ids: Sequence[UUID] = ()
    wanted: InvitationFilter | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class DryRunRow:
    """One invitation of a dry run. generation: of its link; whoever sends it again changes that."""

    id: UUID
    email: str
    email_key: str
    generation: int
    verdict: RowResult


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would become of each. digest: changes whenever anything about it does."""

    deed: BulkAction
    judged: Sequence[DryRunRow]

    @property
    def counts(self) -> Mapping[RowResult, int]:
        return Counter(one.verdict for one in self.judged)

    @property
    def digest(self) -> str:
        lines = sorted(f"{one.id}:{one.generation}:{one.verdict}" for one in self.judged)
        return hashlib.sha256("\n".join([self.deed, *lines]).encode()).hexdigest()

    def first(self, verdict: RowResult) -> Sequence[DryRunRow]:
        """A few of those with this verdict."""
        return [one for one in self.judged if one.verdict is verdict][:SHOWN]


class SelectionChanged(Exception):
    """The dry run comes out differently now: nothing was done."""

    def __init__(self, now: DryRun) -> None:
        super().__init__("the selection changed")
        self.now = now


class TooManySelected(Exception):
    """More invitations than one action takes, or more than can be counted."""


@dataclass(frozen=True, slots=True)
class BulkActions:
    """Dry runs and deeds."""

    deps: InvitationDependencies
    reader: InvitationReader
    sender: LinkSender
    revoker: InvitationRevoker

    async def count(self, selection: Selection, *, by: Principal) -> int:
        """How many there are now. Raises NotAllowed, TooManySelected."""
        return len(await self._ids(selection, by))

    async def plan(self, deed: BulkAction, selection: Selection, *, by: Principal) -> DryRun:
        """What would become of each. Raises NotAllowed, MailDisabled, TooManySelected."""
        by.require(WRITE)
        by.require(READ)
        if deed is BulkAction.RESEND:
            require_delivery_channel(by, self.deps.mail_rules)
        ids = await self._ids(selection, by)
        judged, terms = list[DryRunRow](), dict[UUID, UUID]()
        for start in range(0, len(ids), CHUNK):
            standings = await find_invitations_by_ids(self.deps.db, ids[start : start + CHUNK])
            judged += [await self._judge(deed, one, by) for one in standings]
            if deed is BulkAction.RESEND:
                await self._mark_duplicates(standings, judged, terms)
        return DryRun(deed, judged)

    async def carry_out(
        self, deed: BulkAction, selection: Selection, digest: str, *, by: Principal
    ) -> Mapping[RowResult, int]:
        """Do it to all that the dry run of this digest promised, and count what came of it.

        Mails count for the limit of each recipient, not for the inviter's. Raises SelectionChanged before anything is
        done, and what `plan` raises.
        """
        run = await self.plan(deed, selection, by=by)
        if run.digest != digest:
            raise SelectionChanged(run)
        found: Counter[RowResult] = Counter(one.verdict for one in run.judged if one.verdict is not RowResult.DONE)
        todo = [one for one in run.judged if one.verdict is RowResult.DONE]
        for start in range(0, len(todo), AT_ONCE):
            deeds = [self._do(deed, one, by) for one in todo[start : start + AT_ONCE]]
            found.update(await asyncio.gather(*deeds))
        return found

    # ---- which -------------------------------------------------------------------------------------------------------

    async def _ids(self, selection: Selection, by: Principal) -> Sequence[UUID]:
        if selection.wanted is None:
            if len(selection.ids) > MOST:
                raise TooManySelected
            return list(dict.fromkeys(selection.ids))
        wanted = self.reader.restrict_to_visible(_made_before(selection.wanted, selection.as_of), by)
        now, ids = self.deps.clock(), list[UUID]()
        cursor: Cursor | None = None
        for _ in range(MOST_PAGES):
            page = await list_ids(self.deps.db, wanted, cursor=cursor, now=now)
            ids += page.items
            cursor = page.next
            if len(ids) > MOST:
                break
            if cursor is None:
                return ids
        raise TooManySelected

    # ---- what would become of it -------------------------------------------------------------------------------------

    async def _judge(self, deed: BulkAction, standing: InvitationDetails, by: Principal) -> DryRunRow:
        invitation = standing.invitation
        verdict = await self._verdict(deed, standing, by)
        return DryRunRow(invitation.id, invitation.email, invitation.email_key, invitation.link.generation, verdict)

    async def _verdict(self, deed: BulkAction, standing: InvitationDetails, by: Principal) -> RowResult:
        now, before = self.deps.clock(), standing.invitation
        try:
            if deed is BulkAction.REVOKE:
                rules.revoke(before, now=now)
                return RowResult.DONE
            rules.resend(before, sponsor=by.actor, master_key_id="", now=now)
            await self.sender.checks.check_ceiling(by, before.bundle)
        except GrantNotAllowed:
            return RowResult.NOT_ALLOWED
        except (InvitationNotPending, InvitationNotFound):
            return _ENDED[before.state_at(now)]
        return RowResult.DONE

    async def _mark_duplicates(
        self, standings: Sequence[InvitationDetails], judged: list[DryRunRow], terms: dict[UUID, UUID]
    ) -> None:
        """Of invitations with the same terms one may be pending: the others cannot be sent again.

        terms: which invitation is or would be the pending one, by the digest of its terms.
        """
        keys = {one.invitation.id: terms_digest(one.invitation.email_key, one.invitation.bundle) for one in standings}
        terms |= await find_pending_terms(self.deps.db, list(keys.values()), now=self.deps.clock())
        for place, one in enumerate(judged):
            if one.verdict is RowResult.DONE and one.id in keys and terms.setdefault(keys[one.id], one.id) != one.id:
                judged[place] = replace(one, verdict=RowResult.ALREADY_INVITED)

    # ---- doing -------------------------------------------------------------------------------------------------------

    async def _do(self, deed: BulkAction, one: DryRunRow, by: Principal) -> RowResult:
        try:
            if deed is BulkAction.REVOKE:
                await self.revoker.revoke(one.id, by=by)
            else:
                await self.sender.resend(one.id, by=by, generation=one.generation, is_one_of_many=True)
        except TooManyRequests:
            return RowResult.TOO_MANY
        except GrantNotAllowed:
            return RowResult.NOT_ALLOWED
        except AlreadyInvited:
            return RowResult.ALREADY_INVITED
        except (InvitationNotPending, InvitationNotFound, ChangedMeanwhile):
            return RowResult.CHANGED  # somebody was faster, a moment ago
        except StorageBusy:
            return RowResult.BUSY
        return RowResult.DONE


def _made_before(wanted: InvitationFilter, as_of: datetime | None) -> InvitationFilter:
    if as_of is None:
        return wanted
    return replace(wanted, created_before=min(wanted.created_before or as_of, as_of))
