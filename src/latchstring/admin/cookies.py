"""Panel cookies: session, pre-session and flash message.

The CSRF seed is the session token or, before sign-in, the random value of the pre-session cookie. The CSRF token of
the forms is an HMAC of the seed, so it changes with every sign-in, and an attacker who sets a cookie from a sibling
domain gains nothing. The flash message is signed with the seed as well, so that nobody else can put text on a page.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from starlette.types import Scope

from latchstring.domain.settings import App
from latchstring.http.authentication import make_cookie
from latchstring.http.scope import find_cookie

_SESSION, _PRE_SESSION, _FLASH = "latchstring_admin", "latchstring_gate", "latchstring_said"
PRE_SESSION_SECONDS = 60 * 60
FLASH_SECONDS = 60
MAX_FLASH_LENGTH = 400  # characters
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Flash:
    """The result of the last action. is_bad: it failed, and screen readers announce it at once. key: of the message."""

    text: str
    is_bad: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Cookies:
    """The panel's cookies of one request. With TLS their names bind them to this host (`__Host-`, RFC 6265bis)."""

    secure: bool
    session: str | None
    pre_session: str | None
    flash: Flash | None

    @property
    def csrf_seed(self) -> str:
        return self.session or self.pre_session or ""

    @property
    def csrf(self) -> str:
        """The CSRF token of every form; empty without a seed."""
        return _sign(self.csrf_seed, b"form").hex() if self.csrf_seed else ""


def read_cookies(scope: Scope, app: App) -> Cookies:
    """Read the cookies of a request. Without a session and a pre-session there is no seed, so no form is accepted."""
    secure = app.is_https
    session = find_cookie(scope, _name(_SESSION, secure).encode()) or None
    pre_session = find_cookie(scope, _name(_PRE_SESSION, secure).encode()) or None
    flash = find_cookie(scope, _name(_FLASH, secure).encode()) or ""
    return Cookies(secure, session, pre_session, _read_flash(flash, session or pre_session or ""))


def new_pre_session() -> str:
    """Create the random value of a browser without a session: 192 bits."""
    return secrets.token_urlsafe(24)


def session_cookie(token: str, *, seconds: int, secure: bool) -> bytes:
    """The cookie of a session; seconds=0 deletes it."""
    return make_cookie(_name(_SESSION, secure), token, max_age=seconds, secure=secure)


def pre_session_cookie(value: str, *, secure: bool) -> bytes:
    """The cookie of a pre-session; an empty value deletes it."""
    return make_cookie(_name(_PRE_SESSION, secure), value, max_age=PRE_SESSION_SECONDS if value else 0, secure=secure)


def flash_cookie(flash: Flash, seed: str, *, secure: bool) -> bytes:
    """The cookie that carries a message to the next page."""
    # not escaped: a cookie above 4096 bytes is dropped, and in most scripts an escape is three times as long
    body = json.dumps([flash.text[:MAX_FLASH_LENGTH], flash.is_bad, flash.key], ensure_ascii=False).encode()
    value = base64.urlsafe_b64encode(_sign(seed, b"said", body) + body).decode().rstrip("=")
    return make_cookie(_name(_FLASH, secure), value, max_age=FLASH_SECONDS, secure=secure)


def expired_flash_cookie(*, secure: bool) -> bytes:
    return make_cookie(_name(_FLASH, secure), "", max_age=0, secure=secure)


def _name(name: str, secure: bool) -> str:  # noqa: FBT001  # part of the cookie's name
    return f"__Host-{name}" if secure else name


def _sign(seed: str, purpose: bytes, body: bytes = b"") -> bytes:
    return hmac.digest(seed.encode(), purpose + b"\0" + body, hashlib.sha256)[:_MAC_BYTES]


def _read_flash(value: str, seed: str) -> Flash | None:
    if not value or not seed:
        return None
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return None
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _sign(seed, b"said", body)):
        return None
    return Flash(*json.loads(body))
