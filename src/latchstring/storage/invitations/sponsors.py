"""Whoever sent a link, as he stands now."""

from sqlalchemy import bindparam, select

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.principal import Sponsor
from latchstring.storage.engine.database import Work, step
from latchstring.storage.engine.tables import admins, users
from latchstring.storage.engine.types import Id

_USER = select(users.c.role, users.c.blocked).where(users.c.id == bindparam("id", type_=Id))
_ADMIN = select(admins.c.role, admins.c.deactivated_at).where(admins.c.id == bindparam("id", type_=Id))
_HOLD_USER, _HOLD_ADMIN = _USER.with_for_update(read=True), _ADMIN.with_for_update(read=True)


def load_sponsor(actor: Actor, *, hold: bool = False) -> Work[Sponsor]:
    """The sponsor inside a transaction; only users and admins can lose what they had.

    hold: nobody takes anything from him until the commit.
    """
    if actor.type is ActorType.USER:
        rows = yield step(_HOLD_USER if hold else _USER, id=actor.id)
        return Sponsor(actor.type, bool(rows), not (rows and rows[0].blocked), rows[0].role if rows else None)
    if actor.type is ActorType.ADMIN:
        rows = yield step(_HOLD_ADMIN if hold else _ADMIN, id=actor.id)
        active = bool(rows) and rows[0].deactivated_at is None
        return Sponsor(actor.type, bool(rows), active, rows[0].role if rows else None)
    return Sponsor(actor.type)
