"""Validation and canonical form of e-mail addresses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import min_cpu_seconds

from latchstring.formats import email_address as addresses
from latchstring.formats.email_address import AddressRefused, parse_address


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Ada@People.TEST", "ada@people.test"),
        ("a@x.example", "a@x.example"),
        ("a@mail.internal", "a@mail.internal"),
        ("a@intra.local", "a@intra.local"),
        ("a+b@x.org", "a+b@x.org"),
        ("o'hara@x.org", "o'hara@x.org"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
        ("ada@faß.example", "ada@xn--fa-hia.example"),
        ("JO\u0308RG@x.org", "jÖrg@x.org"),  # only ASCII letters become lower case
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
        ("почта@пример.example", "почта@xn--e1afmkfd.example"),
        ("p\u0430ypal@x.org", "p\u0430ypal@x.org"),  # a Cyrillic letter: another address
        ("a@p\u0430ypal.org", "a@xn--pypal-4ve.org"),
        ("a" * 64 + "@x.org", "a" * 64 + "@x.org"),
        ("ü" * 32 + "@x.org", "ü" * 32 + "@x.org"),
        ("a@" + "u\u0308" * 35 + ".org", "a@xn--td" + "a" * 35 + ".org"),  # short enough after composition
    ],
)
def test_an_address_keeps_its_spelling_and_gets_a_canonical_form(typed: str, key: str) -> None:
    assert (parse_address(typed).email, parse_address(typed).email_key) == (typed, key)


@pytest.mark.parametrize(
    "typed",
    [
        "", "a", "@x.org", "a@", "a b@x.org", " a@x.org", "a@x.org ", "a@x.org\n", "a@b@x.org", '"a"@x.org',
        '"a b"@x.org',
        "a(c)@x.org", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@127.0.0.1", "a@::1", "Ada <a@x.org>", ".a@x.org", "a.@x.org",
        "a..b@x.org", "a@-x.org", "a@x..org", "a@x_y.org", "a@x.org.", "a@localhost", "a@test", "a,b@x.org",
        "a\x00@x.org",
        "a\u200b@x.org", "a\u202e@x.org", "a\u2066b@x.org", "a\ufeff@x.org", "a\u00ad@x.org", "a\u034fb@x.org",
        "a\u3164@x.org", "a\ufe0f@x.org", "\u2800@x.org", "a@x\u200d.org", "\U000e0041a@x.org", "a\u00a0b@x.org",
        "a" * 65 + "@x.org", "ü" * 33 + "@x.org", "a@" + ".".join(["b" * 60] * 5) + ".org",
        "a@" + "ü" * 60 + ".org", "a@" + "b" * 64 + ".org", "a@" + "ü" * 200 + ".org", "\ud800@x.org",
    ],
    ids=ascii,
)  # fmt: skip
def test_invalid_addresses_are_refused(typed: str) -> None:
    with pytest.raises(AddressRefused):
        parse_address(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "\u212aate@x.org",  # a Kelvin sign, which NFC turns into the K of another address
        "\uff41da@x.org",
        "\ufb01na@x.org",
        "x\u00b2@x.org",
    ],
    ids=ascii,
)
def test_compatibility_characters_are_refused(typed: str) -> None:
    with pytest.raises(AddressRefused):
        parse_address(typed)


def test_a_long_label_is_refused_quickly() -> None:
    def parse() -> None:
        with pytest.raises(AddressRefused):
            parse_address("a@" + "ü" * 200 + ".org")

    assert min_cpu_seconds(parse) < 0.02


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressRefused:
        return
    assert address.email == text
    assert parse_address(address.email_key).email_key == address.email_key


@given(st.from_regex(r"[a-zA-Z0-9.+äöü]{1,20}@[a-z0-9äöü]{1,20}\.(test|example)", fullmatch=True))
def test_the_canonical_form_is_idempotent(text: str) -> None:
    try:
        key = parse_address(text).email_key
    except AddressRefused:
        return
    assert parse_address(key).email_key == key
    assert key.partition("@")[2].isascii()


_TYPED = st.from_regex(r"[A-Za-z0-9_.+-]{1,12}@([A-Za-z0-9-]{1,8}\.){1,3}[A-Za-z0-9-]{1,6}", fullmatch=True)


@given(_TYPED)
def test_the_fast_path_agrees_with_the_grammar(text: str) -> None:
    def parse_or_none() -> object:
        try:
            return parse_address(text)
        except AddressRefused:
            return None

    fast = parse_or_none()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(addresses, "_COMMON_FORM", re.compile("(?!)"))
        assert fast == parse_or_none()
