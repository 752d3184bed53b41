"""Saved views: lists of the panel with their filters, saved under a name by an administrator."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from latchstring.domain.views.saved_view import SavedView
from latchstring.storage.engine.database import Database, UniqueViolation
from latchstring.storage.engine.tables import saved_views
from latchstring.storage.engine.types import Id

MAX_VIEWS = 20  # per administrator and page
NAME_TAKEN = "uq_saved_views_admin_id_page_name"
_v = saved_views.c
_ADMIN = bindparam("admin_id", type_=Id)
_PAGE = bindparam("page", type_=_v.page.type)
_IS_OWN = (_v.admin_id == _ADMIN, _v.page == _PAGE)


def _save(dialect_name: str) -> Executable:
    """Insert a view or replace the one of the same name. The limit applies to new names only."""
    insert = postgresql.insert if dialect_name == "postgresql" else sqlite.insert
    names = ("id", "admin_id", "page", "name", "query")
    count = select(func.count()).where(*_IS_OWN).scalar_subquery()
    name_exists = select(_v.id).where(*_IS_OWN, _v.name == bindparam("name", type_=_v.name.type)).exists()
    row = select(*(bindparam(name, type_=_v[name].type) for name in names)).where(
        (count < literal_column(str(MAX_VIEWS))) | name_exists
    )
    insertion = insert(saved_views).from_select(list(names), row)
    return insertion.on_conflict_do_update(
        index_elements=["admin_id", "page", "name"], set_={"query": insertion.excluded.query}
    ).returning(_v.id)


_SAVE = {name: _save(name) for name in ("postgresql", "sqlite")}
_LIST = select(_v.id, _v.name, _v.query).where(*_IS_OWN).order_by(_v.id).limit(literal_column(str(MAX_VIEWS)))
_RENAME = (
    update(saved_views)
    .where(*_IS_OWN, _v.id == bindparam("view_id", type_=Id))
    .values(name=bindparam("new_name", type_=_v.name.type))
    .returning(_v.id)
)
_DELETE = delete(saved_views).where(*_IS_OWN, _v.id == bindparam("view_id", type_=Id)).returning(_v.name)


async def list_views(db: Database, admin_id: UUID, page: str) -> Sequence[SavedView]:
    """Return all views of an administrator for a page, oldest first."""
    rows = await db.fetch(_LIST, admin_id=admin_id, page=page)
    return [SavedView(row.id, row.name, row.query) for row in rows]


async def save_view(db: Database, view: SavedView, *, admin_id: UUID, page: str) -> bool:
    """Save a view, replacing the one of the same name. Returns False when the limit is reached."""
    rows = await db.write(
        _SAVE[db.dialect_name], id=view.id, admin_id=admin_id, page=page, name=view.name, query=view.query
    )
    return bool(rows)


async def rename_view(db: Database, view_id: UUID, name: str, *, admin_id: UUID, page: str) -> bool:
    """Rename a view. Returns False when another view has the name, or the view does not exist."""
    try:
        return bool(await db.write(_RENAME, view_id=view_id, new_name=name, admin_id=admin_id, page=page))
    except UniqueViolation as violation:
        if violation.constraint != NAME_TAKEN:
            raise
        return False


async def delete_view(db: Database, view_id: UUID, *, admin_id: UUID, page: str) -> str | None:
    """Delete a view. Returns its name, or None when it did not exist."""
    rows = await db.write(_DELETE, view_id=view_id, admin_id=admin_id, page=page)
    return rows[0].name if rows else None
