"""Tokens of links: written by us, read by the library, refused when anything in them is not ours."""

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
HERE = UUID("01890000-0000-7000-8000-000000000001")
TOKENS = LinkTokens(KEYRING, HERE)
TOKEN = LinkToken(UUID("01890000-0000-7000-8000-000000000002"), 3, Channel.MAILED, NOON, NOON + timedelta(days=7))


def test_what_was_signed_is_read_again() -> None:
    text = TOKENS.sign(Purpose.INVITATION, TOKEN)
    assert text.startswith("ey")
    assert TOKENS.verify(Purpose.INVITATION, text) == TOKEN
    assert TOKENS.sign(Purpose.INVITATION, TOKEN) == text


def test_the_token_is_the_compact_jws_of_its_payload() -> None:
    text = TOKENS.sign(Purpose.INVITATION, TOKEN)
    payload = base64.urlsafe_b64decode(text.split(".")[1] + "==")
    assert json.loads(payload)["gen"] == 3
    key = OctKey.import_key(KEYRING.current.derive(f"link/{Purpose.INVITATION}"))
    assert jws.serialize_compact({"alg": "HS256"}, payload, key) == text


@pytest.mark.parametrize("purpose", [one for one in Purpose if one is not Purpose.INVITATION])
def test_a_token_serves_no_other_purpose(purpose: Purpose) -> None:
    with pytest.raises(TokenRefused):
        TOKENS.verify(purpose, TOKENS.sign(Purpose.INVITATION, TOKEN))


def test_a_token_of_another_installation_or_key_is_refused() -> None:
    elsewhere = LinkTokens(KEYRING, replace(TOKEN).subject_id)
    stranger = LinkTokens(Keyring((new_master_key(),)), HERE)
    for tokens in (elsewhere, stranger):
        with pytest.raises(TokenRefused):
            TOKENS.verify(Purpose.INVITATION, tokens.sign(Purpose.INVITATION, TOKEN))


def test_no_character_of_a_token_can_be_changed() -> None:
    text = TOKENS.sign(Purpose.INVITATION, TOKEN)
    for place, character in enumerate(text):
        other = "A" if character != "A" else "B"
        with pytest.raises(TokenRefused):
            TOKENS.verify(Purpose.INVITATION, text[:place] + other + text[place + 1 :])
