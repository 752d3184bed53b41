"""Which language an answer speaks."""

from starlette.types import Scope

from latchstring.domain.account import User
from latchstring.domain.settings import App
from latchstring.http.scope import find_header
from latchstring.i18n.negotiation import accepted_languages, negotiate
from latchstring.rest.query import requested_locale


def choose_locale(scope: Scope, app: App, user: User | None = None) -> str:
    """`locale` of the query, then the user's, then Accept-Language, then the default: the first we speak."""
    theirs = user.locale if user is not None else None
    return negotiate([requested_locale(scope), theirs, *accepted_locales(scope)], app.default_locale)


def accepted_locales(scope: Scope) -> list[str]:
    """What Accept-Language asks for, best first."""
    return accepted_languages((find_header(scope, b"accept-language") or b"").decode("latin-1"))
