"""Random tokens that the database knows by their digest only: refresh tokens and sessions of administrators."""

import hashlib
import secrets
from dataclasses import dataclass, field

TOKEN_BYTES = 32  # 256 random bits cannot be guessed, so the digest needs no salt and no slow hash


@dataclass(frozen=True, slots=True)
class OpaqueToken:
    """A new token. token: for the client. digest: for the database."""

    token: str = field(repr=False)
    digest: bytes


def new_opaque_token() -> OpaqueToken:
    """Create a token of 256 random bits."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return OpaqueToken(token, digest_opaque_token(token))


def digest_opaque_token(token: str) -> bytes:
    """The digest under which a token is stored. token: as a client sent it, any text."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
