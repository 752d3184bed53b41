"""Looking into history."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.pagination import Cursor, Page
from latchstring.domain.principal import Principal
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter
from latchstring.formats.email_address import AddressRefused, parse_address
from latchstring.storage.events.audit_log import find_actors_called, find_objects_called, list_audit

READ = "audit:read"
BATCH = 1000  # entries of an export in memory
PAGE = 50


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Reads history across all objects. Nothing here writes any."""

    deps: BackofficeDependencies

    async def list(self, wanted: AuditFilter, *, by: Principal, cursor: Cursor | None = None) -> Page[AuditEntry]:
        """A page, newest first."""
        by.require(READ)
        return await list_audit(self.deps.db, wanted, cursor=cursor, limit=PAGE)

    async def stream(self, wanted: AuditFilter, *, by: Principal) -> AsyncIterator[AuditEntry]:
        """Every entry, newest first, a batch in memory at a time."""
        by.require(READ)
        cursor: Cursor | None = None
        while True:
            page = await list_audit(self.deps.db, wanted, cursor=cursor, limit=BATCH)
            for entry in page.items:
                yield entry
            cursor = page.next
            if cursor is None:
                return

    async def find_actors(self, text: str, *, by: Principal) -> tuple[UUID, ...]:
        """Whom somebody means by an id, an address, or the name of an API key."""
        by.require(READ)
        return _as_id(text) or await find_actors_called(self.deps.db, _canonical(text), text)

    async def find_objects(self, text: str, *, by: Principal) -> tuple[UUID, ...]:
        """What somebody means by an id, an address, the key of a group, `type/key`, or the name of an API key."""
        by.require(READ)
        return _as_id(text) or await find_objects_called(self.deps.db, _canonical(text), text)


def _as_id(text: str) -> tuple[UUID, ...]:
    try:
        return (UUID(text),)
    except ValueError:
        return ()


def _canonical(text: str) -> str:
    try:
        return parse_address(text).email_key
    except AddressRefused:
        return text
