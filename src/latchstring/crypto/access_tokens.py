"""Access tokens: short-lived JWTs (RFC 7519, RFC 9068) that apps can verify with our JWKS.

The Ed25519 keys are derived from the master keys, so they rotate with them and overlap like them. A valid token does
not prove that its session still exists: that is checked in the database on every request.
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

ALGORITHM = "EdDSA"  # RFC 9864 renames it to Ed25519, but the libraries of apps know this name
TYPE = "at+jwt"  # RFC 9068 section 2.1: prevents other JWTs of ours from being accepted as access tokens
# In characters. Bounds the work of decoding untrusted input; generous, because a token lists all groups of its user.
MAX_TOKEN_LENGTH = 65_536


class _OnlyEdDSA(JWSRegistry):
    """joserfc's registry, restricted to one algorithm, and without its warning about the older name.

    The verifier, never the token, chooses the algorithm. This prevents algorithm confusion (RFC 8725 section 3.1), such
    as `alg: none` or an HMAC made with the public key.
    """

    def get_alg(self, name: str) -> Any:
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError
        return self.algorithms[ALGORITHM]


_REGISTRY = _OnlyEdDSA(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims that are used. Role and groups come from the database, where a change has effect at once."""

    user_id: UUID
    session_id: UUID


class AccessTokens:
    """Issues and verifies the access tokens of one installation."""

    def __init__(self, keyring: Keyring, *, issuer: str, lifetime: timedelta) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self._lifetime = lifetime
        self._keys: dict[bytes, OKPKey] = {}

    @property
    def expires_in(self) -> int:
        """The lifetime of a new token in seconds."""
        return int(self._lifetime.total_seconds())

    def issue(self, user: User, permissions: frozenset[str], session_id: UUID, *, now: datetime) -> str:
        """Issue a token for this user and session."""
        key = self._key(self._keyring.current)
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,  # the installation's own API is the audience
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

    def read(self, token: str, *, now: datetime) -> AccessClaims:
        """Verify a token and return its claims. Raises CredentialInvalid if it is not genuine or has expired."""
        try:
            key = self._find_key(token)
            decoded = jwt.decode(token, key, registry=_REGISTRY)
            return self._check_claims(decoded.header, decoded.claims, now)
        # One answer for every failure: callers learn nothing about which check a forged token passed.
        except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CredentialInvalid("The access token is invalid or has expired. Sign in or refresh it.") from error

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the public keys of all master keys in use, newest first (RFC 7517)."""
        # Old keys stay listed, so that tokens signed before a rotation remain verifiable until they expire.
        return {
            "keys": [
                {**self._key(key).as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in self._keyring.keys
            ]
        }

    def _check_claims(self, header: dict[str, Any], claims: dict[str, Any], now: datetime) -> AccessClaims:
        if header.get("typ") != TYPE or claims["iss"] != self._issuer or claims["aud"] != self._issuer:
            raise ValueError("the token has another type, issuer or audience")
        expires = claims["exp"]
        if not isinstance(expires, int) or expires <= now.timestamp():
            raise ValueError("the token has expired")
        return AccessClaims(UUID(claims["sub"]), UUID(claims["sid"]))

    def _find_key(self, token: str) -> OKPKey:
        """Return the key that a token names.

        The header is not yet authenticated. It may only select among our own keys, and nothing else in it is used.
        """
        encoded = token.partition(".")[0]
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise ValueError("the token is too long or not ASCII")
        key_id = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))["kid"]
        key = next((key for key in map(self._key, self._keyring.keys) if key.kid == key_id), None)
        if key is None:
            raise ValueError("the token names an unknown key")
        return key

    def _key(self, master: MasterKey) -> OKPKey:
        seed = master.derive("access-token")  # 32 bytes, a whole Ed25519 private key (RFC 8032 section 5.1.5)
        cached = self._keys.get(seed)
        if cached is None:
            cached = self._keys.setdefault(seed, _ed25519(seed))
        return cached


def _ed25519(seed: bytes) -> OKPKey:
    raw = serialization.PublicFormat.Raw
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(serialization.Encoding.Raw, raw)
    jwk: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public), "d": _base64url(seed)}
    key = OKPKey.import_key(jwk)
    return OKPKey.import_key({**jwk, "kid": key.thumbprint()})  # RFC 7638: every process computes the same id


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
