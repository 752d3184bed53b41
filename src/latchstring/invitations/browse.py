"""Lists of invitations for the panel: rows with the names of their targets, and saved views."""

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

MAX_CONTENT_SHOWN = 10
BATCH_SIZE = 1000  # rows of a list that is read as a whole
PAGE = "invitations"


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A grant on an object as a row shows it. title: the key if the object was deleted."""

    title: str
    role: ContentRole


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation in a list. groups: names, or keys of deleted ones. content: the first ten grants on objects."""

    details: InvitationDetails
    state: State
    groups: tuple[str, ...]
    content: tuple[ListedGrant, ...]
    content_count: int


@dataclass(frozen=True, slots=True)
class InvitationLists:
    """Reads lists. A page costs a bounded number of round trips."""

    deps: InvitationDependencies
    reader: InvitationReader

    async def page(
        self,
        filters: InvitationFilter,
        *,
        by: Principal,
        order: SortOrder,
        cursor: Cursor | None = None,
        limit: int,
    ) -> Page[InvitationRow]:
        """A page of the invitations that the caller may see. Raises NotAllowed."""
        page = await self.reader.list(filters, by=by, order=order, cursor=cursor, limit=limit)
        return page.with_items(await self._rows(page.items))

    async def count(self, filters: InvitationFilter, *, by: Principal) -> int | None:
        """The number of invitations; None if there are more than are counted. Raises NotAllowed."""
        filters = self.reader.restrict_to_visible(filters, by)
        return await count_invitations(self.deps.db, filters, now=self.deps.clock())

    async def read_all(
        self, filters: InvitationFilter, *, by: Principal, order: SortOrder
    ) -> AsyncIterator[Sequence[InvitationRow]]:
        """The whole list, in batches. Raises NotAllowed."""
        cursor: Cursor | None = None
        while True:
            page = await self.page(filters, by=by, order=order, cursor=cursor, limit=BATCH_SIZE)
            yield page.items
            cursor = page.next
            if cursor is None:
                return

    async def find_rows(self, ids: Sequence[UUID], *, by: Principal) -> tuple[InvitationRow, ...]:
        """Rows by their ids, in this order. Deleted ones are left out. Raises NotAllowed."""
        by.require(READ)
        details = await find_invitations_by_ids(self.deps.db, ids)
        return await self._rows([self.reader.redact_for(item, by) for item in details])

    async def _rows(self, details: Sequence[InvitationDetails]) -> tuple[InvitationRow, ...]:
        target_ids = [
            grant.target_id
            for item in details
            for grant in (*item.invitation.bundle.groups, *item.invitation.bundle.content[:MAX_CONTENT_SHOWN])
        ]
        names, now = await find_named(self.deps.db, target_ids), self.deps.clock()
        return tuple(_row(item, names, item.invitation.state_at(now)) for item in details)

    async def find_names(self, ids: Collection[UUID], *, by: Principal) -> Mapping[UUID, NamedSubject]:
        """The names of ids in the filters of a list. Raises NotAllowed."""
        by.require(READ)
        return await find_named(self.deps.db, ids)

    async def find_group_ids(self, keys: Collection[str], *, by: Principal) -> Mapping[str, UUID]:
        """Ids of the groups that a filter names. Deleted ones are missing. Raises NotAllowed."""
        by.require(READ)
        return {key: group.id for key, group in (await find_groups(self.deps.db, list(keys))).items()}

    # ---- saved views -------------------------------------------------------------------------------------------------

    async def list_views(self, admin_id: UUID) -> Sequence[SavedView]:
        """The saved views of an administrator, oldest first."""
        return await list_views(self.deps.db, admin_id, PAGE)

    async def save_view(self, admin_id: UUID, name: str, query: str) -> bool:
        """Save a view, replacing the one of that name. False: the administrator has too many."""
        view = SavedView(new_id(self.deps.clock()), name, query)
        return await save_view(self.deps.db, view, admin_id=admin_id, page=PAGE)

    async def rename_view(self, admin_id: UUID, view_id: UUID, name: str) -> bool:
        """Rename a view. False: another view has the name, or it was deleted."""
        return await rename_view(self.deps.db, view_id, name, admin_id=admin_id, page=PAGE)

    async def delete_view(self, admin_id: UUID, view_id: UUID) -> str | None:
        """Delete a view; returns its name, or None if it was deleted before."""
        return await delete_view(self.deps.db, view_id, admin_id=admin_id, page=PAGE)


def _row(details: InvitationDetails, names: Mapping[UUID, NamedSubject], state: State) -> InvitationRow:
    bundle = details.invitation.bundle

    def label_of(id_: UUID, key: str) -> str:
        return names[id_].label if id_ in names else key

    listed_grants = [
        ListedGrant(label_of(grant.target_id, grant.target_key), grant.role or ContentRole.VIEWER)
        for grant in bundle.content[:MAX_CONTENT_SHOWN]
    ]
    groups = tuple(label_of(grant.target_id, grant.target_key) for grant in bundle.groups)
    return InvitationRow(details, state, groups, tuple(listed_grants), len(bundle.content))
