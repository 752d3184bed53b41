"""Request context of an HTML page: query, form and CSRF check of a request, and the answers of a handler."""

import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.types import Scope

from latchstring.domain.errors import CsrfTokenInvalid, Unreadable
from latchstring.http.authentication import is_foreign
from latchstring.http.client_address import client_network
from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer
from latchstring.http.scope import find_header, query_pairs
from latchstring.i18n.dates import text_direction
from latchstring.i18n.negotiation import accepted_languages
from latchstring.pages.forms import F, FormState, SentForm, read_form
from latchstring.pages.templating import render
from latchstring.services import Services

CODE_HEADER = "X-Latchstring-Code"
_SAFE_IN_LOCATION = "%/:=&?~#+!$,;'@()*[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext(ABC):
    """The context that every handler of a page receives. Each face adds its user, cookies and languages.

    query: the pairs of the query string in order; the first pair of a name counts.
    """

    request: Request
    services: Services
    path: str
    query: Sequence[tuple[str, str]]
    locale: str

    @property
    @abstractmethod
    def csrf(self) -> str:
        """The CSRF token of every form of this browser."""

    @property
    def content_policy(self) -> str:
        """The Content-Security-Policy of the face's pages."""
        return PAGE_POLICY

    @property
    def client_network(self) -> str:
        """The client network that rate limits count requests by."""
        return client_network(self.request.scope, self.services.limits)

    def query_value(self, name: str) -> str:
        """A query parameter, or an empty text."""
        return next((value for key, value in self.query if key == name), "")

    def query_values(self, name: str) -> tuple[str, ...]:
        """Every value of a query parameter that is not empty, in the order of the query string."""
        return tuple(value for key, value in self.query if key == name and value)

    async def read_form(self, form: type[F]) -> SentForm[F]:
        """Read the form of a POST. Raises Unreadable, and CsrfTokenInvalid unless a page of this browser sent it."""
        sent = await read_form(self.request.scope, self.request.receive, form)
        self.check_csrf(sent.typed.get("csrf", ""))
        return sent

    def check_csrf(self, token: str) -> None:
        """Raise CsrfTokenInvalid unless the token belongs to this browser and the request is same-origin."""
        # a browser without cookies gets its first token with this answer, so no form can contain one yet
        if not self.csrf or not hmac.compare_digest(self.csrf.encode(), token.encode()):
            raise CsrfTokenInvalid("The form does not carry the CSRF token of this browser.")
        if is_foreign(self.request.scope, self.services.app):
            raise CsrfTokenInvalid("Another site sent this form.")

    def show(
        self,
        template: str,
        /,
        *,
        status: int = 200,
        code: str = "",
        form: FormState | None = None,
        **values: object,
    ) -> Answer:
        """Render a template. code: the error code that the page explains; it is also sent as a header."""
        common = self.template_values() | {"code": code, "form": form or FormState(), "status": status}
        body = render(self.template_path(template), common | values)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Language": self.locale,
            "Content-Security-Policy": self.content_policy,
        }
        if code:
            headers[CODE_HEADER] = code
        return self._answer(status, body.encode(), headers, self.page_cookies())

    def redirect_to(self, url: str, cookies: Sequence[bytes] = ()) -> Answer:
        """See other (303): the browser follows with GET. The url must have been checked."""
        return self._answer(303, b"", {"Location": quote(url, safe=_SAFE_IN_LOCATION)}, cookies)

    def template_path(self, template: str) -> str:
        """The path of the template among all templates."""
        return template

    def template_values(self) -> dict[str, object]:
        """The values available in every template of the face."""
        return {
            "app": self.services.app,
            "csrf": self.csrf,
            "direction": text_direction(self.locale),
            "locale": self.locale,
        }

    def answer_cookies(self) -> Sequence[bytes]:
        """`Set-Cookie` lines of every answer to this request."""
        return ()

    def page_cookies(self) -> Sequence[bytes]:
        """`Set-Cookie` lines of a page, but not of a redirect."""
        return ()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str], cookies: Sequence[bytes]) -> Answer:
        answer = Answer(status, body, [(name.lower().encode(), value.encode()) for name, value in headers.items()])
        return answer.with_cookies([*self.answer_cookies(), *cookies])


def with_query(path: str, query: Mapping[str, str]) -> str:
    """The path with these parameters appended; empty ones are left out."""
    pairs = {name: value for name, value in query.items() if value}
    return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}" if pairs else path


def read_query(scope: Scope) -> Sequence[tuple[str, str]]:
    """The pairs of the query string; empty if it is invalid."""
    try:
        return query_pairs(scope)
    except Unreadable:
        return ()


def requested_languages(scope: Scope) -> Sequence[str]:
    """The languages of `Accept-Language`, best first."""
    return accepted_languages((find_header(scope, b"accept-language") or b"").decode("latin-1"))
