"""Error pages: the values of the template `refusal.html` of each face, and its answer."""

from dataclasses import asdict, dataclass

from latchstring.domain.errors import LatchstringError, TooManyRequests
from latchstring.http.problems import describe_problem, log_unexpected
from latchstring.http.responses import Answer
from latchstring.http.scope import request_id
from latchstring.pages.context import PageContext

INTERNAL_ERROR = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """The values of an error page. detail: the English text of the API. request_id: set for server errors."""

    status: int
    code: str
    detail: str
    retry_after: int
    request_id: str


def answer_error(context: PageContext, error: Exception) -> Answer:
    """The page for an error that the handler raised. Unexpected errors are logged."""
    problem = describe_problem(error)
    if problem.status == INTERNAL_ERROR and not isinstance(error, LatchstringError):
        log_unexpected(error, context.request.scope)
    refusal = Refusal(
        problem.status,
        problem.code,
        problem.detail,
        error.retry_after_seconds if isinstance(error, TooManyRequests) else 0,
        str(request_id(context.request.scope)) if problem.status >= INTERNAL_ERROR else "",
    )
    answer = context.show("refusal.html", **asdict(refusal))
    if "Retry-After" in problem.headers:
        answer.headers.append((b"retry-after", problem.headers["Retry-After"].encode()))
    return answer
