"""The current state of sponsors."""

from sqlalchemy import bindparam, select

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.principal import Sponsor
from latchstring.storage.engine.database import Work, step
from latchstring.storage.engine.tables import admins, users
from latchstring.storage.engine.types import Id

_USER = select(users.c.role, users.c.blocked).where(users.c.id == bindparam("id", type_=Id))
_ADMIN = select(admins.c.role, admins.c.deactivated_at).where(admins.c.id == bindparam("id", type_=Id))
_LOCK_USER, _LOCK_ADMIN = _USER.with_for_update(read=True), _ADMIN.with_for_update(read=True)


def load_sponsor(actor: Actor, *, lock: bool = False) -> Work[Sponsor]:
    """Load the sponsor inside a transaction. Only users and administrators can have changed.

    lock: block changes of the sponsor until the commit.
    """
    if actor.type is ActorType.USER:
        rows = yield step(_LOCK_USER if lock else _USER, id=actor.id)
        return Sponsor(actor.type, bool(rows), not (rows and rows[0].blocked), rows[0].role if rows else None)
    if actor.type is ActorType.ADMIN:
        rows = yield step(_LOCK_ADMIN if lock else _ADMIN, id=actor.id)
        is_active = bool(rows) and rows[0].deactivated_at is None
        return Sponsor(actor.type, bool(rows), is_active, rows[0].role if rows else None)
    return Sponsor(actor.type)
