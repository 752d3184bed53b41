"""Access tokens: short-lived JWTs (RFC 7519, RFC 9068) that the app can check by itself against our JWKS.

Ed25519 keys are derived from the master keys, so they rotate and overlap with them. We fix the algorithm; `kid` only
picks among our own keys. A good token is not yet a good session: that the database says, on every request.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from latchstring.crypto.keyring import Keyring, MasterKey
from latchstring.domain.account import User
from latchstring.domain.errors import CredentialInvalid

ALGORITHM = "EdDSA"  # the contract's name; RFC 9864 calls it Ed25519 since, and libraries of apps know this one
TYPE = "at+jwt"  # RFC 9068 section 2.1: keeps other JWTs of ours from passing for access tokens
LONGEST = 65_536  # characters; a token names every group of its user


class _OnlyEdDSA(JWSRegistry):
    """joserfc's registry without choice, and without its warning about the older name."""

    def get_alg(self, name: str) -> Any:
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError
        return self.algorithms[ALGORITHM]


_REGISTRY = _OnlyEdDSA(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What we read back of a token; role and groups are read from the database instead."""

    user_id: UUID
    session_id: UUID


class AccessTokens:
    """Makes and checks the access tokens of one installation."""

    def __init__(self, keyring: Keyring, *, issuer: str, lifetime: timedelta) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self._lifetime = lifetime
        self._keys: dict[bytes, OKPKey] = {}

    @property
    def expires_in(self) -> int:
        """Seconds a fresh token is good for."""
        return int(self._lifetime.total_seconds())

    def issue(self, user: User, permissions: frozenset[str], session_id: UUID, *, now: datetime) -> str:
        """A token of this user in this session."""
        key = self._key(self._keyring.current)
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": str(user.id),
            "sid": str(session_id),
            "role": user.role,
            "permissions": sorted(permissions),
            "groups": list(user.groups),
            "iat": int(now.timestamp()),
            "exp": int((now + self._lifetime).timestamp()),
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}
        return jwt.encode(header, claims, key, registry=_REGISTRY)

    def read(self, text: str, *, now: datetime) -> AccessClaims:
        """Whose token this is. Raises CredentialInvalid for everything but a genuine one in its time."""
        try:
            key = self._named_key(text)
            token = jwt.decode(text, key, registry=_REGISTRY)
            return self._checked(token.header, token.claims, now)
        except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CredentialInvalid("The access token is not, or no longer, good. Sign in or refresh it.") from error

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys of all master keys in use, newest first (RFC 7517)."""
        return {"keys": [self._public(self._key(key)) for key in self._keyring.keys]}

    def _checked(self, header: dict[str, Any], claims: dict[str, Any], now: datetime) -> AccessClaims:
        if header.get("typ") != TYPE or claims["iss"] != self._issuer or claims["aud"] != self._issuer:
            raise ValueError("made for somebody else")
        expires = claims["exp"]
        if not isinstance(expires, int) or expires <= now.timestamp():
            raise ValueError("over")
        return AccessClaims(UUID(claims["sub"]), UUID(claims["sid"]))

    def _named_key(self, text: str) -> OKPKey:
        """The key of ours a token names. Nothing of the header is trusted but that choice."""
        encoded = text.partition(".")[0]
        if len(text) > LONGEST or not text.isascii():
            raise ValueError("not a token of ours")
        named = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))["kid"]
        found = next((key for key in map(self._key, self._keyring.keys) if key.kid == named), None)
        if found is None:
            raise ValueError("not a key of ours")
        return found

    def _key(self, master: MasterKey) -> OKPKey:
        seed = master.derive("access-token")
        known = self._keys.get(seed)
        if known is None:
            known = self._keys.setdefault(seed, _ed25519(seed))
        return known

    def _public(self, key: OKPKey) -> dict[str, Any]:
        return {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}


def _ed25519(seed: bytes) -> OKPKey:
    raw = serialization.PublicFormat.Raw
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(serialization.Encoding.Raw, raw)
    parts: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public), "d": _base64url(seed)}
    key = OKPKey.import_key(parts)
    return OKPKey.import_key({**parts, "kid": key.thumbprint()})  # RFC 7638: the same id wherever the key is known


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
