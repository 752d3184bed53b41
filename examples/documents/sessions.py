"""Who is signed in: Latchstring's tokens, kept by the name that the browser's cookie holds."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2

EARLY = 30  # seconds before its end an access token is renewed


@dataclass
class Session:
    """One person's tokens. The access token lives for minutes; the refresh token is good once."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    renew_at: float
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sessions:
    """Kept in memory: a restart signs everybody out. An app with several processes keeps them in its database."""

    def __init__(self, latchstring: httpx2.AsyncClient) -> None:
        self._latchstring = latchstring
        self._kept: dict[str, Session] = {}

    def begin(self, body: dict[str, Any]) -> str:
        """Move the tokens out of an answer into a new session. Returns its name, 256 random bits."""
        name = secrets.token_urlsafe(32)
        self._kept[name] = _take_tokens(body)
        return name

    def end(self, name: str) -> None:
        self._kept.pop(name, None)

    async def find_authorization(self, name: str) -> dict[str, str]:
        """The header for requests of this session, or none. Raises httpx2.HTTPError if it cannot be renewed now."""
        if (session := self._kept.get(name)) is None:
            return {}
        async with session.renewing:  # of two requests at once, one spends the refresh token, and the other waits
            if time.monotonic() > session.renew_at:
                spent = {"refreshToken": session.refresh_token}
                answer = await self._latchstring.post("/api/auth/refresh", json=spent)
                if answer.status_code == HTTPStatus.UNAUTHORIZED:  # signed out, blocked, or away for too long
                    self.end(name)
                    return {}
                fresh = _take_tokens(answer.raise_for_status().json())
                session.access_token, session.refresh_token = fresh.access_token, fresh.refresh_token
                session.renew_at = fresh.renew_at
            return {"Authorization": f"Bearer {session.access_token}"}


def _take_tokens(body: dict[str, Any]) -> Session:
    access_token, refresh_token = body.pop("accessToken"), body.pop("refreshToken")
    return Session(access_token, refresh_token, time.monotonic() + body.pop("expiresIn") - EARLY)
