"""Set or remove single grants on a locked object. The caller updates the visibility."""

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Executable

from latchstring.domain.access import ContentObject, SubjectKind
from latchstring.domain.grant import ContentRole
from latchstring.storage.engine.database import Step, step
from latchstring.storage.engine.tables import content, content_grants
from latchstring.storage.engine.types import Id

_c, _g = content.c, content_grants.c
_ID, _SUBJECT = bindparam("content_id", type_=Id), bindparam("subject_id", type_=Id)


def _set(dialect_insert: Any) -> Executable:
    """Insert a grant or change its role, except for the owner of the object, who needs no grant."""
    kind, role = bindparam("kind", type_=_g.subject_kind.type), bindparam("role", type_=_g.role.type)
    type_ = bindparam("type", type_=_g.type.type)
    values = select(_c.id, _SUBJECT, kind, type_, role).where(_c.id == _ID, _c.owner_id != _SUBJECT)
    upsert = dialect_insert(content_grants).from_select(
        ["content_id", "subject_id", "subject_kind", "type", "role"], values
    )
    statement: Executable = upsert.on_conflict_do_update(
        index_elements=list(content_grants.primary_key), set_={"role": upsert.excluded.role}
    )
    return statement


_SET = {"postgresql": _set(postgresql.insert), "sqlite": _set(sqlite.insert)}
_REMOVE = delete(content_grants).where(_g.content_id == _ID, _g.subject_id == _SUBJECT)


def set_grant(
    dialect_name: str, object_: ContentObject, subject_id: UUID, kind: SubjectKind, role: ContentRole
) -> Step:
    """Set the role of a subject on a locked object. Does nothing for the owner."""
    return step(
        _SET[dialect_name],
        content_id=object_.id,
        type=object_.type,
        subject_id=subject_id,
        kind=int(kind),
        role=int(role),
    )


def remove_grant(content_id: UUID, subject_id: UUID) -> Step:
    return step(_REMOVE, content_id=content_id, subject_id=subject_id)
