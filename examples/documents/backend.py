"""Documents, the backend: it serves one page, and passes API calls on to Latchstring in the name of who is signed in.

The browser never holds a token of Latchstring. Tokens stay in this process; the browser holds the name of a session.
"""

import os
import re
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx2
from litestar import Litestar, Request, Response, get, route
from litestar.datastructures import MutableScopeHeaders
from litestar.params import FromPath
from litestar.response import File, Redirect
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope
from sessions import Sessions

HERE = Path(__file__).parent
APP = os.environ.get("DOCUMENTS_URL", "http://127.0.0.1:8090")
LATCHSTRING = os.environ.get("LATCHSTRING_URL", "http://127.0.0.1:8080")
COOKIE = "documents_session"
# What the page asks for. The rest of the API stays out of reach; no segment begins with a dot.
OPEN = re.compile(r"/(auth/log(in|out)|users/me|invitations/(lookup|request-new)|content(/[A-Za-z0-9][\w.~-]*){1,3})")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the accept page is opened with a token in its address
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


# One client for everybody: it must not keep the cookies that Latchstring sets for one of them.
latchstring = httpx2.AsyncClient(base_url=LATCHSTRING, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])))
sessions = Sessions(latchstring)


@route("/api/{path:path}", http_method=["GET", "POST", "PATCH", "DELETE"])
async def pass_on(path: FromPath[str], request: Request[Any, Any, Any]) -> Response[Any]:
    """Ask Latchstring, and hand back what it says without its tokens and cookies."""
    if not OPEN.fullmatch(path):
        return refuse(404, "not-found", "This app has no use for that.")
    if request.method != "GET" and request.headers.get("Origin") != APP:  # beside SameSite: no other site's forms
        return refuse(403, "wrong-origin", "Send this from the app's own page.")
    name = request.cookies.get(COOKIE, "")
    headers = {key: request.headers[key] for key in ("Content-Type", "If-Match") if key in request.headers}
    headers["Accept-Language"] = request.headers.get("Accept-Language", "*")  # of mails and new accounts
    headers["X-Forwarded-For"] = request.client.host if request.client else ""  # rate limits count people, not us
    try:
        headers |= await sessions.find_authorization(name)
        content, params = await request.body(), request.query_params.dict()
        answer = await latchstring.request(
            request.method, f"/api{path}", params=params, content=content, headers=headers
        )
    except httpx2.HTTPError:
        return refuse(503, "unavailable", "Latchstring does not answer. Try again in a moment.")
    body = answer.json() if answer.content else None
    kept = {key: answer.headers[key] for key in ("ETag", "Retry-After") if key in answer.headers}
    response: Response[Any] = Response(body, status_code=answer.status_code, headers=kept)
    if isinstance(body, dict) and "accessToken" in body:  # signed in, or accepted with a new account
        sessions.end(name)
        fresh = sessions.begin(body)
        response.set_cookie(COOKIE, fresh, httponly=True, samesite="strict", secure=APP.startswith("https:"))
    elif path == "/auth/logout" or (isinstance(body, dict) and body.get("code") == "credential-invalid"):
        sessions.end(name)
    return response


def refuse(status: int, code: str, detail: str) -> Response[dict[str, Any]]:
    return Response({"status": status, "code": code, "detail": detail}, status_code=status)


@get(["/", "/{content_type:str}/{key:str}", "/{content_type:str}/{key:str}/accept"])
async def show_page() -> File:
    """One page for all addresses; its script reads the address."""
    return File(HERE / "page.html", media_type="text/html", content_disposition_type="inline")


@get("/password-reset")
async def reset_password() -> Redirect:
    """Latchstring's own page does this well enough."""
    return Redirect(f"{LATCHSTRING}/password-reset")


async def add_headers(message: Message, _: Scope) -> None:
    """To everything, refusals and files included."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message).update(HEADERS)


static = create_static_files_router(path="/static", directories=[HERE / "static"])
app = Litestar(
    [pass_on, show_page, reset_password, static],
    before_send=[add_headers],
    on_shutdown=[latchstring.aclose],
    openapi_config=None,
)
