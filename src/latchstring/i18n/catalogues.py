"""Message catalogues: one folder `locales/<tag>/` for each language, with one `.po` file per domain.

English is the message id, so English needs no catalogue. The files are read at first use and compiled in memory, so
no generated files are stored.
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
    """Load the catalogue of a domain ("mail", "pages"). Without one, texts stay in English."""
    if locale == PSEUDO:
        return PseudoTranslations()
    language = find_locale(locale)
    if language is None or language == SOURCE:
        return gettext.NullTranslations()
    file = locale_folder() / language / f"{domain}.po"
    if not file.is_file():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(file.read_bytes()), locale=language.replace("-", "_")))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
