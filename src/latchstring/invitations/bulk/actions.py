"""Apply one action to many invitations: selected ones, or all that match a filter.

A dry run first returns the result that each would have. Confirming it sends its digest back. The dry run is repeated,
and if any result differs, nothing is done and the new dry run is shown. Then each invitation goes through the service
for a single one, so ceilings, limits and events are the same.
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
from latchstring.domain.invitation import Invitation, InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor
from latchstring.domain.principal import Principal
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.read import InvitationReader
from latchstring.invitations.resend import LinkSender
from latchstring.invitations.revoke import InvitationRevoker
from latchstring.invitations.validate import require_delivery_channel
from latchstring.storage.invitations.lists import find_invitations_by_ids, find_pending_terms, list_ids

MAX_INVITATIONS = 10_000  # of one action: a minute of work at most
CONCURRENCY = 8
CHUNK_SIZE = 500
MAX_PAGES = 40  # read before giving up on a filter that hardly anything matches
MAX_ROWS_SHOWN = 200  # for each result: every row that a page can select


class BulkAction(StrEnum):
    """An action on many invitations."""

    RESEND = "resend"
    REVOKE = "revoke"


class BulkActionResult(StrEnum):
    """The result for one invitation: done, or the reason why not."""

    DONE = "done"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    NOT_ALLOWED = "not-allowed"
    ALREADY_INVITED = "already-invited"
    TOO_MANY = "too-many"
    CHANGED = "changed"
    BUSY = "busy"


_RESULT_OF_STATE = {
    State.ACCEPTED: BulkActionResult.ACCEPTED,
    State.DECLINED: BulkActionResult.DECLINED,
    State.REVOKED: BulkActionResult.REVOKED,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Invitations by id, or all that match filters and were created before `as_of`, so that none is added meanwhile."""

    ids: Sequence[UUID] = ()
    filters: InvitationFilter | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class DryRunRow:
    """One invitation of a dry run. generation: of its link, which changes when it is resent."""

    id: UUID
    email: str
    email_key: str
    generation: int
    result: BulkActionResult


@dataclass(frozen=True, slots=True)
class DryRun:
    """The result that each invitation would have. digest: changes whenever anything in it does."""

    action: BulkAction
    rows: Sequence[DryRunRow]

    @property
    def counts(self) -> Mapping[BulkActionResult, int]:
        return Counter(row.result for row in self.rows)

    @property
    def digest(self) -> str:
        lines = sorted(f"{row.id}:{row.generation}:{row.result}" for row in self.rows)
        return hashlib.sha256("\n".join([self.action, *lines]).encode()).hexdigest()

    def first(self, result: BulkActionResult) -> Sequence[DryRunRow]:
        """The first rows with this result."""
        return [row for row in self.rows if row.result is result][:MAX_ROWS_SHOWN]


class SelectionChanged(Exception):
    """The dry run has another result now; nothing was done."""

    def __init__(self, now: DryRun) -> None:
        super().__init__("the selection changed")
        self.now = now


class TooManySelected(Exception):
    """More invitations than one action takes, or more than can be counted."""


