"""Invitation templates that were created in the panel."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from latchstring.domain.template import InvitationTemplate
from latchstring.domain.terms import SHARED_TERM_NAMES, shared_terms_of
from latchstring.formats.camel_case import to_camel_case
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import invitation_templates

MOST_TEMPLATES = 1000  # people choose from this list
_t = invitation_templates.c
_KEY = bindparam("of_key", type_=_t.key.type)
_BY_KEY = select(invitation_templates).where(_t.key == _KEY)
_ALL = select(invitation_templates).order_by(_t.key).limit(MOST_TEMPLATES)
_INSERT = insert(invitation_templates).values(
    {c.name: bindparam(f"new_{c.name}", type_=c.type) for c in invitation_templates.columns}
)
_REPLACE = (
    update(invitation_templates)
    .where(_t.key == _KEY)
    .values({name: bindparam(f"new_{name}", type_=_t[name].type) for name in ("name", "terms", "updated_at")})
    .returning(_t.id)
)
_DELETE = delete(invitation_templates).where(_t.key == _KEY).returning(_t.id)


def _terms(template: InvitationTemplate) -> dict[str, Any]:
    return {
        "role": template.role,
        "groups": list(template.groups),
        "content": [list(grant) for grant in template.content],
        "lifetimeSeconds": template.expires_in and int(template.expires_in.total_seconds()),
        **{to_camel_case(name): value for name, value in shared_terms_of(template).items()},
    }


def _read(row: Row) -> InvitationTemplate:
    terms: Mapping[str, Any] = row.terms
    seconds = terms.get("lifetimeSeconds")
    shared: dict[str, Any] = {name: terms.get(to_camel_case(name)) for name in SHARED_TERM_NAMES}
    return InvitationTemplate(
        key=row.key,
        name=row.name,
        role=terms.get("role"),
        groups=tuple(terms.get("groups") or ()),
        content=tuple((type_, key, role) for type_, key, role in terms.get("content") or ()),
        expires_in=timedelta(seconds=seconds) if seconds else None,
        **shared,
    )


async def find_template(db: Database, key: str) -> InvitationTemplate | None:
    rows = await db.fetch(_BY_KEY, of_key=key)
    return _read(rows[0]) if rows else None


async def list_templates(db: Database) -> list[InvitationTemplate]:
    """All of them, by key."""
    return [_read(row) for row in await db.fetch(_ALL)]


def load_template(key: str) -> Work[InvitationTemplate | None]:
    rows = yield step(_BY_KEY, of_key=key)
    return _read(rows[0]) if rows else None


def insert_template(template_id: UUID, template: InvitationTemplate, *, now: datetime) -> Step:
    """Insert a template. Raises UniqueViolation for a taken key."""
    terms = _terms(template)
    return step(
        _INSERT, new_id=template_id, new_key=template.key, new_name=template.name, new_terms=terms, new_updated_at=now
    )


def replace_template(template: InvitationTemplate, *, now: datetime) -> Work[UUID | None]:
    """Replace the template of this key. Returns its id, or None if there is none."""
    values = {"new_name": template.name, "new_terms": _terms(template), "new_updated_at": now}
    rows = yield step(_REPLACE, of_key=template.key, **values)
    return rows[0].id if rows else None


def delete_template(key: str) -> Work[UUID | None]:
    """Delete the template of this key. Returns its id, or None if there is none."""
    rows = yield step(_DELETE, of_key=key)
    return rows[0].id if rows else None
