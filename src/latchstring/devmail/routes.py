"""The development mailbox: pages that show mails instead of sending them.

It is served only if mails are written to files (`mail.transport = "mailbox"`), and only to this machine and its private
network without a proxy in between, because it reveals the links of all invitees.
"""

import re
from datetime import datetime
from functools import cache
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.types import Scope

from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer
from latchstring.http.routing import Route, get
from latchstring.http.scope import find_header
from latchstring.i18n.dates import format_instant
from latchstring.i18n.negotiation import SOURCE
from latchstring.mail.mailbox import StoredMail, find_stored_mail, list_stored_mails
from latchstring.services import Services

PAGE_SIZE = 100
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# For the HTML of a mail: inline styles as in mail programs, no other resources, no scripts; links open in a new tab.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_LINK = re.compile(r"https?://[^\s<>\"]+")


@get("/dev/mail")
async def show_mailbox(request: Request) -> Answer:
    """Show the newest mails."""
    directory = _get_directory(request.scope)
    mails = list_stored_mails(directory, PAGE_SIZE)
    return _page(request.scope, "mailbox.html", mails=mails, directory=directory, limit=PAGE_SIZE)


@get("/dev/mail/style.css")
async def show_style(_: Request) -> Answer:
    """Serve the style sheet of these pages."""
    body = (files("latchstring.devmail") / "static" / "devmail.css").read_bytes()
    return Answer(200, body, [(b"content-type", b"text/css; charset=utf-8")])


@get("/dev/terms")
async def show_terms(request: Request) -> Answer:
    """Show a placeholder for the terms of an app."""
    _get_directory(request.scope)
    return _page(request.scope, "terms.html")


@get("/dev/mail/{mail_id:uuid}")
async def show_mail(request: Request) -> Answer:
    """Show a mail: its text, its HTML and its headers."""
    return _page(request.scope, "mail.html", mail=_get_mail(request))


@get("/dev/mail/{mail_id:uuid}/html")
async def show_html(request: Request) -> Answer:
    """Serve the HTML part for a frame. Its links open in a new tab, since our pages may not be framed."""
    html = _get_mail(request).html.replace("<head>", '<head><base target="_blank">', 1)
    return _html(html, MAIL_POLICY, frame="SAMEORIGIN")


@get("/dev/mail/{mail_id:uuid}/source")
async def show_source(request: Request) -> Answer:
    """Serve the source of the mail."""
    mail = _get_mail(request)
    body = (_get_directory(request.scope) / f"{mail.id}.eml").read_bytes()
    return Answer(200, body, [(b"content-type", b"text/plain; charset=utf-8")])


routes: list[Route] = [show_mailbox, show_style, show_terms, show_mail, show_html, show_source]


def _services(scope: Scope) -> Services:
    return scope["app"].state.services  # type: ignore[no-any-return]


def _get_mail(request: Request) -> StoredMail:
    mail = find_stored_mail(_get_directory(request.scope), request.path_params["mail_id"])
    if mail is None:
        raise NotFound("There is no such mail here.")
    return mail


def _get_directory(scope: Scope) -> Path:
    """Return the folder of the mails. Raises NotFound if the mailbox is disabled or the client is not local."""
    services = _services(scope)
    if services.mail_rules.transport != "mailbox" or not _is_local(scope, services.app.public_url):
        raise NotFound
    return Path(services.mail_rules.mailbox_directory)


def _is_local(scope: Scope, public_url: str) -> bool:
    """Whether the request comes from this machine or its private network, with an allowed host name.

    The host is checked because another site can let its own name resolve to this machine (DNS rebinding).
    """
    if any(find_header(scope, name) is not None for name in (b"x-forwarded-for", b"forwarded", b"x-real-ip")):
        return False
    client = scope.get("client")
    if client and not _is_private(client[0]):
        return False
    host = urlsplit(f"//{(find_header(scope, b'host') or b'').decode('latin-1')}").hostname or ""
    return host in {"localhost", urlsplit(public_url).hostname} or _is_private(host)


def _is_private(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address == "testclient"  # the address of in-process test requests
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_private  # Python reports every mapped address as private


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("latchstring.devmail"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"instant": _format_utc, "linked": _link_urls}
    return environment


def _format_utc(instant: datetime) -> str:
    return format_instant(instant, SOURCE)


def _link_urls(text: str) -> Markup:
    """Turn URLs in the text part into links, as mail programs do."""
    fragments, end = [], 0
    for match in _LINK.finditer(text):
        link = escape(match[0])
        fragments += [escape(text[end : match.start()])]
        fragments += [Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(link, link)]
        end = match.end()
    return Markup("").join([*fragments, escape(text[end:])])


def _page(scope: Scope, template: str, **values: object) -> Answer:
    body = _environment().get_template(template).render(values, app=_services(scope).app)
    return _html(body, PAGE_POLICY, frame="DENY")


def _html(body: str, policy: str, *, frame: str) -> Answer:
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "x-frame-options": frame,
        "cross-origin-opener-policy": "unsafe-none",  # browsers refuse other values together with a sandbox
    }
    return Answer(200, body.encode(), [(name.encode(), value.encode()) for name, value in headers.items()])
