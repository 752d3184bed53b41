"""The pseudo-language: longer English with accents, to test the layout and translation of pages."""

import gettext
import re
from math import ceil

PSEUDO = "en-XA"

_FIXED = re.compile(r"(%\(\w+\)s|<[^>]+>|&\w+;)")  # placeholders and markup are not changed
_ACCENTED = str.maketrans("aceinouyACEINOUY", "áçéîñöûýÁÇÉÎÑÖÛÝ")
_EXTRA_LENGTH = 0.4
_FRAME = 3  # the brackets and the blank


def pseudo(text: str) -> str:
    """Make a text 40 % longer, with accents, and in brackets that show where it is truncated."""
    segments = _FIXED.split(text)
    letters = sum(len(segment) for segment in segments[::2])
    accented = "".join(segment if index % 2 else segment.translate(_ACCENTED) for index, segment in enumerate(segments))
    return f"[{accented} {'~' * max(1, ceil(letters * _EXTRA_LENGTH) - _FRAME)}]" if text else text


class PseudoTranslations(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(super().ngettext(msgid1, msgid2, n))
