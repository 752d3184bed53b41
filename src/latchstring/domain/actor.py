"""Who acted, as history keeps it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ActorType(StrEnum):
    """Who acts. The order of the words is the contract's."""

    USER = "USER"
    ADMIN = "ADMIN"
    API_KEY = "API_KEY"
    OPERATOR = "OPERATOR"
    INVITEE = "INVITEE"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, as history keeps it: a kind and an id, never a name (names can be erased)."""

    type: ActorType
    id: UUID | None = None


SYSTEM = Actor(ActorType.SYSTEM)
OPERATOR = Actor(ActorType.OPERATOR)
