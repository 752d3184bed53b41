"""Lists of invitations as the panel shows them: rows with the names of what they lead to, and views kept by name."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.views.audit_log import NamedSubject
from latchstring.domain.views.saved_view import SavedView
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ
from latchstring.invitations.read import InvitationReader
from latchstring.storage.admins.saved_views import delete_view, list_views, rename_view, save_view
from latchstring.storage.events.actor_names import find_named
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.lists import count_invitations, find_invitations_by_ids

TITLES = 10
READ_AT_ONCE = 1000  # rows of a list that is read to its end
PAGE = "invitations"


@dataclass(frozen=True, slots=True)
class Right:
    """A right on an object as a row shows it. title: its key where the object is gone."""

    title: str
    role: ContentRole


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation in a list. groups: names, or keys of those that are gone; content: the first ten of its rights."""

    standing: InvitationDetails
    state: State
    groups: tuple[str, ...]
    content: tuple[Right, ...]
    content_count: int


@dataclass(frozen=True, slots=True)
class InvitationLists:
    """Reads lists. A page costs a bounded number of round trips."""

    deps: InvitationDependencies
    reader: InvitationReader

    async def page(
        self,
        wanted: InvitationFilter,
        *,
        by: Principal,
        order: SortOrder,
        cursor: Cursor | None = None,
        limit: int,
    ) -> Page[InvitationRow]:
        """A page of what the caller may see. Raises NotAllowed."""
        page = await self.reader.list(wanted, by=by, order=order, cursor=cursor, limit=limit)
        return page.with_items(await self._rows(page.items))

    async def count(self, wanted: InvitationFilter, *, by: Principal) -> int | None:
        """How many there are; None beyond what is counted. Raises NotAllowed."""
        wanted = self.reader.restrict_to_visible(wanted, by)
        return await count_invitations(self.deps.db, wanted, now=self.deps.clock())

    async def read_all(
        self, wanted: InvitationFilter, *, by: Principal, order: SortOrder
    ) -> AsyncIterator[Sequence[InvitationRow]]:
        """A whole list, however long, a batch after the other. Raises NotAllowed."""
        cursor: Cursor | None = None
        while True:
            page = await self.page(wanted, by=by, order=order, cursor=cursor, limit=READ_AT_ONCE)
            yield page.items
            cursor = page.next
            if cursor is None:
                return

    async def find_rows(self, ids: Sequence[UUID], *, by: Principal) -> tuple[InvitationRow, ...]:
        """Rows by their ids, in this order; those that are gone are left out. Raises NotAllowed."""
        by.require(READ)
        standings = await find_invitations_by_ids(self.deps.db, ids)
        return await self._rows([self.reader.redact_for(one, by) for one in standings])

    async def _rows(self, standings: Sequence[InvitationDetails]) -> tuple[InvitationRow, ...]:
        shown = [
            grant.target_id
            for standing in standings
            for grant in (*standing.invitation.bundle.groups, *standing.invitation.bundle.content[:TITLES])
        ]
        names, now = await find_named(self.deps.db, shown), self.deps.clock()
        return tuple(_row(one, names, one.invitation.state_at(now)) for one in standings)

    async def find_names(self, ids: Collection[UUID], *, by: Principal) -> Mapping[UUID, NamedSubject]:
        """What ids in the filters of a list stand for. Raises NotAllowed."""
        by.require(READ)
        return await find_named(self.deps.db, ids)

    async def find_group_ids(self, keys: Collection[str], *, by: Principal) -> Mapping[str, UUID]:
        """Groups that a filter names; those that are gone are missing. Raises NotAllowed."""
        by.require(READ)
        return {key: group.id for key, group in (await find_groups(self.deps.db, list(keys))).items()}

    # ---- views -------------------------------------------------------------------------------------------------------

    async def list_views(self, admin_id: UUID) -> Sequence[SavedView]:
        """The views an administrator keeps, the oldest first."""
        return await list_views(self.deps.db, admin_id, PAGE)

    async def save_view(self, admin_id: UUID, name: str, query: str) -> bool:
        """Keep a view, in place of the one of that name. False: there are as many as one may keep."""
        view = SavedView(new_id(self.deps.clock()), name, query)
        return await save_view(self.deps.db, view, admin_id=admin_id, page=PAGE)

    async def rename_view(self, admin_id: UUID, view_id: UUID, name: str) -> bool:
        """Call a view otherwise. False: another one has the name, or it is gone."""
        return await rename_view(self.deps.db, view_id, name, admin_id=admin_id, page=PAGE)

    async def delete_view(self, admin_id: UUID, view_id: UUID) -> str | None:
        """Forget a view; its name, or None when it was gone."""
        return await delete_view(self.deps.db, view_id, admin_id=admin_id, page=PAGE)


def _row(standing: InvitationDetails, names: Mapping[UUID, NamedSubject], state: State) -> InvitationRow:
    bundle = standing.invitation.bundle

    def called(id_: UUID, key: str) -> str:
        return names[id_].label if id_ in names else key

    rights = [
        Right(called(grant.target_id, grant.target_key), grant.role or ContentRole.VIEWER)
        for grant in bundle.content[:TITLES]
    ]
    groups = tuple(called(grant.target_id, grant.target_key) for grant in bundle.groups)
    return InvitationRow(standing, state, groups, tuple(rights), len(bundle.content))
