"""What a check of the installation found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """How it is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. remedy: what to do, for everything that is not good."""

    check: str
    health: Health
    says: str
    remedy: str = ""


def good(check: str, says: str) -> Finding:
    return Finding(check, Health.GOOD, says)


def doubtful(check: str, says: str, remedy: str) -> Finding:
    return Finding(check, Health.DOUBTFUL, says, remedy)


def bad(check: str, says: str, remedy: str) -> Finding:
    return Finding(check, Health.BAD, says, remedy)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Everything that was found, and when."""

    findings: Sequence[Finding]
    at: datetime
