"""`Idempotency-Key`: a repeated request has one effect and gets the same response.

    async def create_group(services, caller, body, idempotency: Idempotency) -> Answer:
        return await idempotency.run(
            lambda once: services.groups.create(body…, once=once),
            lambda group: stored_answer(group_view(group), 201, location=f"/api/groups/{group.key}"),
        )

The service stores the answer as the first step of the transaction of its effect. A duplicate that arrives while the
first request is running waits there, for at most five seconds.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.types import Scope

from latchstring.domain.errors import (
    IdempotencyKeyReused,
    IdempotencyRunning,
    LatchstringError,
    TooManyRequests,
    Unauthenticated,
    Unreadable,
)
from latchstring.domain.idempotency import AnswerStored, Claim, Once, StoredAnswer
from latchstring.domain.principal import Principal
from latchstring.http.responses import Answer, replay_answer
from latchstring.http.scope import list_header, query_pairs
from latchstring.services import Services
from latchstring.storage.engine.idempotency import find_answer
from latchstring.storage.engine.postgres import LockTimeout

T = TypeVar("T")
HEADER = b"idempotency-key"
MAX_KEY_LENGTH = 255


def read_key(scope: Scope, *, is_supported: bool) -> str | None:
    """Return the Idempotency-Key of a request, None without one.

    Raises Unreadable for a malformed or duplicate header, and on a POST that does not support it, so that clients do
    not rely on it there. Other methods are idempotent and ignore the header.
    """
    lines = list_header(scope, HEADER)
    if not lines:
        return None
    if not is_supported:
        if scope["method"] == "POST":
            raise Unreadable("This route takes no Idempotency-Key.", code="idempotency-key-refused")
        return None
    key = lines[0]
    if len(lines) > 1 or not 1 <= len(key) <= MAX_KEY_LENGTH or not all(0x21 <= byte <= 0x7E for byte in key):  # noqa: PLR2004
        raise Unreadable("An Idempotency-Key has 1 to 255 visible ASCII characters.", code="idempotency-key-invalid")
    return key.decode("ascii")


class Idempotency:
    """The header of one request, as handlers receive it. Without the header, effects run normally."""

    def __init__(
        self,
        services: Services,
        claim: Claim | None,
        make_claim_of: Callable[[object], Claim | None] = lambda _raw: None,
    ) -> None:
        self._services = services
        self._claim = claim
        self._make_claim = make_claim_of

    async def run(self, effect: Callable[[Once | None], Awaitable[T]], present: Callable[[T], StoredAnswer]) -> Answer:
        """Run the effect and present its result, or return the stored answer.

        Raises IdempotencyKeyReused if the key was used for another request, IdempotencyRunning if the first request is
        still running after five seconds.
        """
        claim = self._claim
        if claim is None:
            return replay_answer(present(await effect(None)))
        try:
            return replay_answer(present(await effect(Once(claim, present))))
        except AnswerStored:
            stored = await self._find(claim)
        except LockTimeout as timeout:
            raise IdempotencyRunning("The first request with this Idempotency-Key is still at work.") from timeout
        except (Unauthenticated, TooManyRequests):  # no stored answer for a revoked key; limits count repeated requests
            raise
        except LatchstringError:
            # The state that the service checks before its transaction may have changed since the first request.
            stored = await self._find(claim)
            if stored is None:
                raise
        if stored is None:  # deleted by the sweep in the meantime, so the key is free again
            return replay_answer(present(await effect(Once(claim, present))))
        return replay_answer(stored)

    async def run_streamed(
        self,
        effect: Callable[[Callable[[], Once | None]], Awaitable[T]],
        present: Callable[[T], StoredAnswer],
        *,
        raw: Callable[[], object],
    ) -> Answer:
        """Like `run`, for an effect that reads the body itself.

        raw: returns what identifies the request; called after the whole body has been read.
        """

        def once() -> Once | None:
            claim = self._make_claim(raw())
            return None if claim is None else Once(claim, present)

        try:
            return replay_answer(present(await effect(once)))
        except AnswerStored:
            claim = self._make_claim(raw())
        except LockTimeout as timeout:
            raise IdempotencyRunning("The first request with this Idempotency-Key is still at work.") from timeout
        stored = None if claim is None else await self._find(claim)
        if stored is None:  # deleted by the sweep in the meantime
            raise IdempotencyRunning("Send this request again.")
        return replay_answer(stored)

    async def _find(self, claim: Claim) -> StoredAnswer | None:
        row = await find_answer(self._services.db, claim, now=self._services.clock())
        if row is None:
            return None
        digest, answer = row
        if not self._services.keyring.is_fingerprint(digest, claim.data):
            raise IdempotencyKeyReused("This Idempotency-Key came with another request before. Use a new one.")
        return answer


def make_claim(
    scope: Scope, services: Services, principal: Principal, *, key: str, route: str, raw: object
) -> Claim | None:
    """Make the claim of a key: the caller, the route, and the request in canonical form."""
    if principal.id is None:
        return None
    data = msgspec.json.encode([scope["method"], scope["path"], sorted(query_pairs(scope)), raw], order="sorted")
    return Claim(principal.id, route, key, data, services.keyring.fingerprint(data))
