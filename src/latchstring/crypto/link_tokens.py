"""Tokens of links: compact JWS (RFC 7515) with HS256, made from a row and the master key.

A token contains its subject, a generation and the delivery channel. It proves only that this installation made it;
the row decides whether it is still valid. Tokens are never stored, so the database alone reveals no link and is not
enough to forge one. They are deterministic, so a mail that is sent again after a failure contains the same link. Each
purpose has its own signing key, so that no token is accepted for another purpose.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from latchstring.crypto.keyring import Keyring, MasterKey
from latchstring.domain.invitation import Channel

# {"alg":"HS256"}. A token with any other header is rejected unread, which rules out algorithm confusion (RFC 8725
# section 3.1) and headers such as `jku` or `crit`.
ENCODED_HEADER = "eyJhbGciOiJIUzI1NiJ9"
MAX_TOKEN_LENGTH = 1024  # characters; a genuine token has about 300
MASK = "••••"
_encode_payload = json.JSONEncoder(separators=(",", ":")).encode


class Purpose(StrEnum):
    """The purpose of a link. Each has its own signing key."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password-reset"  # noqa: S105  # a name, not a password
    EMAIL_VERIFICATION = "email-verification"
    ADMIN_SET_UP = "admin-set-up"


class TokenRefused(Exception):
    """The token was not made by this installation for this purpose. The reason is hidden from attackers."""


@dataclass(frozen=True, slots=True)
class LinkToken:
    """The content of a token. The times are only informative: the row decides about validity."""

    subject_id: UUID
    generation: int
    channel: Channel
    starts_at: datetime
    expires_at: datetime


class LinkTokens:
    """Signs and verifies the link tokens of one installation."""

    def __init__(self, keyring: Keyring, installation_id: UUID) -> None:
        self._keyring = keyring
        self._audience = str(installation_id)
        self._keys: dict[tuple[str, Purpose], _PurposeKey] = {}

    def sign(self, purpose: Purpose, token: LinkToken, *, master_key_id: str | None = None) -> str:
        """Encode and sign a token. The same input gives the same text.

        master_key_id: the key that first signed it. Raises TokenRefused if that key has been removed.
        """
        # Signed without the library, in a quarter of its time: every invitation in a list is signed for its masked
        # token. Verification uses the library.
        key = self._keyring.current if master_key_id is None else self._keyring.find(master_key_id)
        if key is None:
            raise TokenRefused("the master key of this link has been removed")
        payload = {
            "sub": str(token.subject_id),
            "gen": token.generation,
            "via": token.channel.value,
            "aud": self._audience,  # another installation with the same master key does not accept the token
            "iat": int(token.starts_at.timestamp()),
            "exp": int(token.expires_at.timestamp()),
            "kid": key.id,
        }
        signed = f"{ENCODED_HEADER}.{_encode(_encode_payload(payload).encode())}"  # RFC 7515 section 5.1
        signature = hmac.digest(self._key(key, purpose).secret, signed.encode("ascii"), hashlib.sha256)
        return f"{signed}.{_encode(signature)}"

    def verify(self, purpose: Purpose, token: str) -> LinkToken:
        """Verify a token and return its content. Raises TokenRefused for any other text."""
        key = self._find_key(token)
        try:
            # joserfc compares the signature in constant time.
            signed = jws.deserialize_compact(token, self._key(key, purpose).oct_key, algorithms=["HS256"])
            return self._read(json.loads(signed.payload))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise TokenRefused from error

    def _find_key(self, token: str) -> MasterKey:
        # `kid` is in the payload and read before the signature is verified. It only selects among our own keys.
        header, _, rest = token.partition(".")
        payload, _, signature = rest.partition(".")
        if header != ENCODED_HEADER or not signature or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise TokenRefused
        try:
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (ValueError, binascii.Error, RecursionError) as error:
            raise TokenRefused from error
        key = self._keyring.find(claims.get("kid", "")) if isinstance(claims, dict) else None
        if key is None:
            raise TokenRefused
        return key

    def _read(self, payload: dict[str, object]) -> LinkToken:
        if payload["aud"] != self._audience:
            raise TokenRefused
        generation, start, end = payload["gen"], payload["iat"], payload["exp"]
        if not isinstance(generation, int) or not isinstance(start, int) or not isinstance(end, int):
            raise TokenRefused
        return LinkToken(
            UUID(str(payload["sub"])),
            generation,
            Channel(str(payload["via"])),
            datetime.fromtimestamp(start, UTC),
            datetime.fromtimestamp(end, UTC),
        )

    def _key(self, key: MasterKey, purpose: Purpose) -> "_PurposeKey":
        cached = self._keys.get((key.id, purpose))
        if cached is None or cached.master != key:
            secret = key.derive(f"link/{purpose}")
            cached = self._keys[key.id, purpose] = _PurposeKey(key, secret, OctKey.import_key(secret))
        return cached


@dataclass(frozen=True, slots=True)
class _PurposeKey:
    master: MasterKey
    secret: bytes = field(repr=False)
    oct_key: OctKey = field(repr=False)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def mask_token(token: str) -> str:
    """Return a masked token: only the last four of the 43 characters of its signature, which are 22 bits of 256."""
    return MASK + token[-4:]
