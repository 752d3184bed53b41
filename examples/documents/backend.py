"""Documents, the backend: it serves one page, and passes API calls on to Latchstring in the name of who is signed in.

The browser never holds a token of Latchstring. Tokens stay in this process; the browser holds the name of a session.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2
from sessions import Sessions
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


async def pass_on(request: Request) -> Response:
    """Ask Latchstring, and hand back what it says without its tokens and cookies."""
    path = "/" + request.path_params["path"]
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
        content, params = await request.body(), request.url.query or None
        answer = await latchstring.request(
            request.method, f"/api{path}", params=params, content=content, headers=headers
        )
    except httpx2.HTTPError:
        return refuse(503, "unavailable", "Latchstring does not answer. Try again in a moment.")
    body = answer.json() if answer.content else None
    fresh = ""
    if isinstance(body, dict) and "accessToken" in body:  # signed in, or accepted with a new account
        sessions.end(name)
        fresh = sessions.begin(body)  # takes the tokens out of what the browser is handed
    elif path == "/auth/logout" or (isinstance(body, dict) and body.get("code") == "credential-invalid"):
        sessions.end(name)
    kept = {key: answer.headers[key] for key in ("ETag", "Retry-After") if key in answer.headers}
    status = answer.status_code
    response = Response(None, status, headers=kept) if body is None else JSONResponse(body, status, headers=kept)
    if fresh:
        response.set_cookie(COOKIE, fresh, httponly=True, samesite="strict", secure=APP.startswith("https:"))
    return response


def refuse(status: int, code: str, detail: str) -> Response:
    return JSONResponse({"status": status, "code": code, "detail": detail}, status)


async def show_page(_: Request) -> Response:
    """One page for all addresses; its script reads the address."""
    return FileResponse(HERE / "page.html")


async def reset_password(_: Request) -> Response:
    """Latchstring's own page does this well enough."""
    return RedirectResponse(f"{LATCHSTRING}/password-reset", 302)


class AddHeaders:
    """To everything, refusals and files included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with latchstring:
        yield


app = Starlette(
    routes=[
        Route("/api/{path:path}", pass_on, methods=["GET", "POST", "PATCH", "DELETE"]),
        Route("/password-reset", reset_password),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        *(Route(path, show_page) for path in ("/", "/{content_type}/{key}", "/{content_type}/{key}/accept")),
    ],
    middleware=[Middleware(AddHeaders)],
    lifespan=lifespan,
)
