"""Results of the checks of an installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """The status of a check."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. remedy: what to do when the status is not good."""

    check: str
    health: Health
    message: str
    remedy: str = ""


def good(check: str, message: str) -> Finding:
    return Finding(check, Health.GOOD, message)


def doubtful(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Health.DOUBTFUL, message, remedy)


def bad(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Health.BAD, message, remedy)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All results and the time of the checks."""

    findings: Sequence[Finding]
    checked_at: datetime
