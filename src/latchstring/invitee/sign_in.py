"""The start page, sign-in and sign-out."""

from latchstring.domain.errors import InvalidCredentials
from latchstring.formats.email_address import Address
from latchstring.formats.field_types import Email, Secret
from latchstring.http.authentication import has_outdated_terms
from latchstring.http.responses import Answer
from latchstring.invitee.context import InviteePage
from latchstring.invitee.routing import get, post
from latchstring.invitee.signed_in import member_of, sign_out, signed_in
from latchstring.pages.forms import PageForm

PROFILE = "/profile"  # asks for consent to new terms


class SignInForm(PageForm):
    """The form of /login. next: a path of this server to redirect to."""

    email: Email | None = None
    password: Secret | None = None
    next: str = ""


@get("/")
async def show_start(page: InviteePage) -> Answer:
    """The start page: the signed-in user, or how to sign in."""
    return page.show("start.html", user=page.user and await member_of(page, page.user))


@get("/login")
async def show_login(page: InviteePage) -> Answer:
    """The sign-in form. Users who are signed in see it as well, to sign in with another account."""
    return page.show("login.html", next=local_path(page.query_value("next")))


@post("/login")
async def log_in(page: InviteePage) -> Answer:
    """Sign in and redirect. The response is the same for an unknown address and a wrong password."""
    page, sent = await page.read(SignInForm)
    target = local_path(sent.get("next") or "")
    page = page.with_url("/login", next=target)
    address: Address | None = sent.get("email")
    address_text = address.email if address else sent.typed.get("email", "")
    try:
        user, tokens = await page.services.users.sessions.login(
            address_text, sent.get("password") or "", network=page.client_network
        )
    except InvalidCredentials as error:
        form = sent.with_problem("email", "credentials")
        return page.show("login.html", status=401, code=error.code, form=form, next=target)
    url = target or (PROFILE if has_outdated_terms(user, page.services.app) else "/")
    return signed_in(page, page.redirect_to(url) if "?" in url else page.redirect(url), tokens)


@post("/logout")
async def log_out(page: InviteePage) -> Answer:
    """End this browser's session."""
    page, _ = await page.read(PageForm)
    return await sign_out(page, page.redirect("/login", done="signed-out"))


def local_path(path: str) -> str:
    """The path if it is one of this server and no browser can read it as another host, else an empty string."""
    is_absolute = path.startswith("/") and not path.startswith(("//", "/\\"))
    is_plain = path.isascii() and not any(character <= " " or character in "\\\x7f" for character in path)
    return path if is_absolute and is_plain and len(path) <= 2048 else ""  # noqa: PLR2004
