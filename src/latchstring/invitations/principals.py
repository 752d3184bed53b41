"""The principal of a background job: the actor with their present permissions, not those at the time of the request."""

from datetime import datetime

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.storage.admins.admins import find_admin
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.invitations.sponsors import load_sponsor
from latchstring.storage.users.api_keys import find_key, load_key_validity
from latchstring.storage.users.users import find_user
from latchstring.users.service import Users


async def find_principal(db: Database, accounts: Users, actor: Actor, *, now: datetime) -> Principal | None:
    """The actor with their present permissions; None when removed, blocked, deactivated, revoked or expired."""
    if actor.type is ActorType.OPERATOR:
        return OPERATOR_PRINCIPAL
    if actor.id is None:
        return None
    match actor.type:
        case ActorType.USER:
            user = await find_user(db, actor.id)
            return accounts.principal_of(user) if user is not None and not user.blocked else None
        case ActorType.ADMIN:
            admin = await find_admin(db, actor.id)
            return principal_of_admin(admin) if admin is not None and admin.deactivated_at is None else None
        case ActorType.API_KEY:
            key = await find_key(db, actor.id)
            is_over = key is None or (key.expires_at is not None and key.expires_at <= now)
            return None if key is None or is_over else key.principal
    return None


def load_authority(actor: Actor, *, now: datetime, hold: bool = False) -> Work[object]:
    """Everything that decides what the actor may do. Compare it before validation and in the transaction.

    False for a key that no longer works. hold: lock it, so that changes to the actor's rights wait for the commit.
    """
    if actor.type is ActorType.API_KEY:
        return (yield from load_key_validity(actor.id, now=now, hold=hold))
    return (yield from load_sponsor(actor, lock=hold))
