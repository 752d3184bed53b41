"""Withdraw the grants of open invitations on objects."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.event import new_event
from latchstring.events.record import record
from latchstring.storage.content.invitations import withdraw_grants
from latchstring.storage.content.objects import share_lock_objects
from latchstring.storage.engine.database import Work


def withdraw_invitation_grants(
    invitation_id: UUID, object_ids: Sequence[UUID], *, by: Actor, now: datetime
) -> Work[bool]:
    """Withdraw the grants of a pending invitation on these objects; an invitation with no other grant is revoked.

    False when there was nothing to withdraw.
    """
    yield from share_lock_objects(object_ids)  # targets before invitations: one order of locks, so nothing deadlocks
    ended, is_revoked = yield from withdraw_grants(invitation_id, object_ids, now=now)
    if is_revoked:
        cause = "withdrawn-by-maintainer"
        yield record(new_event("invitation.revoked", invitation_id, by=by, now=now, cause=cause))
    elif ended:
        objects = sorted(str(id_) for id_ in ended)
        yield record(new_event("invitation.reduced", invitation_id, by=by, now=now, objects=objects))
    return bool(ended)
