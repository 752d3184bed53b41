"""Secrets that must be read again, such as those of second factors: sealed by a master key, so that whoever has the
database alone has none of them.

AES-256-GCM (NIST SP 800-38D) under a key derived for the purpose; a fresh nonce of 96 random bits each time. The owner
is authenticated along, so a sealed secret copied to another row opens nothing. The id of the master key stands in
front: after a rotation it says which key opens it, and when none needs an old key any more.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latchstring.crypto.keyring import MasterKey

NONCE_BYTES = 12


class SealBroken(Exception):
    """Not sealed by this key for this purpose and owner."""


def seal(key: MasterKey, purpose: str, secret: bytes, *, owner: bytes) -> bytes:
    """The secret as the database keeps it."""
    nonce = os.urandom(NONCE_BYTES)
    return key.id.encode() + b":" + nonce + _cipher(key, purpose).encrypt(nonce, secret, owner)


def sealing_key_id(sealed: bytes) -> str:
    """The id of the master key that opens it."""
    return sealed.partition(b":")[0].decode("ascii", "replace")


def unseal(key: MasterKey, purpose: str, sealed: bytes, *, owner: bytes) -> bytes:
    """The secret. Raises SealBroken."""
    rest = sealed.partition(b":")[2]
    try:
        return _cipher(key, purpose).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], owner)
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def _cipher(key: MasterKey, purpose: str) -> AESGCM:
    return AESGCM(key.derive(f"seal/{purpose}"))
