"""User input in mails never becomes a link or a header."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchstring.mail.sanitize import MESSAGE_LIMIT, NAME_LIMIT, clean_line, isolate, quote_line, quote_message

# An approximation of what mail programs turn into links: schemes, domains, addresses, telephone numbers.
LINKIFIER = re.compile(
    r"(?:https?|ftp|mailto|tel|data|javascript|file):(?://)?[^\s\u200b]"
    r"|www\.[^\s\u200b]"
    r"|[^\s\u200b@]+@[^\s\u200b]+[.。．｡][^\s\u200b]"
    r"|[^\W\d_][\w-]*[.。．｡][^\W\d_]{2,}"
    r"|\+?\d[\d ()/.-]{6,}\d",
    re.IGNORECASE,
)

LINK_LIKE_TEXTS = [
    "http://evil.test/?token=eyJx",
    "HTTPS://EVIL.TEST",
    "www.evil.test",
    "evil.com",
    "sub.evil.co.uk/path?x=1#y",
    "me@evil.test",
    "mailto:me@evil.test",
    "tel:+4915123456789",
    "+49 151 2345 6789",
    "javascript:alert(1)",
    "evil。com and evil．com and evil｡com",
    "http://1.2.3.4/x",
    "see(evil.com)now",
    "münchen.de",
    "xn--mnchen-3ya.de",
]


@pytest.mark.parametrize("text", LINK_LIKE_TEXTS)
def test_user_input_never_becomes_a_link(text: str) -> None:
    for quoted in (quote_line(text), quote_message(f"Look: {text}\n{text}")):
        assert not LINKIFIER.search(quoted), quoted
        assert quoted.replace("\u200b", "").replace("Look: ", "").split("\n")[0] == text


@pytest.mark.parametrize("text", ["Meet at 10:40, room 3.5", "Ada Lovelace", "50 % off? No.", "اهلا وسهلا", "Yes… 🎉"])
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert quote_message(text) == text


def test_user_input_never_contains_a_token_parameter() -> None:
    assert "token=" not in quote_message("https://evil.test/?token=eyJ and token=x and TOKEN=y").lower()


def test_controls_and_direction_marks_are_removed() -> None:
    assert clean_line("Ada\r\nBcc: x@y.test\x00\u202e\u2066\u200b end") == "Ada Bcc: x@y.test end"


def test_line_breaks_are_normalized() -> None:
    assert quote_message("a\r\nb\rc\u2028d\n\n\n\n\ne") == "a\nb\nc\nd\n\ne"


def test_length_is_limited() -> None:
    assert len(clean_line("x" * 5000)) == NAME_LIMIT
    assert quote_message("y" * 5000) == "y" * (MESSAGE_LIMIT - 1) + "…"


def test_a_name_of_the_other_direction_is_isolated() -> None:
    assert isolate("ميرا", "ltr") == "\u2068ميرا\u2069"
    assert isolate("Mira", "rtl") == "\u2068Mira\u2069"
    assert isolate("Mira", "ltr") == "Mira"


@given(st.text(alphabet=string.printable + "\u202e\u2028\u00ad。．é", max_size=200))
def test_lines_never_contain_a_break_or_a_token(text: str) -> None:
    line = quote_line(text)
    assert "\n" not in line
    assert "\r" not in line
    assert "token=" not in line
    assert not re.search("[\x00-\x1f\u202a-\u202e]", line)
