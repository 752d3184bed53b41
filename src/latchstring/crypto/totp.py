"""Codes of authenticator apps (RFC 6238): SHA-1, six digits, a new one every 30 seconds, as every such app takes them.

A code is good for its own step and the one before and after, for clocks differ (section 5.2); whoever checks one
remembers the step, for a code is good once.
"""

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

SECRET_BYTES = 20  # the length of the hash, RFC 4226 section 4
STEP_SECONDS = 30
DIGITS = 6
WINDOW = (0, -1, 1)


def new_totp_secret() -> bytes:
    """160 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def totp_code(secret: bytes, step: int) -> str:
    """The code of one step of 30 seconds since 1970."""
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()  # noqa: S303  # apps know nothing newer; HMAC holds


def step_at(now: datetime) -> int:
    """The step an instant lies in."""
    return int(now.timestamp()) // STEP_SECONDS


def find_step(secret: bytes, code: str, *, now: datetime) -> int | None:
    """The step whose code this is, as near to the instant as clocks may differ; None for a wrong one."""
    present = step_at(now)
    matches = [present + away for away in WINDOW if _is_same(totp_code(secret, present + away), code)]
    return matches[0] if matches else None


def _is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def secret_text(secret: bytes) -> str:
    """The secret as apps take it by hand: groups of four letters and digits."""
    letters = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def enrolment_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """What a QR code tells an authenticator app. It holds the secret.

    Source: the Key Uri Format of Google Authenticator, which all of them read. A colon parts issuer and account.
    """
    name = issuer.replace(":", " ").strip() or "Latchstring"
    label = f"{quote(name, safe='')}:{quote(account, safe='@')}"
    letters = base64.b32encode(secret).decode().rstrip("=")
    query = {"secret": letters, "issuer": name, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
