"""Answers of the API: a status, a few headers, and JSON made by msgspec.

An `Answer` is itself the ASGI application that sends it. A framework's `Response` also handles cookies, background
tasks and encodings; nothing here needs them, and every request would pay for them.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from latchstring.domain.idempotency import StoredAnswer

JSON = b"application/json"
HeaderPairs = Iterable[tuple[bytes, bytes]]


class View(msgspec.Struct, rename="camel", kw_only=True):
    """What an answer shows: snake_case here, camelCase outside, and a schema in the OpenAPI document."""


def encode_value(value: object) -> Any:
    """What msgspec does not know by itself."""
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


_encoder = msgspec.json.Encoder(enc_hook=encode_value, decimal_format="number")


def encode(value: object) -> bytes:
    """JSON of a View, a dict, a list: UUIDs as text, instants as RFC 3339 with `Z`."""
    return _encoder.encode(value)


class Answer:
    """One HTTP answer, ready to be sent. Handlers return it."""

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
        """Add `Set-Cookie` lines, such as `auth.session_cookies` makes."""
        self.headers += [(b"set-cookie", cookie) for cookie in cookies]
        return self


def json_answer(value: object, status: int = 200, *, location: str | None = None) -> Answer:
    """The value as JSON. location: a path or URL of what was made."""
    return raw_json_answer(encode(value), status, location=location)


def raw_json_answer(body: bytes, status: int = 200, *, location: str | None = None) -> Answer:
    """JSON that is encoded already."""
    headers = [(b"content-type", JSON)]
    if location is not None:
        headers.append((b"location", location.encode("ascii")))
    return Answer(status, body, headers)


def empty_answer(status: int = 204) -> Answer:
    """No body."""
    return Answer(status)


def text_answer(text: str, status: int = 200, *, media_type: str = "text/plain; charset=utf-8") -> Answer:
    """Text as it is."""
    return Answer(status, text.encode(), [(b"content-type", media_type.encode("ascii"))])


def stored_answer(value: object, status: int, *, location: str | None = None) -> StoredAnswer:
    """What is kept for an Idempotency-Key; `replay_answer` sends it."""
    return StoredAnswer(status, encode(value), location)


def replay_answer(stored: StoredAnswer) -> Answer:
    """A stored answer, as it went out the first time."""
    return raw_json_answer(stored.body, stored.status, location=stored.location)
