"""The pseudo-language: English made longer and stranger, for those who build pages."""

import gettext
import re
from math import ceil

PSEUDO = "en-XA"

_FIXED = re.compile(r"(%\(\w+\)s|<[^>]+>|&\w+;)")  # placeholders and markup stay what they are
_STRANGE = str.maketrans("aceinouyACEINOUY", "áçéîñöûýÁÇÉÎÑÖÛÝ")
_LONGER_BY = 0.4
_FRAME = 3  # the brackets and the blank


def pseudo(text: str) -> str:
    """English as a stranger language: two fifths longer, with accents, in brackets that show where a text is cut."""
    parts = _FIXED.split(text)
    letters = sum(len(part) for part in parts[::2])
    strange = "".join(part if place % 2 else part.translate(_STRANGE) for place, part in enumerate(parts))
    return f"[{strange} {'~' * max(1, ceil(letters * _LONGER_BY) - _FRAME)}]" if text else text


class PseudoTranslations(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(super().ngettext(msgid1, msgid2, n))
