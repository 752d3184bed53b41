"""Who looks at the panel: the session cookie, the token of its forms, and the word kept for the next page.

Everything a browser is handed hangs on one seed: the session's token, or, before anybody has signed in, a random
value of the gate. The token of the forms is an HMAC of the seed, so it changes with every login and a cookie planted by
a sibling domain buys nothing. The word for the next page is signed by the seed, too: nobody else writes on our pages.
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

_SESSION, _GATE, _FLASH = "latchstring_admin", "latchstring_gate", "latchstring_said"
GATE_SECONDS = 60 * 60
FLASH_SECONDS = 60
LONGEST_FLASH = 400  # characters
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Flash:
    """What the last action came to. is_bad: it did not work; a screen reader then interrupts."""

    text: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Cookies:
    """The panel's cookies of one request. Behind TLS their names are locked to this host (RFC 6265bis, `__Host-`)."""

    secure: bool
    session: str | None
    gate: str | None
    flash: Flash | None

    @property
    def seed(self) -> str:
        return self.session or self.gate or ""

    @property
    def csrf(self) -> str:
        """The token every form carries."""
        return _sign(self.seed, b"form").hex()


def read_cookies(scope: Scope, app: App) -> Cookies:
    """What this browser carries. Without any of it, there is no seed and no form is accepted."""
    secure = is_secure(app)
    session = find_cookie(scope, _name(_SESSION, secure).encode()) or None
    gate = find_cookie(scope, _name(_GATE, secure).encode()) or None
    said = find_cookie(scope, _name(_FLASH, secure).encode()) or ""
    return Cookies(secure, session, gate, _read_flash(said, session or gate or ""))


def is_secure(app: App) -> bool:
    return app.public_url.startswith("https:")


def new_gate() -> str:
    """192 bits nobody can guess, for a browser in which nobody has signed in."""
    return secrets.token_urlsafe(24)


def session_cookie(token: str, *, seconds: int, secure: bool) -> bytes:
    """The cookie of a session; with seconds=0 the browser forgets it."""
    return make_cookie(_name(_SESSION, secure), token, max_age=seconds, secure=secure)


def gate_cookie(gate: str, *, secure: bool) -> bytes:
    return make_cookie(_name(_GATE, secure), gate, max_age=GATE_SECONDS if gate else 0, secure=secure)


def flash_cookie(flash: Flash, seed: str, *, secure: bool) -> bytes:
    """Keep a word for the next page."""
    # not escaped: a cookie above 4096 bytes is dropped, and in most scripts an escape is three times as long
    body = json.dumps([flash.text[:LONGEST_FLASH], flash.is_bad], ensure_ascii=False).encode()
    value = base64.urlsafe_b64encode(_sign(seed, b"said", body) + body).decode().rstrip("=")
    return make_cookie(_name(_FLASH, secure), value, max_age=FLASH_SECONDS, secure=secure)


def no_flash_cookie(*, secure: bool) -> bytes:
    return make_cookie(_name(_FLASH, secure), "", max_age=0, secure=secure)


def _name(name: str, secure: bool) -> str:  # noqa: FBT001  # part of the name
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
    text, is_bad = json.loads(body)
    return Flash(text, is_bad)
