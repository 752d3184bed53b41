"""Sessions: the tokens of Latchstring by the session id in the cookie of the browser."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2

RENEW_BEFORE_SECONDS = 30  # an access token is renewed this long before it expires


@dataclass
class Session:
    """The tokens of a user. The access token lives for minutes; the refresh token works once."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    renew_at: float
    renewal_lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sessions:
    """Stores sessions in memory, so a restart signs everybody out. With several processes, store them in a database."""

    def __init__(self, latchstring: httpx2.AsyncClient) -> None:
        self._latchstring = latchstring
        self._sessions: dict[str, Session] = {}

    def begin(self, body: dict[str, Any]) -> str:
        """Move the tokens from a response body into a new session. Returns its id, 256 random bits."""
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = _take_tokens(body)
        return session_id

    def end(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    async def find_authorization(self, session_id: str) -> dict[str, str]:
        """The Authorization header of a session, or no header. Raises httpx2.HTTPError if the renewal fails."""
        if (session := self._sessions.get(session_id)) is None:
            return {}
        async with session.renewal_lock:  # of two concurrent requests, one uses the refresh token and the other waits
            if time.monotonic() > session.renew_at:
                body = {"refreshToken": session.refresh_token}
                response = await self._latchstring.post("/api/auth/refresh", json=body)
                if response.status_code == HTTPStatus.UNAUTHORIZED:  # signed out, blocked, or away for too long
                    self.end(session_id)
                    return {}
                renewed = _take_tokens(response.raise_for_status().json())
                session.access_token, session.refresh_token = renewed.access_token, renewed.refresh_token
                session.renew_at = renewed.renew_at
            return {"Authorization": f"Bearer {session.access_token}"}


def _take_tokens(body: dict[str, Any]) -> Session:
    access_token, refresh_token = body.pop("accessToken"), body.pop("refreshToken")
    return Session(access_token, refresh_token, time.monotonic() + body.pop("expiresIn") - RENEW_BEFORE_SECONDS)
