"""Codes of authenticator apps (RFC 6238): SHA-1, six digits, a new code every 30 seconds, which all apps support.

A code is valid in its own step, in the one before and in the one after, because clocks differ (section 5.2). Callers
must store the step of an accepted code and reject it afterwards, so that an observed code cannot be replayed.
"""

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

SECRET_BYTES = 20  # 160 bits, as RFC 4226 section 4 recommends
STEP_SECONDS = 30
DIGITS = 6
WINDOW = (0, -1, 1)  # three valid codes at a time: a guess succeeds with 3 in 10^6, so callers must limit attempts


def new_totp_secret() -> bytes:
    """Create a secret of 160 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def totp_code(secret: bytes, step: int) -> str:
    """Compute the code of a step, counted in 30 seconds since 1970."""
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()  # noqa: S303  # many apps support only SHA-1; collisions do not weaken HMAC


def step_at(now: datetime) -> int:
    """Return the step of an instant."""
    return int(now.timestamp()) // STEP_SECONDS


def find_step(secret: bytes, code: str, *, now: datetime) -> int | None:
    """Return the step in the window that has this code, None if the code is wrong."""
    present = step_at(now)
    # All steps are compared, so that the time does not depend on which one matches.
    matches = [present + offset for offset in WINDOW if _is_same(totp_code(secret, present + offset), code)]
    return matches[0] if matches else None


def _is_same(expected: str, code: str) -> bool:
    # In constant time. "surrogatepass" because the code is untrusted text, which may contain lone surrogates.
    return hmac.compare_digest(expected.encode(), code.encode("utf-8", "surrogatepass"))


def format_secret(secret: bytes) -> str:
    """Format a secret for typing into an app: base32 in groups of four characters."""
    encoded = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(encoded[i : i + 4] for i in range(0, len(encoded), 4))


def enrolment_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Build the URI for the QR code of an authenticator app. It contains the secret.

    Source: the Key Uri Format of Google Authenticator, which all apps read.
    """
    # A colon separates issuer and account, so the issuer must not contain one.
    name = issuer.replace(":", " ").strip() or "Latchstring"
    label = f"{quote(name, safe='')}:{quote(account, safe='@')}"
    encoded = base64.b32encode(secret).decode().rstrip("=")
    query = {"secret": encoded, "issuer": name, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
