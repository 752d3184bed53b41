"""A refusal on its way to a page: what every face with pages tells of it, and how such a page leaves."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from starlette.types import Scope

from latchstring.domain.errors import LatchstringError, TooManyRequests
from latchstring.http.problems import describe_problem, log_unexpected
from latchstring.http.responses import Answer
from latchstring.http.scope import request_id

INTERNAL_ERROR = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a page says. detail is the API's own English; request_id is there when the log has more to say."""

    status: int
    code: str
    detail: str
    retry_after: int
    request_id: str


def answer_refusal(error: Exception, scope: Scope, show: Callable[..., Answer]) -> Answer:
    """The page `refusal.html` of a face, shown by its own `show`. A bug of ours is logged."""
    problem = describe_problem(error)
    if problem.status == INTERNAL_ERROR and not isinstance(error, LatchstringError):
        log_unexpected(error, scope)
    refusal = Refusal(
        problem.status,
        problem.code,
        problem.detail,
        error.retry_after_seconds if isinstance(error, TooManyRequests) else 0,
        str(request_id(scope)) if problem.status >= INTERNAL_ERROR else "",
    )
    answer = show("refusal.html", **asdict(refusal))
    if "Retry-After" in problem.headers:
        answer.headers.append((b"retry-after", problem.headers["Retry-After"].encode()))
    return answer
