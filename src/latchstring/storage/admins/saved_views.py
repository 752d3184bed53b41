"""Lists of the panel with their filters, each kept under a name by one administrator."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from latchstring.domain.views.saved_view import SavedView
from latchstring.storage.engine.database import Database, UniqueViolation
from latchstring.storage.engine.tables import saved_views
from latchstring.storage.engine.types import Id

MOST = 20  # views an administrator keeps for one page
NAME_TAKEN = "uq_saved_views_admin_id_page_name"
_v = saved_views.c
_ADMIN = bindparam("admin_id", type_=Id)
_PAGE = bindparam("page", type_=_v.page.type)
_MINE = (_v.admin_id == _ADMIN, _v.page == _PAGE)


def _save(dialect_name: str) -> Executable:
    """Under a name that is taken, the new view takes the place of the old one. The count bounds only new names."""
    insert = postgresql.insert if dialect_name == "postgresql" else sqlite.insert
    names = ("id", "admin_id", "page", "name", "query")
    count = select(func.count()).where(*_MINE).scalar_subquery()
    taken = select(_v.id).where(*_MINE, _v.name == bindparam("name", type_=_v.name.type)).exists()
    row = select(*(bindparam(name, type_=_v[name].type) for name in names)).where(
        (count < literal_column(str(MOST))) | taken
    )
    made = insert(saved_views).from_select(list(names), row)
    return made.on_conflict_do_update(
        index_elements=["admin_id", "page", "name"], set_={"query": made.excluded.query}
    ).returning(_v.id)


_SAVE = {name: _save(name) for name in ("postgresql", "sqlite")}
_LIST = select(_v.id, _v.name, _v.query).where(*_MINE).order_by(_v.id).limit(literal_column(str(MOST)))
_RENAME = (
    update(saved_views)
    .where(*_MINE, _v.id == bindparam("view_id", type_=Id))
    .values(name=bindparam("new_name", type_=_v.name.type))
    .returning(_v.id)
)
_DELETE = delete(saved_views).where(*_MINE, _v.id == bindparam("view_id", type_=Id)).returning(_v.name)


async def list_views(db: Database, admin_id: UUID, page: str) -> Sequence[SavedView]:
    """All views of one administrator for a page, the oldest first."""
    rows = await db.fetch(_LIST, admin_id=admin_id, page=page)
    return [SavedView(row.id, row.name, row.query) for row in rows]


async def save_view(db: Database, view: SavedView, *, admin_id: UUID, page: str) -> bool:
    """Keep a view, in place of the one of the same name. False: there are as many as one may keep."""
    rows = await db.write(
        _SAVE[db.dialect_name], id=view.id, admin_id=admin_id, page=page, name=view.name, query=view.query
    )
    return bool(rows)


async def rename_view(db: Database, view_id: UUID, name: str, *, admin_id: UUID, page: str) -> bool:
    """Call a view otherwise. False: another one has the name, or there is no such view."""
    try:
        return bool(await db.write(_RENAME, view_id=view_id, new_name=name, admin_id=admin_id, page=page))
    except UniqueViolation as violation:
        if violation.constraint != NAME_TAKEN:
            raise
        return False


async def delete_view(db: Database, view_id: UUID, *, admin_id: UUID, page: str) -> str | None:
    """Forget a view; its name, or None when there was none."""
    rows = await db.write(_DELETE, view_id=view_id, admin_id=admin_id, page=page)
    return rows[0].name if rows else None
