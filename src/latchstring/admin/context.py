"""One visit of the panel: who looks, what may be done, and how the page leaves."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from starlette.requests import Request

from latchstring.admin.cookies import (
    Cookies,
    Flash,
    flash_cookie,
    gate_cookie,
    new_gate,
    no_flash_cookie,
    read_cookies,
)
from latchstring.admin.navigation import Section, sections_for
from latchstring.domain.account import Admin
from latchstring.domain.errors import CsrfTokenInvalid, Unreadable
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import Principal
from latchstring.http.authentication import is_foreign
from latchstring.http.client_address import client_network
from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer
from latchstring.http.scope import find_header, query_pairs
from latchstring.i18n.dates import text_direction
from latchstring.i18n.negotiation import accepted_languages
from latchstring.pages.assets import asset_url
from latchstring.pages.forms import F, Sent, Shown, read_form
from latchstring.pages.templating import render
from latchstring.services import Services

CODE_HEADER = "X-Latchstring-Code"
LANGUAGES = ("en", "de")  # what the panel speaks
DOMAIN = "panel"  # its words, apart from those of the invited person's pages


@dataclass(frozen=True, slots=True)
class Panel:
    """What a handler of a page is handed.

    query: pairs as they came, for lists whose whole state is the address. admin and session_id: None only at the gate.
    """

    request: Request
    services: Services
    cookies: Cookies
    path: str
    query: Sequence[tuple[str, str]]
    locale: str
    at: datetime
    principal: Principal
    admin: Admin | None = None
    session_id: UUID | None = None
    more_cookies: tuple[bytes, ...] = field(default=())

    @property
    def client_network(self) -> str:
        """The network that rate limits count the request by."""
        return client_network(self.request.scope, self.services.limits)

    @property
    def me(self) -> Admin:
        """Who has signed in. Only pages of the gate have nobody."""
        if self.admin is None:
            raise LookupError("nobody has signed in")
        return self.admin

    def can(self, permission: str) -> bool:
        return self.principal.can(permission)

    def asked(self, name: str) -> str:
        """A query parameter, or nothing; the first of a name counts."""
        return next((value for key, value in self.query if key == name), "")

    def asked_all(self, name: str) -> tuple[str, ...]:
        """Every value of a query parameter, in the order of the address."""
        return tuple(value for key, value in self.query if key == name and value)

    def parameter(self, name: str) -> str:
        """A part of the path, such as an id. It is text of a stranger."""
        return str(self.request.path_params.get(name, ""))

    @property
    def is_partial(self) -> bool:
        """Whether the script asks for a part of the page only (htmx sends HX-Request; history restores want all)."""
        headers = self.request.headers
        return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"

    def seen_by(self, admin: Admin, session_id: UUID) -> "Panel":
        """The page as this administrator sees it, in his language if he has chosen one."""
        locale = spoken_by_panel([admin.locale or "", self.locale])
        return replace(self, admin=admin, session_id=session_id, principal=principal_of_admin(admin), locale=locale)

    def with_cookies(self, *cookies: bytes) -> "Panel":
        """The answer will carry these as well."""
        return replace(self, more_cookies=(*self.more_cookies, *cookies))

    async def read(self, form: type[F]) -> Sent[F]:
        """The form that was sent. Raises CsrfTokenInvalid unless a page of this session sent it, Unreadable."""
        sent = await read_form(self.request.scope, self.request.receive, form)
        self.check_csrf(sent.typed.get("csrf", ""))
        return sent

    def check_csrf(self, token: str) -> None:
        """Raise CsrfTokenInvalid unless the token is this session's and the browser names no other site."""
        if not self.cookies.seed or not hmac.compare_digest(self.cookies.csrf.encode(), token.encode()):
            raise CsrfTokenInvalid("The form does not carry the token of this session.")
        if is_foreign(self.request.scope, self.services.app):
            raise CsrfTokenInvalid("Another site sent this form.")

    def show(
        self,
        template: str,
        *,
        status: int = 200,
        code: str = "",
        form: Shown | None = None,
        policy: str = PAGE_POLICY,
        **values: object,
    ) -> Answer:
        """The page. code: that of the refusal it tells of, which goes into a header."""
        body = render(f"panel/{template}", self._common(code, status) | {"form": form or Shown()} | values)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Language": self.locale,
            "Content-Security-Policy": policy,
        }
        if code:
            headers[CODE_HEADER] = code
        spent = [no_flash_cookie(secure=self.cookies.secure)] if self.cookies.flash else []
        return self._leave(status, body.encode(), headers, spent)

    def go(self, path: str, *, flash: str = "", is_bad: bool = False, **query: str) -> Answer:
        """On to a page of ours with GET. flash: what the action came to, in the reader's language."""
        pairs = {name: value for name, value in query.items() if value}
        url = f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}" if pairs else path
        location = quote(url, safe="%/:=&?~#+!$,;'@()*[]")
        kept = [flash_cookie(Flash(flash, is_bad), self.cookies.seed, secure=self.cookies.secure)] if flash else []
        return self._leave(303, b"", {"Location": location}, kept)

    def _leave(self, status: int, body: bytes, headers: Mapping[str, str], cookies: Sequence[bytes]) -> Answer:
        answer = Answer(status, body, [(name.lower().encode(), value.encode()) for name, value in headers.items()])
        every = [*self.more_cookies, *cookies]
        return answer.with_cookies(every) if every else answer

    def _common(self, code: str, status: int) -> dict[str, object]:
        return {
            "admin": self.admin,
            "app": self.services.app,
            "asked": self.asked,
            "asset": asset_url,
            "can": self.can,
            "code": code,
            "csrf": self.cookies.csrf,
            "direction": text_direction(self.locale),
            "domain": DOMAIN,
            "flash": self.cookies.flash,
            "locale": self.locale,
            "now": self.at,
            "panel_path": self.path,
            "sections": self._sections(),
            "status": status,
        }

    def _sections(self) -> Sequence[Section]:
        return sections_for(self.principal, self.path) if self.admin else ()


def open_panel(request: Request, services: Services) -> Panel:
    """The visit of a request, by nobody in particular yet. A query that cannot be read asks for nothing."""
    scope = request.scope
    cookies = read_cookies(scope, services.app)
    new: tuple[bytes, ...] = ()
    if not cookies.seed:
        cookies = replace(cookies, gate=new_gate())
        new = (gate_cookie(cookies.seed, secure=cookies.secure),)
    header = find_header(scope, b"accept-language") or b""
    wanted = accepted_languages(header.decode("latin-1"))
    return Panel(
        request=request,
        services=services,
        cookies=cookies,
        path=scope["path"],
        query=_query(scope),
        locale=spoken_by_panel(wanted),
        at=services.clock(),
        principal=NOBODY,
        more_cookies=new,
    )


def spoken_by_panel(wanted: Sequence[str]) -> str:
    """The first wanted language that the panel speaks, else English. `de-AT` is served by `de`."""
    primary = (tag.partition("-")[0].lower() for tag in wanted)
    return next((tag for tag in primary if tag in LANGUAGES), LANGUAGES[0])


def _query(scope: Any) -> Sequence[tuple[str, str]]:
    try:
        return query_pairs(scope)
    except Unreadable:
        return ()


NOBODY = principal_of_admin(Admin(UUID(int=0), "", "", "", ""))
