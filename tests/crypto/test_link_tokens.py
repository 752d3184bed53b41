"""Tokens of links: signed by our code, verified by the library, refused after any change."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.crypto.link_tokens import LinkToken, LinkTokens, Purpose, TokenRefused
from latchstring.domain.invitation import Channel

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEYRING = Keyring((new_master_key(),))
INSTALLATION_ID = UUID("01890000-0000-7000-8000-000000000001")
TOKENS = LinkTokens(KEYRING, INSTALLATION_ID)
TOKEN = LinkToken(UUID("01890000-0000-7000-8000-000000000002"), 3, Channel.MAILED, NOON, NOON + timedelta(days=7))


def test_a_signed_token_is_verified_and_signing_is_deterministic() -> None:
    token = TOKENS.sign(Purpose.INVITATION, TOKEN)
    assert token.startswith("ey")
    assert TOKENS.verify(Purpose.INVITATION, token) == TOKEN
    assert TOKENS.sign(Purpose.INVITATION, TOKEN) == token


def test_the_token_is_the_compact_jws_of_its_payload() -> None:
    token = TOKENS.sign(Purpose.INVITATION, TOKEN)
    payload = base64.urlsafe_b64decode(token.split(".")[1] + "==")
    assert json.loads(payload)["gen"] == 3
    key = OctKey.import_key(KEYRING.current.derive(f"link/{Purpose.INVITATION}"))
    assert jws.serialize_compact({"alg": "HS256"}, payload, key) == token


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.INVITATION])
def test_a_token_is_refused_for_another_purpose(purpose: Purpose) -> None:
    with pytest.raises(TokenRefused):
        TOKENS.verify(purpose, TOKENS.sign(Purpose.INVITATION, TOKEN))


def test_a_token_of_another_installation_or_key_is_refused() -> None:
    other_installation = LinkTokens(KEYRING, replace(TOKEN).subject_id)
    other_key = LinkTokens(Keyring((new_master_key(),)), INSTALLATION_ID)
    for tokens in (other_installation, other_key):
        with pytest.raises(TokenRefused):
            TOKENS.verify(Purpose.INVITATION, tokens.sign(Purpose.INVITATION, TOKEN))


def test_no_character_of_a_token_can_be_changed() -> None:
    token = TOKENS.sign(Purpose.INVITATION, TOKEN)
    for index, character in enumerate(token):
        other = "A" if character != "A" else "B"
        with pytest.raises(TokenRefused):
            TOKENS.verify(Purpose.INVITATION, token[:index] + other + token[index + 1 :])
