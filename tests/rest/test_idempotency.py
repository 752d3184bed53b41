"""Repeated requests with the same Idempotency-Key have one effect and one response; misuse is refused."""

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
def test_visible_ascii_is_accepted_as_a_key(key: str) -> None:
    assert read_key(scope_with(key), is_supported=True) == key


@pytest.mark.parametrize("keys", [("",), ("a" * 256,), ("a b",), ("ä",), ("a\tb",), ("a", "a")])
def test_any_other_key_is_400(keys: tuple[str, ...]) -> None:
    with pytest.raises(Unreadable) as caught:
        read_key(scope_with(*keys), is_supported=True)
    assert caught.value.code == "idempotency-key-invalid"


def test_a_post_without_support_refuses_the_header() -> None:
    with pytest.raises(Unreadable) as caught:
        read_key(scope_with("x"), is_supported=False)
    assert caught.value.code == "idempotency-key-refused"
    assert read_key(scope_with("x", method="GET"), is_supported=False) is None
    assert read_key(scope_with(), is_supported=False) is None


class CountingService:
    """A service whose effect counts its calls, in a transaction that stores its answer first."""

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
        now = self.services.clock()

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(number)
                yield from store_answer(self.services.db.dialect_name, once.claim, answer, subject_id=uuid4(), now=now)

        await self.services.db.transact(work)
        self.count += 1
        return number


def present(number: int) -> StoredAnswer:
    return stored_answer({"number": number}, 201, location=f"/api/things/{number}")


@pytest.fixture
def counting_service(services: Services, database: Database) -> CountingService:
    return CountingService(replace(services, db=database))


def status_and_body(answer: Answer) -> tuple[int, bytes]:
    return answer.status, answer.body


async def test_a_repeat_gets_the_stored_answer(counting_service: CountingService) -> None:
    first = await counting_service.use({"a": 1, "b": 2}).run(counting_service.effect, present)
    second = await counting_service.use({"b": 2, "a": 1}).run(counting_service.effect, present)
    assert status_and_body(first) == status_and_body(second) == (201, b'{"number":1}')
    assert first.headers == second.headers
    assert counting_service.count == 1


async def test_the_same_key_with_another_body_or_query_is_refused(counting_service: CountingService) -> None:
    await counting_service.use({"a": 1}).run(counting_service.effect, present)
    for other in (
        counting_service.use({"a": 2}),
        counting_service.use({"a": 1}, query=b"locale=de"),
        counting_service.use({"a": True}),
    ):
        with pytest.raises(IdempotencyKeyReused):
            await other.run(counting_service.effect, present)
    assert counting_service.count == 1


async def test_another_key_or_caller_is_another_request(counting_service: CountingService) -> None:
    await counting_service.use({}).run(counting_service.effect, present)
    await counting_service.use({}, key="other").run(counting_service.effect, present)
    counting_service.principal = replace(counting_service.principal, id=uuid4())
    await counting_service.use({}).run(counting_service.effect, present)
    assert counting_service.count == 3


async def test_ten_concurrent_requests_have_one_effect(counting_service: CountingService) -> None:
    answers = await asyncio.gather(*(counting_service.use({}).run(counting_service.effect, present) for _ in range(10)))
    assert len({status_and_body(answer) for answer in answers}) == 1
    assert counting_service.count == 1


async def test_a_repeat_gets_the_stored_answer_even_if_its_effect_would_fail(counting_service: CountingService) -> None:
    first = await counting_service.use({}).run(counting_service.effect, present)
    again = await counting_service.use({}).run(make_failing_effect(GroupKeyTaken()), present)
    assert status_and_body(again) == status_and_body(first)


async def test_a_repeat_with_an_ended_credential_gets_no_stored_answer(counting_service: CountingService) -> None:
    await counting_service.use({}).run(counting_service.effect, present)
    with pytest.raises(CredentialInvalid):
        await counting_service.use({}).run(make_failing_effect(CredentialInvalid()), present)


async def test_a_refusal_is_not_stored(counting_service: CountingService) -> None:
    with pytest.raises(GroupKeyTaken):
        await counting_service.use({}).run(make_failing_effect(GroupKeyTaken()), present)
    assert status_and_body(await counting_service.use({}).run(counting_service.effect, present)) == (
        201,
        b'{"number":1}',
    )


async def test_a_repeat_during_a_slow_first_request_is_refused(counting_service: CountingService) -> None:
    with pytest.raises(IdempotencyRunning):
        await counting_service.use({}).run(make_failing_effect(LockTimeout()), present)


async def test_without_the_header_every_request_has_an_effect(counting_service: CountingService) -> None:
    for _ in range(2):
        await Idempotency(counting_service.services, None).run(counting_service.effect, present)
    assert counting_service.count == 2


def make_failing_effect(error: Exception) -> Effect:
    async def effect(_once: Once | None) -> int:
        raise error

    return effect
