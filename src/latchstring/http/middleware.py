"""The outermost layer: what holds for every request, before a route is looked for and after it has answered.

One plain ASGI application, because each layer costs microseconds on every request: request id, security headers, CORS,
HEAD answered as GET without a body, and paths refused that name nothing.
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
    """Whether programs, not browsers' address bars, come here."""
    return path.startswith(DATA_PATHS) or path == "/api"


class EdgeMiddleware:
    """Wraps the whole application."""

    def __init__(self, inside: ASGIApp, app: App) -> None:
        self._inside = inside
        self._origins = frozenset(origin.encode("latin-1") for origin in app.allowed_origins)
        self._data_headers = data_headers(app)
        self._page_headers = page_headers(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        is_data = is_data_path(scope["path"])
        more = [*self._cors_headers(scope), *self._id_header(scope)] if is_data else self._id_header(scope)
        finish = _Finishing(send, self._data_headers if is_data else self._page_headers, more, scope["method"])
        await self._answer(scope, receive, finish.send, is_data=is_data)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, is_data: bool) -> None:
        if is_data and scope["method"] == "OPTIONS" and self._is_preflight(scope):
            await _preflight_answer()(scope, receive, send)
        elif not scope["path"].isprintable():  # no key, no id, no page has control characters; PostgreSQL no NUL
            await problem_answer(NotFound("There is nothing under this address."), scope)(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._answer_head(scope, receive, send)
        else:
            await self._inside(scope, receive, send)

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET changes nothing here, so HEAD is GET without its body; the server still has to see HEAD in its scope."""
        as_get: Scope = {**scope, "method": "GET", IS_HEAD: True}
        try:
            await self._inside(as_get, receive, send)
        finally:
            if "path_template" in as_get:
                scope["path_template"] = as_get["path_template"]

    def _is_preflight(self, scope: Scope) -> bool:
        asks = find_header(scope, b"access-control-request-method") is not None
        return asks and find_header(scope, b"origin") in self._origins

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


class _Finishing:
    """Adds what is missing to an answer on its way out."""

    __slots__ = ("_defaults", "_method", "_more", "_send")

    def __init__(self, send: Send, defaults: Pairs, more: Pairs | list[tuple[bytes, bytes]], method: str) -> None:
        self._send = send
        self._defaults = defaults
        self._more = more
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
        headers += self._more
        return headers
