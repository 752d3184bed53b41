"""Request context of a panel page: the signed-in administrator, what they may do, and the flash message."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from starlette.requests import Request

from latchstring.admin.cookies import (
    Cookies,
    Flash,
    expired_flash_cookie,
    flash_cookie,
    new_pre_session,
    pre_session_cookie,
    read_cookies,
)
from latchstring.admin.navigation import Section, sections_for
from latchstring.domain.account import Admin
from latchstring.domain.ids import NIL_ID
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import Principal
from latchstring.http.responses import Answer
from latchstring.pages.context import PageContext, read_query, requested_languages, with_query
from latchstring.services import Services

LANGUAGES = ("en", "de")  # of the panel
DOMAIN = "panel"  # the gettext domain of the panel; invitee pages have their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel(PageContext):
    """What the handler of a panel page receives.

    admin and session_id are None only on pages that need no session.
    """

    cookies: Cookies
    now: datetime
    principal: Principal
    admin: Admin | None = None
    session_id: UUID | None = None
    new_cookies: tuple[bytes, ...] = ()

    @property
    def csrf(self) -> str:
        return self.cookies.csrf

    @property
    def me(self) -> Admin:
        """The signed-in administrator."""
        if self.admin is None:
            raise LookupError("no administrator is signed in")
        return self.admin

    def can(self, permission: str) -> bool:
        return self.principal.can(permission)

    def parameter(self, name: str) -> str:
        """A parameter of the path, such as an id, unchecked."""
        return str(self.request.path_params.get(name, ""))

    @property
    def is_partial(self) -> bool:
        """Whether htmx requests a part of the page. It sends HX-Request; restoring its history needs the whole page."""
        headers = self.request.headers
        return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"

    def as_user(self, admin: Admin, session_id: UUID) -> "Panel":
        """A copy for this administrator, in their language if they have chosen one."""
        locale = panel_locale([admin.locale or "", self.locale])
        return replace(self, admin=admin, session_id=session_id, principal=principal_of_admin(admin), locale=locale)

    def with_cookies(self, *cookies: bytes) -> "Panel":
        """A copy whose answer sets these cookies as well."""
        return replace(self, new_cookies=(*self.new_cookies, *cookies))

    def redirect(self, path: str, *, flash: Flash | None = None, **query: str) -> Answer:
        """A redirect to a page of the panel. flash: the message that the next page shows, created by `admin.flash`."""
        secure, seed = self.cookies.secure, self.cookies.csrf_seed
        cookies = [flash_cookie(flash, seed, secure=secure)] if flash else []
        return self.redirect_to(with_query(path, query), cookies)

    def template_path(self, template: str) -> str:
        return f"panel/{template}"

    def answer_cookies(self) -> Sequence[bytes]:
        return self.new_cookies

    def page_cookies(self) -> Sequence[bytes]:
        return [expired_flash_cookie(secure=self.cookies.secure)] if self.cookies.flash else []

    def template_values(self) -> dict[str, object]:
        return PageContext.template_values(self) | {
            "admin": self.admin,
            "can": self.can,
            "domain": DOMAIN,
            "flash": self.cookies.flash,
            "now": self.now,
            "panel_path": self.path,
            "query_value": self.query_value,
            "sections": self._sections(),
        }

    def _sections(self) -> Sequence[Section]:
        return sections_for(self.principal, self.path) if self.admin else ()


def request_context(request: Request, services: Services) -> Panel:
    """The context of a request before authentication."""
    scope = request.scope
    cookies = read_cookies(scope, services.app)
    new_cookies: tuple[bytes, ...] = ()
    if not cookies.csrf_seed:
        cookies = replace(cookies, pre_session=new_pre_session())
        new_cookies = (pre_session_cookie(cookies.csrf_seed, secure=cookies.secure),)
    return Panel(
        request=request,
        services=services,
        cookies=cookies,
        path=scope["path"],
        query=read_query(scope),
        locale=panel_locale(requested_languages(scope)),
        now=services.clock(),
        principal=NOBODY,
        new_cookies=new_cookies,
    )


def panel_locale(languages: Sequence[str]) -> str:
    """The first of the languages that the panel supports, else English. `de-AT` is served by `de`."""
    primary = (tag.partition("-")[0].lower() for tag in languages)
    return next((tag for tag in primary if tag in LANGUAGES), LANGUAGES[0])


NOBODY = principal_of_admin(Admin(NIL_ID, "", "", "", ""))
