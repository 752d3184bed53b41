"""The outermost middleware: request id, security headers, CORS, HEAD requests, and invalid paths.

It is a single ASGI application, because each layer adds microseconds to every request.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latchstring.domain.errors import NotFound
from latchstring.domain.settings import App
from latchstring.http.headers import Pairs, data_headers, page_headers
from latchstring.http.problems import problem_answer
from latchstring.http.responses import Answer
from latchstring.http.scope import IS_HEAD, find_header, request_id

DATA_PATHS = ("/api/", "/.well-known/", "/openapi.json", "/healthz", "/readyz", "/metrics")
ALLOWED_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    b"Authorization, Content-Type, X-CSRF-Token, Idempotency-Key, If-Match, If-None-Match, Accept-Language"
)
EXPOSED_HEADERS = b"Location, ETag, Retry-After, X-Request-Id, WWW-Authenticate, Content-Language"
PREFLIGHT_SECONDS = b"600"


def is_data_path(path: str) -> bool:
    """Whether the path is for programs, not for pages of a browser."""
    return path.startswith(DATA_PATHS) or path == "/api"


class EdgeMiddleware:
    """The middleware around the whole application."""

    def __init__(self, inner: ASGIApp, app: App) -> None:
        self._inner = inner
        self._origins = frozenset(origin.encode("latin-1") for origin in app.allowed_origins)
        self._data_headers = data_headers(app)
        self._page_headers = page_headers(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        is_data = is_data_path(scope["path"])
        extra_headers = [*self._cors_headers(scope), *self._id_header(scope)] if is_data else self._id_header(scope)
        finish = _HeaderCompletion(
            send, self._data_headers if is_data else self._page_headers, extra_headers, scope["method"]
        )
        await self._answer(scope, receive, finish.send, is_data=is_data)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, is_data: bool) -> None:
        if is_data and scope["method"] == "OPTIONS" and self._is_preflight(scope):
            await _preflight_answer()(scope, receive, send)
        elif not scope["path"].isprintable():  # no path has control characters, and PostgreSQL refuses NUL
            await problem_answer(NotFound("There is nothing under this address."), scope)(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._answer_head(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD like GET without a body, in a copy of the scope: the server must still see HEAD in its own."""
        get_scope: Scope = {**scope, "method": "GET", IS_HEAD: True}
        try:
            await self._inner(get_scope, receive, send)
        finally:
            if "path_template" in get_scope:
                scope["path_template"] = get_scope["path_template"]

    def _is_preflight(self, scope: Scope) -> bool:
        has_method = find_header(scope, b"access-control-request-method") is not None
        return has_method and find_header(scope, b"origin") in self._origins

    def _cors_headers(self, scope: Scope) -> Pairs:
        if not self._origins:
            return ()
        origin = find_header(scope, b"origin")
        if origin not in self._origins or origin is None:
            return ((b"vary", b"Origin"),)
        return (
            (b"vary", b"Origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
        )

    def _id_header(self, scope: Scope) -> Pairs:
        return ((b"x-request-id", str(request_id(scope)).encode("ascii")),)


def _preflight_answer() -> Answer:
    return Answer(
        204,
        headers=[
            (b"access-control-allow-methods", ALLOWED_METHODS),
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", PREFLIGHT_SECONDS),
        ],
    )


class _HeaderCompletion:
    """Adds missing headers to a response while it is sent, and removes the body for HEAD."""

    __slots__ = ("_defaults", "_extra", "_method", "_send")

    def __init__(self, send: Send, defaults: Pairs, extra: Pairs | list[tuple[bytes, bytes]], method: str) -> None:
        self._send = send
        self._defaults = defaults
        self._extra = extra
        self._method = method

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send({**message, "headers": self._complete([*message["headers"]])})
        elif self._method == "HEAD" and message["type"] == "http.response.body":
            if not message["more_body"]:
                await self._send({**message, "body": b""})
        else:
            await self._send(message)

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name for name, _ in headers}
        headers += [pair for pair in self._defaults if pair[0] not in present]
        headers += self._extra
        return headers
