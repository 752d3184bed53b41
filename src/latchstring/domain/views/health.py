"""Results of the checks of an installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """The status of a check."""

    PASSED = "good"
    WARNING = "doubtful"
    FAILED = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. remedy: what to do when the check did not pass."""

    check: str
    health: Health
    message: str
    remedy: str = ""


def passed(check: str, message: str) -> Finding:
    return Finding(check, Health.PASSED, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Health.WARNING, message, remedy)


def failed(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Health.FAILED, message, remedy)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All results and the time of the checks."""

    findings: Sequence[Finding]
    checked_at: datetime
