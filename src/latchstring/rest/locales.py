"""Language negotiation for the API."""

from starlette.types import Scope

from latchstring.domain.account import User
from latchstring.domain.settings import App
from latchstring.http.scope import find_header
from latchstring.i18n.negotiation import accepted_languages, negotiate
from latchstring.rest.query import requested_locale


def choose_locale(scope: Scope, app: App, user: User | None = None) -> str:
    """Choose the first available language of: the query, the user, Accept-Language, the default."""
    user_locale = user.locale if user is not None else None
    return negotiate([requested_locale(scope), user_locale, *accepted_locales(scope)], app.default_locale)


def accepted_locales(scope: Scope) -> list[str]:
    """Return the tags of Accept-Language in order of preference."""
    return accepted_languages((find_header(scope, b"accept-language") or b"").decode("latin-1"))
