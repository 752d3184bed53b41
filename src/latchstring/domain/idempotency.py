"""The same request twice has one effect: what is kept of the first answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A successful answer, as it goes out again. It holds no secret."""

    status: int
    body: bytes
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One use of an Idempotency-Key by one principal on one route.

    data: the request in canonical form. digest: its keyed digest. It is stored with the effect, in one transaction.
    """

    principal_id: UUID
    route: str
    key: str
    data: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Once:
    """A claim and how the face words the answer: services call `answer` with what they made."""

    claim: Claim
    answer: Callable[..., StoredAnswer]


class AnswerStored(Exception):
    """The claim was made before: the stored answer is to be given again. Not an error anybody sees."""
