"""The same key and request have one effect and one answer; everything else about the header is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import (
    CredentialInvalid,
    GroupKeyTaken,
    IdempotencyKeyReused,
    IdempotencyRunning,
    Unreadable,
)
from latchstring.domain.idempotency import Once, StoredAnswer
from latchstring.domain.principal import Principal
from latchstring.http.responses import Answer, stored_answer
from latchstring.rest.idempotency import Idempotency, make_claim, read_key
from latchstring.services import Services
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.engine.postgres import LockTimeout

ROUTE = "POST /api/groups"
Effect = Callable[[Once | None], Awaitable[int]]


def scope_with(*keys: str, method: str = "POST", query: bytes = b"") -> dict[str, Any]:
    headers = [(b"idempotency-key", key.encode("latin-1")) for key in keys]
    return {"method": method, "path": "/api/groups", "query_string": query, "headers": headers}


@pytest.mark.parametrize("key", ["x", "a" * 255, "!~", "01890a5d-ac96"])
def test_visible_ascii_is_a_key(key: str) -> None:
    assert read_key(scope_with(key), is_taken=True) == key


@pytest.mark.parametrize("keys", [("",), ("a" * 256,), ("a b",), ("ä",), ("a\tb",), ("a", "a")])
def test_anything_else_is_400(keys: tuple[str, ...]) -> None:
    with pytest.raises(Unreadable) as refused:
        read_key(scope_with(*keys), is_taken=True)
    assert refused.value.code == "idempotency-key-invalid"


def test_a_post_that_does_not_take_it_refuses_it() -> None:
    with pytest.raises(Unreadable) as refused:
        read_key(scope_with("x"), is_taken=False)
    assert refused.value.code == "idempotency-key-refused"
    assert read_key(scope_with("x", method="GET"), is_taken=False) is None
    assert read_key(scope_with(), is_taken=False) is None


class Counting:
    """Has an effect that counts, in a transaction that stores its answer first."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.count = 0
        self.principal = Principal(ActorType.API_KEY, uuid4(), "k", frozenset(), frozenset(), frozenset())

    def use(self, raw: object, *, key: str = "k", query: bytes = b"") -> Idempotency:
        scope = scope_with(key, query=query)
        return Idempotency(
            self.services, make_claim(scope, self.services, self.principal, key=key, route=ROUTE, raw=raw)
        )

    async def effect(self, once: Once | None) -> int:
        number = self.count + 1
        at = self.services.clock()

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(number)
                yield from store_answer(self.services.db.dialect_name, once.claim, answer, subject_id=uuid4(), now=at)

        await self.services.db.transact(work)
        self.count += 1
        return number


def present(number: int) -> StoredAnswer:
    return stored_answer({"number": number}, 201, location=f"/api/things/{number}")


@pytest.fixture
def counting(services: Services, database: Database) -> Counting:
    return Counting(replace(services, db=database))


def told(answer: Answer) -> tuple[int, bytes]:
    return answer.status, answer.body


async def test_a_repeat_gets_the_stored_answer(counting: Counting) -> None:
    first = await counting.use({"a": 1, "b": 2}).run(counting.effect, present)
    second = await counting.use({"b": 2, "a": 1}).run(counting.effect, present)
    assert told(first) == told(second) == (201, b'{"number":1}')
    assert first.headers == second.headers
    assert counting.count == 1


async def test_another_body_query_or_nothing_is_reuse(counting: Counting) -> None:
    await counting.use({"a": 1}).run(counting.effect, present)
    for other in (counting.use({"a": 2}), counting.use({"a": 1}, query=b"locale=de"), counting.use({"a": True})):
        with pytest.raises(IdempotencyKeyReused):
            await other.run(counting.effect, present)
    assert counting.count == 1


async def test_another_key_or_caller_is_another_request(counting: Counting) -> None:
    await counting.use({}).run(counting.effect, present)
    await counting.use({}, key="other").run(counting.effect, present)
    counting.principal = replace(counting.principal, id=uuid4())
    await counting.use({}).run(counting.effect, present)
    assert counting.count == 3


async def test_ten_at_once_have_one_effect(counting: Counting) -> None:
    answers = await asyncio.gather(*(counting.use({}).run(counting.effect, present) for _ in range(10)))
    assert len({told(answer) for answer in answers}) == 1
    assert counting.count == 1


async def test_a_repeat_is_answered_although_its_effect_would_be_refused_now(counting: Counting) -> None:
    first = await counting.use({}).run(counting.effect, present)
    again = await counting.use({}).run(refusing(GroupKeyTaken()), present)
    assert told(again) == told(first)


async def test_a_credential_that_ended_since_gets_no_answer_again(counting: Counting) -> None:
    await counting.use({}).run(counting.effect, present)
    with pytest.raises(CredentialInvalid):
        await counting.use({}).run(refusing(CredentialInvalid()), present)


async def test_a_refusal_is_not_stored(counting: Counting) -> None:
    with pytest.raises(GroupKeyTaken):
        await counting.use({}).run(refusing(GroupKeyTaken()), present)
    assert told(await counting.use({}).run(counting.effect, present)) == (201, b'{"number":1}')


async def test_a_first_request_that_takes_too_long_is_told(counting: Counting) -> None:
    with pytest.raises(IdempotencyRunning):
        await counting.use({}).run(refusing(LockTimeout()), present)


async def test_without_the_header_every_request_has_its_effect(counting: Counting) -> None:
    for _ in range(2):
        await Idempotency(counting.services, None).run(counting.effect, present)
    assert counting.count == 2


def refusing(error: Exception) -> Effect:
    async def effect(_once: Once | None) -> int:
        raise error

    return effect
