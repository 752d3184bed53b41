"""API keys, with which backends authenticate."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.ids import id_instant
from latchstring.domain.principal import Principal


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Scopes of a key and what it may grant; `*` in may_grant means every role. The key itself is not stored."""

    id: UUID
    name: str
    scopes: frozenset[str]
    may_grant: frozenset[str]
    may_grant_groups: frozenset[str]
    created_by: Actor
    expires_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    @property
    def principal(self) -> Principal:
        """The principal of requests with this key."""
        return Principal(ActorType.API_KEY, self.id, self.name, self.scopes, self.may_grant, self.may_grant_groups)
