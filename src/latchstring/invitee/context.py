"""One visit of a page: who looks, in which language, and how the page leaves."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from latchstring.domain.account import User
from latchstring.domain.errors import CsrfTokenInvalid, Unreadable
from latchstring.domain.settings import App
from latchstring.formats.urls import origin_of
from latchstring.http.authentication import (
    ANONYMOUS,
    CSRF_COOKIE,
    Caller,
    identify_page_visitor,
    is_foreign,
    make_cookie,
    new_csrf_token,
)
from latchstring.http.client_address import client_network
from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer
from latchstring.http.scope import find_cookie, find_header, query_pairs
from latchstring.i18n.dates import text_direction
from latchstring.i18n.negotiation import accepted_languages, available_locales, negotiate
from latchstring.pages.assets import asset_url
from latchstring.pages.forms import F, Sent, Shown, read_form
from latchstring.pages.templating import autonym, render
from latchstring.services import Services

CODE_HEADER = "X-Latchstring-Code"
CSRF_LIFETIME_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Language:
    """A language the page can be read in, too."""

    tag: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a handler of a page is handed.

    path and query: where the languages of the page are switched. wanted: the visitor's languages, best first.
    chosen_locale: the one picked by hand, which links and forms carry on; None when nobody picked.
    """

    request: Request
    services: Services
    caller: Caller
    path: str
    query: Mapping[str, str]
    wanted: Sequence[str]
    chosen_locale: str | None
    locale: str
    csrf: str
    csrf_is_new: bool

    @property
    def client_network(self) -> str:
        """The network that rate limits count the request by."""
        return client_network(self.request.scope, self.services.limits)

    @property
    def user(self) -> User | None:
        return self.caller.user

    @property
    def terms_asked(self) -> bool:
        """Whether joining needs consent to terms."""
        return bool(self.services.app.terms_url or self.services.app.terms_version)

    def asked(self, name: str) -> str:
        """A query parameter, or nothing."""
        return self.query.get(name, "")

    def speaking(self, locale: str | None) -> "Page":
        """The page in a language that fits its matter, unless the visitor's own wishes say otherwise."""
        return replace(self, locale=negotiate([*self.wanted, locale], self.services.app.default_locale))

    def standing_at(self, path: str, **query: str) -> "Page":
        """The page where a GET shows it: for answers to a POST, whose own address shows nothing."""
        return replace(self, path=path, query=query)

    def seen_by(self, caller: Caller) -> "Page":
        return replace(self, caller=caller)

    def link(self, path: str, **query: str) -> str:
        """A path of ours in the chosen language."""
        chosen = {"locale": self.chosen_locale} if self.chosen_locale else {}
        pairs = {name: value for name, value in (query | chosen).items() if value}
        return f"{path}?{urlencode(pairs)}" if pairs else path

    async def read(self, form: type[F]) -> tuple["Page", Sent[F]]:
        """The form that was sent, and the page in the language it was filled in.

        Raises CsrfTokenInvalid unless a page of ours sent it.
        """
        sent = await read_form(self.request.scope, self.request.receive, form)
        if self.csrf_is_new or not hmac.compare_digest(self.csrf.encode(), sent.typed.get("csrf", "").encode()):
            raise CsrfTokenInvalid("The form does not carry the token of this browser's pages.")
        if is_foreign(self.request.scope, self.services.app):
            raise CsrfTokenInvalid("Another site sent this form.")
        return self._in_chosen(sent.get("locale")), sent

    def _in_chosen(self, locale: str | None) -> "Page":
        if locale is None:
            return self
        wanted = [locale, *self.wanted]
        spoken = negotiate(wanted, self.services.app.default_locale)
        return replace(self, wanted=wanted, chosen_locale=spoken, locale=spoken)

    def show(
        self, template: str, *, status: int = 200, code: str = "", form: Shown | None = None, **values: object
    ) -> Answer:
        """The page. code: that of the refusal it tells of, which goes into a header."""
        common = self._common(code, status) | {"form": form or Shown()}
        body = render(template, common | values)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Language": self.locale,
            "Content-Security-Policy": content_policy(self.services),
        }
        if code:
            headers[CODE_HEADER] = code
        return self._leave(status, body.encode(), headers)

    def go(self, path: str, **query: str) -> Answer:
        """On to a path of ours, with GET."""
        return self.leave_for(self.link(path, **query))

    def leave_for(self, url: str) -> Answer:
        """On to an address somebody has checked, with GET."""
        return self._leave(303, b"", {"Location": quote(url, safe="%/:=&?~#+!$,;'@()*[]")})

    def _leave(self, status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
        answer = Answer(status, body, [(name.lower().encode(), value.encode()) for name, value in headers.items()])
        if not self.csrf_is_new:
            return answer
        secure = self.services.app.public_url.startswith("https:")
        cookie = make_cookie(CSRF_COOKIE, self.csrf, max_age=CSRF_LIFETIME_SECONDS, secure=secure, http_only=False)
        return answer.with_cookies([cookie])

    def _common(self, code: str, status: int) -> dict[str, object]:
        services = self.services
        return {
            "app": services.app,
            "asset": asset_url,
            "chosen_locale": self.chosen_locale,
            "code": code,
            "csrf": self.csrf,
            "direction": text_direction(self.locale),
            "done": self.asked("done"),
            "languages": self._languages(),
            "link": self.link,
            "locale": self.locale,
            "password_minimum": services.account_rules.password_minimum,
            "status": status,
            "support_url": _support_url(services.app),
            "terms_asked": self.terms_asked,
            "user": None,
        }

    def _languages(self) -> list[Language]:
        kept = {name: value for name, value in self.query.items() if name in _KEPT and value}
        return [
            Language(tag, autonym(tag), f"{self.path}?{urlencode(kept | {'locale': tag})}")
            for tag in available_locales()
            if tag != self.locale
        ]


_KEPT = ("token", "next", "done", "how", "kept", "to")  # what stays when the language changes


def open_page(request: Request, services: Services) -> Page:
    """The visit of a request, by nobody in particular yet. A query that cannot be read asks for nothing."""
    scope = request.scope
    query = _query(scope)
    chosen = query.get("locale") or None
    header = find_header(scope, b"accept-language") or b""
    wanted = [*filter(None, [chosen]), *accepted_languages(header.decode("latin-1"))]
    locale = negotiate(wanted, services.app.default_locale)
    csrf = find_cookie(scope, CSRF_COOKIE.encode())
    return Page(
        request=request,
        services=services,
        caller=ANONYMOUS,
        path=scope["path"],
        query=query,
        wanted=wanted,
        chosen_locale=locale if chosen else None,
        locale=locale,
        csrf=csrf or new_csrf_token(),
        csrf_is_new=not csrf,
    )


async def recognise(page: Page) -> Page:
    """The page as whoever is signed in sees it, in that person's language unless another was picked by hand."""
    caller = await identify_page_visitor(page.request.scope, page.services)
    if caller.user is None or not caller.user.locale:
        return page.seen_by(caller)
    chosen = page.wanted[:1] if page.chosen_locale else []
    wanted = [*chosen, caller.user.locale, *page.wanted[len(chosen) :]]
    return replace(page, caller=caller, wanted=wanted, locale=negotiate(wanted, page.services.app.default_locale))


def _query(scope: Any) -> dict[str, str]:
    try:
        pairs = query_pairs(scope)
    except Unreadable:
        return {}
    return dict(reversed(pairs))  # the first of a name counts


def content_policy(services: Services) -> str:
    """The policy of pages, widened by where accepting may lead: browsers hold redirects to `form-action`, too."""
    origins = map(origin_of, (*services.invitation_rules.redirect_origins, services.app.public_url))
    targets = sorted({origin for origin in origins if origin})
    return PAGE_POLICY.replace("form-action 'self'", " ".join(["form-action 'self'", *targets]))


def _support_url(app: App) -> str | None:
    return f"mailto:{quote(app.support_email, safe='@')}" if app.support_email else None
