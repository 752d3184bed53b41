"""Access tokens: content, verification, rotation and forgeries."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey

from latchstring.crypto.access_tokens import AccessTokens
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.domain.account import User
from latchstring.domain.errors import CredentialInvalid

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ISSUER = "https://invite.example.org"
USER = User(uuid4(), "ada@people.test", "ada@people.test", "Ada", "Löwe", role="team", groups=("a", "b"))
PERMISSIONS = frozenset({"users:read", "app:plan"})


def make_tokens(keyring: Keyring, issuer: str = ISSUER) -> AccessTokens:
    return AccessTokens(keyring, issuer=issuer, lifetime=timedelta(minutes=15))


@pytest.fixture
def keyring() -> Keyring:
    return Keyring((new_master_key(),))


@pytest.fixture
def token(keyring: Keyring) -> str:
    return make_tokens(keyring).issue(USER, PERMISSIONS, uuid4(), now=NOW)


def encode_part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_contains_the_user_the_permissions_and_its_lifetime(keyring: Keyring) -> None:
    session_id, tokens = uuid4(), make_tokens(keyring)
    token = tokens.issue(USER, PERMISSIONS, session_id, now=NOW)
    verified = tokens.read(token, now=NOW)
    assert (verified.user_id, verified.session_id) == (USER.id, session_id)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims == {
        "iss": ISSUER, "aud": ISSUER, "sub": str(USER.id), "sid": str(session_id), "role": "team",
        "permissions": ["app:plan", "users:read"], "groups": ["a", "b"],
        "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 900,
    }  # fmt: skip


def test_a_token_can_be_verified_with_the_published_keys(keyring: Keyring, token: str) -> None:
    published = make_tokens(keyring).jwks()
    assert all(key.keys() == {"kty", "crv", "x", "kid", "use", "alg"} for key in published["keys"])
    with pytest.warns(match="EdDSA"):
        assert jwt.decode(token, KeySet.import_key_set(cast("Any", published)), algorithms=["EdDSA"]).claims[
            "sub"
        ] == str(USER.id)


def test_a_rotated_key_verifies_until_it_is_removed(keyring: Keyring, token: str) -> None:
    new_key = new_master_key()
    rotated = make_tokens(Keyring((new_key, *keyring.keys)))
    assert rotated.read(token, now=NOW).user_id == USER.id
    assert len(rotated.jwks()["keys"]) == 2
    with pytest.raises(CredentialInvalid):
        make_tokens(Keyring((new_key,))).read(token, now=NOW)


def test_a_token_expires_after_its_lifetime(keyring: Keyring, token: str) -> None:
    tokens = make_tokens(keyring)
    tokens.read(token, now=NOW + timedelta(minutes=15) - timedelta(milliseconds=1))
    with pytest.raises(CredentialInvalid):
        tokens.read(token, now=NOW + timedelta(minutes=15))


def test_a_token_of_another_issuer_is_refused(keyring: Keyring, token: str) -> None:
    with pytest.raises(CredentialInvalid):
        make_tokens(keyring, "https://elsewhere.example.org").read(token, now=NOW)


def make_forgeries(keyring: Keyring, token: str) -> dict[str, str]:
    header, payload, signature = token.split(".")
    kid = keyring.current.id
    genuine = json.loads(base64.urlsafe_b64decode(header + "=="))
    public = make_tokens(keyring).jwks()["keys"][0]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    secret = OctKey.import_key(base64.urlsafe_b64decode(public["x"] + "=="))
    confused = jwt.encode({"alg": "HS256", "kid": genuine["kid"], "typ": "at+jwt"}, claims, secret)
    return {
        "none": f"{encode_part(genuine | {'alg': 'none'})}.{payload}.",
        "public key as secret": confused,
        "other claims": f"{header}.{encode_part(claims | {'role': 'admin'})}.{signature}",
        "other type": f"{encode_part(genuine | {'typ': 'JWT'})}.{payload}.{signature}",
        "key in the header": f"{encode_part(genuine | {'jwk': public})}.{payload}.{signature}",
        "unknown kid": f"{encode_part(genuine | {'kid': kid})}.{payload}.{signature}",
        "no kid": f"{encode_part({'alg': 'EdDSA'})}.{payload}.{signature}",
        "header no object": f"{encode_part([1])}.{payload}.{signature}",
        "header nested": f"{base64.urlsafe_b64encode(b'[' * 20_000).decode()}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "not ascii": token + "ü",
        "empty": "",
        "dots": "..",
        "huge": header + "." + "A" * 70_000 + "." + signature,
    }


FORGERIES = (
    "none", "public key as secret", "other claims", "other type", "key in the header", "unknown kid", "no kid",
    "header no object", "header nested", "no signature", "two parts", "not ascii", "empty", "dots", "huge",
)  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_refused(keyring: Keyring, token: str, name: str) -> None:
    with pytest.raises(CredentialInvalid):
        make_tokens(keyring).read(make_forgeries(keyring, token)[name], now=NOW)
