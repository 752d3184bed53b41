"""The development mailbox: what would have been sent, for whoever develops on this machine.

Only served where mail goes to files (`mail.transport = "mailbox"`), and only to the machine itself or its private
network without a proxy in between: every link of every person lies open here.
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

SHOWN = 100
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# The mail itself: styles as mail needs them, nothing loaded, no script, and links open beside it.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_LINK = re.compile(r"https?://[^\s<>\"]+")


@get("/dev/mail")
async def show_mailbox(request: Request) -> Answer:
    """The newest mails."""
    directory = _directory(request.scope)
    mails = list_stored_mails(directory, SHOWN)
    return _page(request.scope, "mailbox.html", mails=mails, directory=directory, shown=SHOWN)


@get("/dev/mail/style.css")
async def show_style(_: Request) -> Answer:
    """The few rules these pages have beside the common ones."""
    body = (files("latchstring.devmail") / "static" / "devmail.css").read_bytes()
    return Answer(200, body, [(b"content-type", b"text/css; charset=utf-8")])


@get("/dev/terms")
async def show_terms(request: Request) -> Answer:
    """Stands in for an app's terms while one tries things out."""
    _directory(request.scope)
    return _page(request.scope, "terms.html")


@get("/dev/mail/{mail_id:uuid}")
async def show_mail(request: Request) -> Answer:
    """One mail: both parts and its headers."""
    return _page(request.scope, "mail.html", mail=_find(request))


@get("/dev/mail/{mail_id:uuid}/html")
async def show_html(request: Request) -> Answer:
    """The HTML part alone, for the frame. Its links open in a new tab: no page of ours may stand in a frame."""
    html = _find(request).html.replace("<head>", '<head><base target="_blank">', 1)
    return _html(html, MAIL_POLICY, frame="SAMEORIGIN")


@get("/dev/mail/{mail_id:uuid}/source")
async def show_source(request: Request) -> Answer:
    """The mail as it would have left."""
    mail = _find(request)
    body = (_directory(request.scope) / f"{mail.id}.eml").read_bytes()
    return Answer(200, body, [(b"content-type", b"text/plain; charset=utf-8")])


routes: list[Route] = [show_mailbox, show_style, show_terms, show_mail, show_html, show_source]


def _services(scope: Scope) -> Services:
    return scope["app"].state.services  # type: ignore[no-any-return]


def _find(request: Request) -> StoredMail:
    mail = find_stored_mail(_directory(request.scope), request.path_params["mail_id"])
    if mail is None:
        raise NotFound("There is no such mail here.")
    return mail


def _directory(scope: Scope) -> Path:
    """Where the mails lie. Raises NotFound to whoever must not see them."""
    services = _services(scope)
    if services.mail_rules.transport != "mailbox" or not _is_near(scope, services.app.public_url):
        raise NotFound
    return Path(services.mail_rules.mailbox_directory)


def _is_near(scope: Scope, public_url: str) -> bool:
    """Whether the request comes from this machine or its private network, by a name that is ours.

    The name is checked because a page elsewhere may let its own name point at this machine (DNS rebinding).
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
        found = ip_address(address)
    except ValueError:
        return address == "testclient"  # requests made in process come from no address
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_private  # Python calls every mapped address private


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("latchstring.devmail"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"instant": _instant, "linked": _linked}
    return made


def _instant(now: datetime) -> str:
    return format_instant(now, SOURCE)


def _linked(text: str) -> Markup:
    """The text part with its links to follow, as a mail program would show it."""
    pieces, end = [], 0
    for found in _LINK.finditer(text):
        link = escape(found[0])
        pieces += [escape(text[end : found.start()])]
        pieces += [Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(link, link)]
        end = found.end()
    return Markup("").join([*pieces, escape(text[end:])])


def _page(scope: Scope, template: str, **values: object) -> Answer:
    body = _environment().get_template(template).render(values, app=_services(scope).app)
    return _html(body, PAGE_POLICY, frame="DENY")


def _html(body: str, policy: str, *, frame: str) -> Answer:
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "x-frame-options": frame,
        "cross-origin-opener-policy": "unsafe-none",  # browsers refuse any other together with a sandbox
    }
    return Answer(200, body.encode(), [(name.encode(), value.encode()) for name, value in headers.items()])
