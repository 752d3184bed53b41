"""Sanitizes user input for mails, so that text typed by an inviter cannot become a link.

Mail programs turn text that looks like an address into a link, so escaping is not enough. A zero-width space after the
dots, colons and at signs of such words keeps them readable and prevents that.
"""

import re
import unicodedata
from typing import Literal

NAME_LIMIT = 100
TITLE_LIMIT = 200
MESSAGE_LIMIT = 1000

_GAP = "\u200b"
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
# Controls, soft hyphens, and characters that reorder or hide text. Joiners stay: Persian and emoji need them.
_INVISIBLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_WORD = re.compile(r"\S+")
_LINKING = re.compile(r"(?:[.。．｡@:]|//)(?=\S)|token(?==)", re.IGNORECASE)  # `token=` marks our link
_TELEPHONE = re.compile(r"\+?\d(?:[ ()/.\-]{0,2}\d){6,}")
_TWO_DIGITS = re.compile(r"(\d\d)(?=.)")


def clean_line(text: str, limit: int = NAME_LIMIT) -> str:
    """Return one line without controls or direction marks, at most `limit` characters. It may still become a link."""
    return _shorten(" ".join(_INVISIBLE.sub(" ", _LINE_ENDS.sub(" ", text)).split()), limit)


def quote_line(text: str | None, limit: int = NAME_LIMIT) -> str:
    """Sanitize a line of user input (name, title) for a mail; empty for None."""
    return _defuse(clean_line(text or "", limit))


def quote_message(text: str | None, limit: int = MESSAGE_LIMIT) -> str:
    """Sanitize a user's message with its line breaks and at most one empty line in a row; empty for None."""
    lines = [" ".join(line.split()) for line in _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text or "")).split("\n")]
    return _defuse(_shorten(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), limit))


def isolate(text: str, direction: Literal["ltr", "rtl"]) -> str:
    """Isolate text of the other direction from the surrounding text (Unicode Annex 9, section 2.4)."""
    against = {"R", "AL"} if direction == "ltr" else {"L"}
    if any(unicodedata.bidirectional(character) in against for character in text):
        return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
    return text


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _defuse(text: str) -> str:
    text = _TELEPHONE.sub(lambda match: _TWO_DIGITS.sub(rf"\1{_GAP}", match[0]), text)
    return _WORD.sub(lambda match: _defuse_word(match[0]), text)


def _defuse_word(word: str) -> str:
    if not any(character.isalpha() for character in word):
        return word  # 10:40 and 3.5 do not become links
    return _LINKING.sub(lambda match: match[0] + _GAP, word)