@dataclass(frozen=True, slots=True)
class BulkActions:
    """Dry runs and bulk actions."""

    deps: InvitationDependencies
    reader: InvitationReader
    sender: LinkSender
    revoker: InvitationRevoker

    async def count(self, selection: Selection, *, by: Principal) -> int:
        """The number of selected invitations. Raises NotAllowed, TooManySelected."""
        return len(await self._list_ids(selection, by))

    async def plan(self, action: BulkAction, selection: Selection, *, by: Principal) -> DryRun:
        """The result that each invitation would have. Raises NotAllowed, MailDisabled, TooManySelected."""
        by.require(WRITE)
        by.require(READ)
        if action is BulkAction.RESEND:
            require_delivery_channel(by, self.deps.mail_rules)
        ids = await self._list_ids(selection, by)
        rows, terms = list[DryRunRow](), dict[UUID, UUID]()
        for start in range(0, len(ids), CHUNK_SIZE):
            chunk = await find_invitations_by_ids(self.deps.db, ids[start : start + CHUNK_SIZE])
            rows += [await self._preview(action, details, by) for details in chunk]
            if action is BulkAction.RESEND:
                await self._mark_duplicates(chunk, rows, terms)
        return DryRun(action, rows)

    async def carry_out(
        self, action: BulkAction, selection: Selection, digest: str, *, by: Principal
    ) -> Mapping[BulkActionResult, int]:
        """Apply the action to all that the dry run of this digest would change, and count the results.

        Mails count for the limit of each recipient, not for the inviter's. Raises SelectionChanged before anything is
        done, and what `plan` raises.
        """
        run = await self.plan(action, selection, by=by)
        if run.digest != digest:
            raise SelectionChanged(run)
        counts: Counter[BulkActionResult] = Counter(
            row.result for row in run.rows if row.result is not BulkActionResult.DONE
        )
        pending = [row for row in run.rows if row.result is BulkActionResult.DONE]
        for start in range(0, len(pending), CONCURRENCY):
            calls = [self._apply(action, row, by) for row in pending[start : start + CONCURRENCY]]
            counts.update(await asyncio.gather(*calls))
        return counts

    # ---- selection ---------------------------------------------------------------------------------------------------

    async def _list_ids(self, selection: Selection, by: Principal) -> Sequence[UUID]:
        if selection.filters is None:
            if len(selection.ids) > MAX_INVITATIONS:
                raise TooManySelected
            return list(dict.fromkeys(selection.ids))
        filters = self.reader.restrict_to_visible(_created_before(selection.filters, selection.as_of), by)
        now, ids = self.deps.clock(), list[UUID]()
        cursor: Cursor | None = None
        for _ in range(MAX_PAGES):
            page = await list_ids(self.deps.db, filters, cursor=cursor, now=now)
            ids += page.items
            cursor = page.next
            if len(ids) > MAX_INVITATIONS:
                break
            if cursor is None:
                return ids
        raise TooManySelected

    # ---- dry run -----------------------------------------------------------------------------------------------------

    async def _preview(self, action: BulkAction, details: InvitationDetails, by: Principal) -> DryRunRow:
        invitation = details.invitation
        result = await self._find_result(action, invitation, by)
        return DryRunRow(invitation.id, invitation.email, invitation.email_key, invitation.link.generation, result)

    async def _find_result(self, action: BulkAction, invitation: Invitation, by: Principal) -> BulkActionResult:
        now = self.deps.clock()
        try:
            if action is BulkAction.REVOKE:
                rules.revoke(invitation, now=now)
                return BulkActionResult.DONE
            rules.resend(invitation, sponsor=by.actor, master_key_id="", now=now)
            await self.sender.checks.check_ceiling(by, invitation.bundle)
        except GrantNotAllowed:
            return BulkActionResult.NOT_ALLOWED
        except (InvitationNotPending, InvitationNotFound):
            return _RESULT_OF_STATE[invitation.state_at(now)]
        return BulkActionResult.DONE

    async def _mark_duplicates(
        self, chunk: Sequence[InvitationDetails], rows: list[DryRunRow], terms: dict[UUID, UUID]
    ) -> None:
        """Of invitations with the same terms only one can be pending: the others cannot be resent.

        terms: the invitation that is or would be the pending one, by the digest of its terms.
        """
        keys = {
            details.invitation.id: terms_digest(details.invitation.email_key, details.invitation.bundle)
            for details in chunk
        }
        terms |= await find_pending_terms(self.deps.db, list(keys.values()), now=self.deps.clock())
        for index, row in enumerate(rows):
            if (
                row.result is BulkActionResult.DONE
                and row.id in keys
                and terms.setdefault(keys[row.id], row.id) != row.id
            ):
                rows[index] = replace(row, result=BulkActionResult.ALREADY_INVITED)

    # ---- applying the action -----------------------------------------------------------------------------------------

    async def _apply(self, action: BulkAction, row: DryRunRow, by: Principal) -> BulkActionResult:
        try:
            if action is BulkAction.REVOKE:
                await self.revoker.revoke(row.id, by=by)
            else:
                await self.sender.resend(row.id, by=by, generation=row.generation, is_one_of_many=True)
        except TooManyRequests:
            return BulkActionResult.TOO_MANY
        except GrantNotAllowed:
            return BulkActionResult.NOT_ALLOWED
        except AlreadyInvited:
            return BulkActionResult.ALREADY_INVITED
        except (InvitationNotPending, InvitationNotFound, ChangedMeanwhile):
            return BulkActionResult.CHANGED  # changed by somebody else since the dry run
        except StorageBusy:
            return BulkActionResult.BUSY
        return BulkActionResult.DONE


def _created_before(filters: InvitationFilter, as_of: datetime | None) -> InvitationFilter:
    if as_of is None:
        return filters
    return replace(filters, created_before=min(filters.created_before or as_of, as_of))
