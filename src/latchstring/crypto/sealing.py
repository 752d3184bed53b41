"""Encryption of secrets that must be read again, such as those of second factors.

A sealed secret is encrypted with a key derived from a master key, so that the database alone reveals none.
AES-256-GCM (NIST SP 800-38D) encrypts and authenticates. The owner is additional authenticated data: a sealed secret
copied to the row of another owner cannot be decrypted. The id of the master key precedes the ciphertext: it tells which
key decrypts it after a rotation, and which old keys are still needed.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latchstring.crypto.keyring import MasterKey

NONCE_BYTES = 12  # 96 bits, the length recommended for GCM (NIST SP 800-38D section 5.2.1.1)


class SealBroken(Exception):
    """The text was not sealed with this key for this purpose and owner."""


def seal(key: MasterKey, purpose: str, secret: bytes, *, owner: bytes) -> bytes:
    """Encrypt a secret for storage in the database. owner: the id that must be given to decrypt it."""
    # A nonce must never repeat under one key. 96 random bits are safe for 2^32 secrets (SP 800-38D section 8.3).
    nonce = os.urandom(NONCE_BYTES)
    return key.id.encode() + b":" + nonce + _cipher(key, purpose).encrypt(nonce, secret, owner)


def sealing_key_id(sealed: bytes) -> str:
    """Return the id of the master key that decrypts it."""
    return sealed.partition(b":")[0].decode("ascii", "replace")


def unseal(key: MasterKey, purpose: str, sealed: bytes, *, owner: bytes) -> bytes:
    """Decrypt a secret. Raises SealBroken if it was altered, or sealed with other arguments."""
    content = sealed.partition(b":")[2]
    try:
        return _cipher(key, purpose).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], owner)
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def _cipher(key: MasterKey, purpose: str) -> AESGCM:
    # A key for each purpose: a secret sealed for one purpose cannot be used for another.
    return AESGCM(key.derive(f"seal/{purpose}"))
