"""The backend of Documents: serves the page, and forwards API calls to Latchstring for the signed-in user.

Tokens of Latchstring stay in this process; the browser has only the id of a session.
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
# The paths that the page calls. The rest of the API is not reachable; no segment begins with a dot.
ALLOWED_PATHS = re.compile(
    r"/(auth/log(in|out)|users/me|invitations/(lookup|request-new)|content(/[A-Za-z0-9][\w.~-]*){1,3})"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the URL of the accept page contains a token
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


# All users share one client, so it must not store cookies that Latchstring sets.
latchstring = httpx2.AsyncClient(base_url=LATCHSTRING, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])))
sessions = Sessions(latchstring)


async def forward(request: Request) -> Response:
    """Forward a request to Latchstring. Returns its response without tokens and cookies."""
    path = "/" + request.path_params["path"]
    if not ALLOWED_PATHS.fullmatch(path):
        return refuse(404, "not-found", "This app does not use this path.")
    if request.method != "GET" and request.headers.get("Origin") != APP:  # besides SameSite, against cross-site forms
        return refuse(403, "wrong-origin", "Requests must come from the page of this app.")
    session_id = request.cookies.get(COOKIE, "")
    headers = {key: request.headers[key] for key in ("Content-Type", "If-Match") if key in request.headers}
    headers["Accept-Language"] = request.headers.get("Accept-Language", "*")  # the language of mails and new accounts
    headers["X-Forwarded-For"] = request.client.host if request.client else ""  # for rate limits by client
    try:
        headers |= await sessions.find_authorization(session_id)
        content, params = await request.body(), request.url.query or None
        upstream = await latchstring.request(
            request.method, f"/api{path}", params=params, content=content, headers=headers
        )
    except httpx2.HTTPError:
        return refuse(503, "unavailable", "Latchstring does not answer. Try again in a moment.")
    body = upstream.json() if upstream.content else None
    new_session_id = ""
    if isinstance(body, dict) and "accessToken" in body:  # after signing in, or accepting with a new account
        sessions.end(session_id)
        new_session_id = sessions.begin(body)  # removes the tokens from the body
    elif path == "/auth/logout" or (isinstance(body, dict) and body.get("code") == "credential-invalid"):
        sessions.end(session_id)
    headers = {key: upstream.headers[key] for key in ("ETag", "Retry-After") if key in upstream.headers}
    status = upstream.status_code
    response = Response(None, status, headers=headers) if body is None else JSONResponse(body, status, headers=headers)
    if new_session_id:
        response.set_cookie(COOKIE, new_session_id, httponly=True, samesite="strict", secure=APP.startswith("https:"))
    return response


def refuse(status: int, code: str, detail: str) -> Response:
    return JSONResponse({"status": status, "code": code, "detail": detail}, status)


async def show_page(_: Request) -> Response:
    """Serve the same page for all paths; its script reads the path."""
    return FileResponse(HERE / "page.html")


async def reset_password(_: Request) -> Response:
    """Redirect to the page of Latchstring."""
    return RedirectResponse(f"{LATCHSTRING}/password-reset", 302)


class AddHeaders:
    """Adds HEADERS to every response, including errors and files."""

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
        Route("/api/{path:path}", forward, methods=["GET", "POST", "PATCH", "DELETE"]),
        Route("/password-reset", reset_password),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        *(Route(path, show_page) for path in ("/", "/{content_type}/{key}", "/{content_type}/{key}/accept")),
    ],
    middleware=[Middleware(AddHeaders)],
    lifespan=lifespan,
)
