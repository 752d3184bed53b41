"""Search the audit log."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.pagination import Cursor, Page
from latchstring.domain.principal import Principal
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter
from latchstring.formats.email_address import find_email_key
from latchstring.storage.events.audit_log import find_actors_by_name, find_objects_by_name, list_audit

READ = "audit:read"
BATCH = 1000  # entries of an export that are in memory at once
PAGE = 50


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Reads the events of all objects."""

    deps: BackofficeDependencies

    async def list(self, filters: AuditFilter, *, by: Principal, cursor: Cursor | None = None) -> Page[AuditEntry]:
        """A page of entries, newest first."""
        by.require(READ)
        return await list_audit(self.deps.db, filters, cursor=cursor, limit=PAGE)

    async def stream(self, filters: AuditFilter, *, by: Principal) -> AsyncIterator[AuditEntry]:
        """Every entry, newest first. At most one batch is in memory."""
        by.require(READ)
        cursor: Cursor | None = None
        while True:
            page = await list_audit(self.deps.db, filters, cursor=cursor, limit=BATCH)
            for entry in page.items:
                yield entry
            cursor = page.next
            if cursor is None:
                return

    async def find_actors(self, text: str, *, by: Principal) -> tuple[UUID, ...]:
        """Ids of the actors with this id, address, or name of an API key."""
        by.require(READ)
        return _parse_id(text) or await find_actors_by_name(self.deps.db, find_email_key(text) or text, text)

    async def find_objects(self, text: str, *, by: Principal) -> tuple[UUID, ...]:
        """Ids of the subjects with this id, address, group key, `type/key`, or name of an API key."""
        by.require(READ)
        return _parse_id(text) or await find_objects_by_name(self.deps.db, find_email_key(text) or text, text)


def _parse_id(text: str) -> tuple[UUID, ...]:
    try:
        return (UUID(text),)
    except ValueError:
        return ()
