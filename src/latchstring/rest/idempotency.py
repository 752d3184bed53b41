"""`Idempotency-Key`: the same request twice has one effect and one answer.

    async def create_group(services, caller, body, idempotency: Idempotency) -> Answer:
        return await idempotency.run(
            lambda once: services.groups.create(body…, once=once),
            lambda group: stored_answer(group_view(group), 201, location=f"/api/groups/{group.key}"),
        )

The service stores the answer in the transaction of its effect, first of all steps. A twin that comes while the first
is at work waits there for it, five seconds at most.
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


def read_key(scope: Scope, *, is_taken: bool) -> str | None:
    """The Idempotency-Key of a request, None without one.

    Raises Unreadable for a malformed or repeated one, and for any on a POST that does not take it: silence would let a
    client believe in a promise nobody made. Other methods have the same effect when repeated, so the header is moot.
    """
    lines = list_header(scope, HEADER)
    if not lines:
        return None
    if not is_taken:
        if scope["method"] == "POST":
            raise Unreadable("This route takes no Idempotency-Key.", code="idempotency-key-refused")
        return None
    key = lines[0]
    if len(lines) > 1 or not 1 <= len(key) <= MAX_KEY_LENGTH or not all(0x21 <= byte <= 0x7E for byte in key):  # noqa: PLR2004
        raise Unreadable("An Idempotency-Key has 1 to 255 visible ASCII characters.", code="idempotency-key-invalid")
    return key.decode("ascii")


class Idempotency:
    """One request's use of the header, as handlers receive it. Does nothing when the header is absent."""

    def __init__(
        self, services: Services, claim: Claim | None, make: Callable[[object], Claim | None] = lambda _raw: None
    ) -> None:
        self._services = services
        self._claim = claim
        self._make = make

    async def run(self, effect: Callable[[Once | None], Awaitable[T]], present: Callable[[T], StoredAnswer]) -> Answer:
        """Have the effect and answer it, or give the stored answer again.

        Raises IdempotencyKeyReused when the key came with another request, IdempotencyRunning when the first one
        is still at work after five seconds.
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
        except (Unauthenticated, TooManyRequests):  # a revoked key gets no answer again, and limits count repeats
            raise
        except LatchstringError:
            # What the service looks at before its transaction may have changed since the first request.
            stored = await self._find(claim)
            if stored is None:
                raise
        if stored is None:  # swept in this very moment: the key is free again
            return replay_answer(present(await effect(Once(claim, present))))
        return replay_answer(stored)

    async def run_streamed(
        self,
        effect: Callable[[Callable[[], Once | None]], Awaitable[T]],
        present: Callable[[T], StoredAnswer],
        *,
        raw: Callable[[], object],
    ) -> Answer:
        """The same for an effect that reads the body itself. raw: what tells this request from others, asked when all
        of it has been read.
        """

        def once() -> Once | None:
            claim = self._make(raw())
            return None if claim is None else Once(claim, present)

        try:
            return replay_answer(present(await effect(once)))
        except AnswerStored:
            claim = self._make(raw())
        except LockTimeout as timeout:
            raise IdempotencyRunning("The first request with this Idempotency-Key is still at work.") from timeout
        stored = None if claim is None else await self._find(claim)
        if stored is None:  # swept in this very moment
            raise IdempotencyRunning("Send this request again.")
        return replay_answer(stored)

    async def _find(self, claim: Claim) -> StoredAnswer | None:
        found = await find_answer(self._services.db, claim, now=self._services.clock())
        if found is None:
            return None
        digest, answer = found
        if not self._services.keyring.is_fingerprint(digest, claim.data):
            raise IdempotencyKeyReused("This Idempotency-Key came with another request before. Use a new one.")
        return answer


def make_claim(
    scope: Scope, services: Services, principal: Principal, *, key: str, route: str, raw: object
) -> Claim | None:
    """What the header claims: this caller, this route, this request in canonical form."""
    if principal.id is None:
        return None
    data = msgspec.json.encode([scope["method"], scope["path"], sorted(query_pairs(scope)), raw], order="sorted")
    return Claim(principal.id, route, key, data, services.keyring.fingerprint(data))
