"""Actors of events."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ActorType(StrEnum):
    """The kind of actor. The order of the values is part of the API contract."""

    USER = "USER"
    ADMIN = "ADMIN"
    API_KEY = "API_KEY"
    OPERATOR = "OPERATOR"
    INVITEE = "INVITEE"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, as stored in events: a type and an id. Names are not stored, because they can be erased."""

    type: ActorType
    id: UUID | None = None


SYSTEM = Actor(ActorType.SYSTEM)
OPERATOR = Actor(ActorType.OPERATOR)
