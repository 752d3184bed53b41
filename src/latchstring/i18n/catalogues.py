"""Message catalogues: one folder `locales/<tag>/` for each language, with one `.po` file per domain.

English is the message id, so English needs no catalogue. The files are read at first use and compiled in memory, so
nothing generated is kept.
"""

import gettext
import io
from functools import cache

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from latchstring.i18n.negotiation import SOURCE, find_locale, locale_folder
from latchstring.i18n.pseudo import PSEUDO, PseudoTranslations


@cache
def translations(domain: str, locale: str) -> gettext.NullTranslations:
    """The catalogue of a domain ("mail", "pages"); a language or domain without one speaks English."""
    if locale == PSEUDO:
        return PseudoTranslations()
    found = find_locale(locale)
    if found is None or found == SOURCE:
        return gettext.NullTranslations()
    file = locale_folder() / found / f"{domain}.po"
    if not file.is_file():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(file.read_bytes()), locale=found.replace("-", "_")))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
