"""The tokens that links carry: compact JWS (RFC 7515), HS256, made from a row and the master key, stored nowhere.

A token names its subject, a generation and how it left. It proves only that this installation made it; whether it
still opens anything, the row decides. The same row gives the same token each time, so a mail that is sent again after
a failure carries the same link. Each purpose signs under a key of its own, so no token serves another route.
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

ENCODED_HEADER = "eyJhbGciOiJIUzI1NiJ9"  # {"alg":"HS256"}; a token that begins otherwise is not ours
LONGEST = 1024  # characters; ours have about 300
MASK = "••••"
_encode_payload = json.JSONEncoder(separators=(",", ":")).encode


class Purpose(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password-reset"  # noqa: S105  # the name of a purpose
    EMAIL_VERIFICATION = "email-verification"
    ADMIN_SET_UP = "admin-set-up"


class TokenRefused(Exception):
    """Not made by this installation for this purpose. Why stays untold."""


@dataclass(frozen=True, slots=True)
class LinkToken:
    """What a token says. Times are information for clients; the row decides."""

    subject_id: UUID
    generation: int
    channel: Channel
    starts_at: datetime
    expires_at: datetime


class LinkTokens:
    """Makes and checks the tokens of one installation."""

    def __init__(self, keyring: Keyring, installation_id: UUID) -> None:
        self._keyring = keyring
        self._audience = str(installation_id)
        self._keys: dict[tuple[str, Purpose], _PurposeKey] = {}

    def sign(self, purpose: Purpose, token: LinkToken, *, master_key_id: str | None = None) -> str:
        """The token as text; deterministic. Raises TokenRefused when the key it was first made with is gone.

        Every invitation that is shown is signed, for its mask. Written out, that takes a quarter of the library's time;
        the library checks what comes back.
        """
        key = self._keyring.current if master_key_id is None else self._keyring.find(master_key_id)
        if key is None:
            raise TokenRefused("the master key of this link has been removed")
        payload = {
            "sub": str(token.subject_id),
            "gen": token.generation,
            "via": token.channel.value,
            "aud": self._audience,
            "iat": int(token.starts_at.timestamp()),
            "exp": int(token.expires_at.timestamp()),
            "kid": key.id,
        }
        signed = f"{ENCODED_HEADER}.{_encode(_encode_payload(payload).encode())}"  # RFC 7515 section 5.1
        signature = hmac.digest(self._key(key, purpose).secret, signed.encode("ascii"), hashlib.sha256)
        return f"{signed}.{_encode(signature)}"

    def verify(self, purpose: Purpose, text: str) -> LinkToken:
        """The content of a genuine token. Raises TokenRefused for everything else, without saying why.

        The verifier fixes the algorithm; `kid` is read before the signature is known to be good and therefore only
        picks among our own keys.
        """
        key = self._named_key(text)
        try:
            signed = jws.deserialize_compact(text, self._key(key, purpose).oct_key, algorithms=["HS256"])
            return self._read(json.loads(signed.payload))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise TokenRefused from error

    def _named_key(self, text: str) -> MasterKey:
        header, _, rest = text.partition(".")
        payload, _, signature = rest.partition(".")
        if header != ENCODED_HEADER or not signature or len(text) > LONGEST or not text.isascii():
            raise TokenRefused
        try:
            said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (ValueError, binascii.Error, RecursionError) as error:
            raise TokenRefused from error
        key = self._keyring.find(said.get("kid", "")) if isinstance(said, dict) else None
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
        known = self._keys.get((key.id, purpose))
        if known is None or known.master != key:
            secret = key.derive(f"link/{purpose}")
            known = self._keys[key.id, purpose] = _PurposeKey(key, secret, OctKey.import_key(secret))
        return known


@dataclass(frozen=True, slots=True)
class _PurposeKey:
    master: MasterKey
    secret: bytes = field(repr=False)
    oct_key: OctKey = field(repr=False)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def mask_token(token: str) -> str:
    """What may be shown of a token: the last four characters of its signature."""
    return MASK + token[-4:]
