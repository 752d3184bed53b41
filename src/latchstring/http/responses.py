"""HTTP responses: a status, a few headers, and JSON encoded by msgspec.

An `Answer` is an ASGI application that sends itself. The `Response` of a framework also handles cookies, background
tasks and encodings, which are not needed here and would slow down every request.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from latchstring.domain.idempotency import StoredAnswer

JSON = b"application/json"
HeaderPairs = Iterable[tuple[bytes, bytes]]


class View(msgspec.Struct, rename="camel", kw_only=True):
    """A response body: snake_case in Python, camelCase in JSON, with a schema in the OpenAPI document."""


def encode_value(value: object) -> Any:
    """Convert types that msgspec does not support. Raises TypeError."""
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be encoded")


_encoder = msgspec.json.Encoder(enc_hook=encode_value, decimal_format="number")


def encode(value: object) -> bytes:
    """Encode a View, dict or list as JSON: UUIDs as text, instants as RFC 3339 with `Z`."""
    return _encoder.encode(value)


class Answer:
    """An HTTP response, as handlers return it."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: HeaderPairs = ()) -> None:
        self.status = status
        self.body = body
        self.headers: list[tuple[bytes, bytes]] = list(headers)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = self.headers
        if self.status not in (204, 304):
            headers = [*headers, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def with_cookies(self, cookies: Iterable[bytes]) -> "Answer":
        """Add `Set-Cookie` headers, such as `authentication.session_cookies` makes."""
        self.headers += [(b"set-cookie", cookie) for cookie in cookies]
        return self


def json_answer(value: object, status: int = 200, *, location: str | None = None) -> Answer:
    """Make a JSON response. location: the path or URL of the created resource."""
    return raw_json_answer(encode(value), status, location=location)


def raw_json_answer(body: bytes, status: int = 200, *, location: str | None = None) -> Answer:
    """Make a response of encoded JSON."""
    headers = [(b"content-type", JSON)]
    if location is not None:
        headers.append((b"location", location.encode("ascii")))
    return Answer(status, body, headers)


def empty_answer(status: int = 204) -> Answer:
    """Make a response without a body."""
    return Answer(status)


def text_answer(text: str, status: int = 200, *, media_type: str = "text/plain; charset=utf-8") -> Answer:
    """Make a response of text."""
    return Answer(status, text.encode(), [(b"content-type", media_type.encode("ascii"))])


def stored_answer(value: object, status: int, *, location: str | None = None) -> StoredAnswer:
    """Make the response that is stored for an Idempotency-Key; `replay_answer` sends it."""
    return StoredAnswer(status, encode(value), location)


def replay_answer(stored: StoredAnswer) -> Answer:
    """Make the response from a stored answer, the same each time."""
    return raw_json_answer(stored.body, stored.status, location=stored.location)
