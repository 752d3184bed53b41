"""Changes by administrators to their own account: name, language, password and sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.second_factors import SecondFactors
from latchstring.admins.sessions import IDLE_LIFETIME, AuthenticatedAdmin, NewAdminSession, actor_of
from latchstring.crypto.opaque_tokens import new_opaque_token
from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import AdminSession
from latchstring.domain.errors import CredentialInvalid, InvalidFields
from latchstring.domain.event import Event, new_event
from latchstring.domain.ids import new_id
from latchstring.events.record import record
from latchstring.storage.admins.admins import change_admin_password, set_admin_profile
from latchstring.storage.admins.sessions import (
    end_admin_session,
    end_admin_sessions,
    list_admin_sessions,
    rotate_admin_session,
)
from latchstring.storage.engine.database import Step, Work


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """An administrator's own account."""

    deps: AdminDependencies
    second_factors: SecondFactors

    async def change(self, by: AuthenticatedAdmin, *, name: str, locale: str | None) -> None:
        """Change name and language. The panel validates both."""
        admin, now = by.admin, self.deps.clock()
        changed = [
            field for field, differs in (("name", name != admin.name), ("locale", locale != admin.locale)) if differs
        ]
        event = new_event("admin.updated", admin.id, by=actor_of(admin.id), now=now, fields=changed)

        def work() -> Work[None]:
            yield set_admin_profile(admin.id, name=name, locale=locale)
            yield record(event)

        if changed:
            await self.deps.db.transact(work)

    async def change_password(self, by: AuthenticatedAdmin, current: str, new: str, *, network: str) -> NewAdminSession:
        """Change the password. This session gets a new token, all others end, and set-up links stop working.

        network: of the client. Raises TooManyRequests after many guesses of the password, InvalidFields with
        `/currentPassword` and `/password`, CredentialInvalid when the session has ended.
        """
        admin = by.admin
        await self.second_factors.check_own_password(admin, current, network=network, pointer="/currentPassword")
        problems = check_policy(new, self.deps.rules, email=admin.email, names=[admin.name])
        if problems:
            raise InvalidFields(problems)
        new_hash = await self.deps.passwords.hash(new)
        now, token = self.deps.clock(), new_opaque_token()
        event = new_event("admin.password_set", admin.id, by=actor_of(admin.id), now=now, via="account")

        def work() -> Work[None]:
            known = admin.password_hash or ""
            changed = yield change_admin_password(admin.id, verified_hash=known, password_hash=new_hash)
            if not changed or not (yield rotate_admin_session(by.session_id, token.digest, now=now)):
                raise CredentialInvalid("This session has ended. Sign in again.")
            yield end_admin_sessions(admin.id, now=now, except_id=by.session_id)
            yield record(event)

        await self.deps.db.transact(work)
        return NewAdminSession(token.token, awaits_code=False, expires_at=by.session.expires_at, admin=admin)

    async def list_sessions(self, by: AuthenticatedAdmin) -> Sequence[AdminSession]:
        """The administrator's sessions, most recently used first."""
        now = self.deps.clock()
        return await list_admin_sessions(self.deps.db, by.admin.id, now=now, idle_since=now - IDLE_LIFETIME)

    async def end_session(self, by: AuthenticatedAdmin, session_id: UUID) -> int:
        """End one of the administrator's sessions; 0 if it has ended or is somebody else's."""
        return await self._end_and_record(
            by, end_admin_session(session_id, admin_id=by.admin.id, now=self.deps.clock())
        )

    async def end_other_sessions(self, by: AuthenticatedAdmin) -> int:
        """End all of the administrator's sessions but the present one; returns how many."""
        return await self._end_and_record(
            by, end_admin_sessions(by.admin.id, now=self.deps.clock(), except_id=by.session_id)
        )

    async def _end_and_record(self, by: AuthenticatedAdmin, step: Step) -> int:
        admin_id = by.admin.id
        event_id = new_id(self.deps.clock())

        def work() -> Work[int]:
            ended = len((yield step))
            if ended:
                data = {"count": ended}
                yield record(Event(event_id, admin_id, "admin.sessions_ended", actor_of(admin_id), data))
            return ended

        return await self.deps.db.transact(work)
