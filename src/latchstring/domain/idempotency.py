"""Idempotency keys: a repeated request has one effect and gets the stored answer of the first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A successful answer as it is sent again. It contains no secret."""

    status: int
    body: bytes
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One use of an Idempotency-Key by one principal on one route.

    data: the request in canonical form. digest: its keyed digest. The claim is stored in the transaction of the effect.
    """

    principal_id: UUID
    route: str
    key: str
    data: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Once:
    """A claim, and the function that builds the answer from what the service created."""

    claim: Claim
    answer: Callable[..., StoredAnswer]


class AnswerStored(Exception):
    """The claim exists already, so the stored answer is sent again. Clients never see this error."""
