"""The public keys of access tokens."""

from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.http.authentication import RouteAccess
from latchstring.http.responses import Answer, View, json_answer
from latchstring.http.routing import get
from latchstring.rest.route import operation
from latchstring.services import Services


class JwkView(View):
    """An Ed25519 key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class JwksView(View):
    """The public keys of access tokens, newest first (RFC 7517)."""

    keys: list[JwkView]


def _answer(services: Services) -> Answer:
    answer = json_answer(services.users.sessions.jwks())
    # Verifiers fetch the keys again for an unknown kid. They may accept a removed key for at most five minutes more.
    answer.headers.append((b"cache-control", b"public, max-age=300"))
    return answer


@operation(
    "GET",
    "/api/.well-known/jwks.json",
    "Show the public keys of access tokens",
    tag="Sessions",
    access=RouteAccess.PUBLIC,
    answers={200: JwksView},
)
async def get_jwks(services: Services) -> Answer:
    """The same as `/.well-known/jwks.json`."""
    return _answer(services)


@get("/.well-known/jwks.json")
async def get_jwks_at_root(request: Request) -> ASGIApp:
    """The well-known path (RFC 8615)."""
    return _answer(request.app.state.services)


routes = [get_jwks, get_jwks_at_root]
