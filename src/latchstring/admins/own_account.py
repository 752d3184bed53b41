"""What administrators change about themselves: name, language, password, and where they are signed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.second_factors import SecondFactors
from latchstring.admins.sessions import IDLE_LIFETIME, AuthenticatedAdmin, NewAdminSession, actor_of
from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import AdminSession
from latchstring.domain.errors import CredentialInvalid, InvalidFields
from latchstring.domain.event import Event, happened
from latchstring.domain.ids import new_id
from latchstring.events.record import record
from latchstring.storage.admins.admins import change_admin_password, set_admin_profile
from latchstring.storage.admins.sessions import (
    end_admin_session,
    end_admin_sessions,
    list_admin_sessions,
    new_session_token,
    rotate_admin_session,
)
from latchstring.storage.engine.database import Step, Work


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """An administrator's own account."""

    deps: AdminDependencies
    second_factors: SecondFactors

    async def change(self, visit: AuthenticatedAdmin, *, name: str, locale: str | None) -> None:
        """Keep another name and language. Both are checked by the face."""
        admin, now = visit.admin, self.deps.clock()
        changed = [
            field for field, differs in (("name", name != admin.name), ("locale", locale != admin.locale)) if differs
        ]
        event = happened("admin.updated", admin.id, by=actor_of(admin.id), now=now, fields=changed)

        def work() -> Work[None]:
            yield set_admin_profile(admin.id, name=name, locale=locale)
            yield record(event)

        if changed:
            await self.deps.db.transact(work)

    async def change_password(self, visit: AuthenticatedAdmin, current: str, new: str) -> NewAdminSession:
        """Set another password. This session goes on under another token, all others end, and set-up links die.

        Raises InvalidFields with `/currentPassword` and `/password`, CredentialInvalid when the session has ended.
        """
        admin = visit.admin
        await self.second_factors.check_own_password(admin, current, pointer="/currentPassword")
        problems = check_policy(new, self.deps.rules, email=admin.email, names=[admin.name])
        if problems:
            raise InvalidFields(problems)
        hashed = await self.deps.passwords.hash(new)
        now, token = self.deps.clock(), new_session_token()
        event = happened("admin.password_set", admin.id, by=actor_of(admin.id), now=now, via="account")

        def work() -> Work[None]:
            known = admin.password_hash or ""
            changed = yield change_admin_password(admin.id, verified_hash=known, password_hash=hashed)
            if not changed or not (yield rotate_admin_session(visit.session_id, token.digest, now=now)):
                raise CredentialInvalid("This session has ended. Sign in again.")
            yield end_admin_sessions(admin.id, now=now, but=visit.session_id)
            yield record(event)

        await self.deps.db.transact(work)
        return NewAdminSession(token.text, awaits_code=False, expires_at=visit.session.expires_at, admin=admin)

    async def list_sessions(self, visit: AuthenticatedAdmin) -> Sequence[AdminSession]:
        """Where the administrator is signed in, the one used last first."""
        now = self.deps.clock()
        return await list_admin_sessions(self.deps.db, visit.admin.id, now=now, idle_since=now - IDLE_LIFETIME)

    async def end_session(self, visit: AuthenticatedAdmin, session_id: UUID) -> int:
        """Sign out another browser, or this one. Nothing happens to a session that is over or somebody else's."""
        return await self._end_own(visit, end_admin_session(session_id, admin_id=visit.admin.id, now=self.deps.clock()))

    async def end_other_sessions(self, visit: AuthenticatedAdmin) -> int:
        """Sign out everywhere but here; returns how many sessions that ended."""
        return await self._end_own(
            visit, end_admin_sessions(visit.admin.id, now=self.deps.clock(), but=visit.session_id)
        )

    async def _end_own(self, visit: AuthenticatedAdmin, ending: Step) -> int:
        admin_id = visit.admin.id
        event_id = new_id(self.deps.clock())

        def work() -> Work[int]:
            ended = len((yield ending))
            if ended:
                data = {"count": ended}
                yield record(Event(event_id, admin_id, "admin.sessions_ended", actor_of(admin_id), data))
            return ended

        return await self.deps.db.transact(work)
