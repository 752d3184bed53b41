"""Request context of an invitee page: the current user, the languages, the CSRF cookie and the links to other pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from starlette.requests import Request

from latchstring.domain.account import User
from latchstring.domain.settings import App
from latchstring.formats.urls import list_redirect_origins
from latchstring.http.authentication import (
    ANONYMOUS,
    CSRF_COOKIE,
    Caller,
    authenticate_page,
    make_cookie,
    new_csrf_token,
)
from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer
from latchstring.http.scope import find_cookie
from latchstring.i18n.negotiation import available_locales, negotiate
from latchstring.pages.context import PageContext, read_query, requested_languages, with_query
from latchstring.pages.forms import F, SentForm
from latchstring.pages.templating import autonym
from latchstring.services import Services

CSRF_LIFETIME_SECONDS = 24 * 60 * 60
_PRESERVED_PARAMETERS = ("token", "next", "done", "how", "kept", "to")  # kept when the language changes


@dataclass(frozen=True, slots=True)
class LanguageLink:
    """A link to the page in another language."""

    tag: str
    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteePage(PageContext):
    """What the handler of an invitee page receives.

    path and query: the target of the language links. languages: those of the visitor, best first.
    chosen_locale: the language that the visitor chose, which links and forms keep; None if they chose none.
    """

    caller: Caller
    languages: Sequence[str]
    chosen_locale: str | None
    csrf_token: str
    csrf_is_new: bool

    @property
    def csrf(self) -> str:
        return self.csrf_token

    @property
    def content_policy(self) -> str:
        """The policy of pages, plus origins of redirects after accepting: browsers apply `form-action` to redirects."""
        targets = list_redirect_origins(self.services.invitation_rules, self.services.app)
        return PAGE_POLICY.replace("form-action 'self'", " ".join(["form-action 'self'", *targets]))

    @property
    def user(self) -> User | None:
        return self.caller.user

    @property
    def requires_terms(self) -> bool:
        """Whether a new account needs consent to terms."""
        return bool(self.services.app.terms_url or self.services.app.terms_version)

    def with_locale(self, locale: str | None) -> "InviteePage":
        """The page in this language, unless the visitor prefers others."""
        return replace(self, locale=negotiate([*self.languages, locale], self.services.app.default_locale))

    def with_url(self, path: str, **query: str) -> "InviteePage":
        """The page under another URL: for responses to a POST, whose own URL cannot be opened."""
        return replace(self, path=path, query=tuple(query.items()))

    def as_user(self, caller: Caller) -> "InviteePage":
        return replace(self, caller=caller)

    def link(self, path: str, **query: str) -> str:
        """The path with its query and the chosen language."""
        chosen = {"locale": self.chosen_locale} if self.chosen_locale else {}
        return with_query(path, query | chosen)

    async def read(self, form: type[F]) -> tuple["InviteePage", SentForm[F]]:
        """The form of a POST, and the page in the language of the form. Raises as `read_form` does."""
        sent = await self.read_form(form)
        locale = sent.get("locale")
        if locale is None:
            return self, sent
        languages = [locale, *self.languages]
        negotiated = negotiate(languages, self.services.app.default_locale)
        return replace(self, languages=languages, chosen_locale=negotiated, locale=negotiated), sent

    def redirect(self, path: str, **query: str) -> Answer:
        """A redirect to a path of this server, with the chosen language."""
        return self.redirect_to(self.link(path, **query))

    def answer_cookies(self) -> Sequence[bytes]:
        if not self.csrf_is_new:
            return ()
        secure = self.services.app.is_https
        return [make_cookie(CSRF_COOKIE, self.csrf, max_age=CSRF_LIFETIME_SECONDS, secure=secure, http_only=False)]

    def template_values(self) -> dict[str, object]:
        return PageContext.template_values(self) | {
            "chosen_locale": self.chosen_locale,
            "done": self.query_value("done"),
            "languages": self._language_links(),
            "link": self.link,
            "password_minimum": self.services.account_rules.password_minimum,
            "support_url": _support_url(self.services.app),
            "requires_terms": self.requires_terms,
            "user": None,
        }

    def _language_links(self) -> list[LanguageLink]:
        parameters = {name: value for name in _PRESERVED_PARAMETERS if (value := self.query_value(name))}
        return [
            LanguageLink(tag, autonym(tag), f"{self.path}?{urlencode(parameters | {'locale': tag})}")
            for tag in available_locales()
            if tag != self.locale
        ]


def request_context(request: Request, services: Services) -> InviteePage:
    """The context of a request before authentication."""
    scope = request.scope
    query = read_query(scope)
    chosen = next((value for name, value in query if name == "locale"), "")
    languages = [*filter(None, [chosen]), *requested_languages(scope)]
    locale = negotiate(languages, services.app.default_locale)
    csrf = find_cookie(scope, CSRF_COOKIE.encode())
    return InviteePage(
        request=request,
        services=services,
        caller=ANONYMOUS,
        path=scope["path"],
        query=query,
        languages=languages,
        chosen_locale=locale if chosen else None,
        locale=locale,
        csrf_token=csrf or new_csrf_token(),
        csrf_is_new=not csrf,
    )


async def authenticate(page: InviteePage) -> InviteePage:
    """The page of the signed-in user, in their language unless the visitor chose another."""
    caller = await authenticate_page(page.request.scope, page.services)
    if caller.user is None or not caller.user.locale:
        return page.as_user(caller)
    chosen = page.languages[:1] if page.chosen_locale else []
    languages = [*chosen, caller.user.locale, *page.languages[len(chosen) :]]
    locale = negotiate(languages, page.services.app.default_locale)
    return replace(page, caller=caller, languages=languages, locale=locale)


def _support_url(app: App) -> str | None:
    return f"mailto:{quote(app.support_email, safe='@')}" if app.support_email else None
