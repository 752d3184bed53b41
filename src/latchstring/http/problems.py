"""Problem answers (RFC 9457): the only place that knows which refusal has which status and title.

`PROBLEMS` has a row for every code; docs/problems/<code>.md has a page for each, also served as /problems/<code>.
Titles belong to the type and stay the same; `detail` speaks of the occurrence; `instance` is the request's id, which
the log has, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from starlette.types import Scope

from latchstring.domain.errors import (
    InvalidFields,
    LatchstringError,
    TermsOutdated,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from latchstring.http.responses import Answer, encode
from latchstring.http.routing import MethodNotAllowed
from latchstring.http.scope import request_id

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="latchstring"'
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What all answers of one code share."""

    status: int
    title: str


PROBLEMS: Mapping[str, ProblemType] = {
    "unreadable": ProblemType(400, "The request cannot be read"),
    "body-missing": ProblemType(400, "A body is needed"),
    "duplicate-key": ProblemType(400, "A key stands twice in one object"),
    "nested-too-deep": ProblemType(400, "The body is nested too deeply"),
    "unknown-field": ProblemType(400, "Unknown field"),
    "invalid-query": ProblemType(400, "Unknown or bad query parameter"),
    "invalid-cursor": ProblemType(400, "This cursor is not ours"),
    "idempotency-key-invalid": ProblemType(400, "Malformed Idempotency-Key"),
    "idempotency-key-refused": ProblemType(400, "No Idempotency-Key is taken here"),
    "body-too-large": ProblemType(413, "The body is too large"),
    "unsupported-media-type": ProblemType(415, "Unsupported media type"),
    "invalid-fields": ProblemType(422, "Some fields need another look"),
    "terms-required": ProblemType(422, "The terms have to be accepted"),
    "idempotency-key-reused": ProblemType(422, "This Idempotency-Key belongs to another request"),
    "unauthenticated": ProblemType(401, "Sign in first"),
    "credential-invalid": ProblemType(401, "This credential is not good"),
    "invalid-credentials": ProblemType(401, "E-mail or password is wrong"),
    "refresh-token-invalid": ProblemType(401, "This refresh token is not good"),
    "invitation-token-invalid": ProblemType(401, "This is no link of ours"),
    "reset-token-invalid": ProblemType(401, "This reset link is not good"),
    "verification-token-invalid": ProblemType(401, "This verification link is not good"),
    "set-up-token-invalid": ProblemType(401, "This set-up link is not good"),
    "second-factor-invalid": ProblemType(401, "This code is not good"),
    "not-allowed": ProblemType(403, "A permission is missing"),
    "grant-not-allowed": ProblemType(403, "Nobody hands out more than they hold"),
    "csrf-token-invalid": ProblemType(403, "The CSRF token is missing or wrong"),
    "not-found": ProblemType(404, "There is nothing here"),
    "invitation-not-found": ProblemType(404, "No such invitation"),
    "user-not-found": ProblemType(404, "No such user"),
    "admin-not-found": ProblemType(404, "No such administrator"),
    "group-not-found": ProblemType(404, "No such group"),
    "content-not-found": ProblemType(404, "No such content"),
    "api-key-not-found": ProblemType(404, "No such API key"),
    "template-not-found": ProblemType(404, "No such template"),
    "job-not-found": ProblemType(404, "No such job"),
    "method-not-allowed": ProblemType(405, "This method does not work here"),
    "already-invited": ProblemType(409, "Invited already"),
    "already-member": ProblemType(409, "Nothing left to give"),
    "invitation-not-pending": ProblemType(409, "The invitation has ended"),
    "invitation-accepted": ProblemType(409, "Accepted already"),
    "inviter-not-allowed": ProblemType(409, "The inviter may no longer grant this"),
    "wrong-account": ProblemType(409, "The invitation is for somebody else"),
    "sign-in-required": ProblemType(409, "Sign in to accept this link"),
    "last-super-admin": ProblemType(409, "This is the last super-admin"),
    "account-blocked": ProblemType(409, "The account is blocked"),
    "email-taken": ProblemType(409, "Another account has this address"),
    "external-id-taken": ProblemType(409, "Another account has this external id"),
    "group-key-taken": ProblemType(409, "Another group has this key"),
    "content-key-taken": ProblemType(409, "Another object has this key"),
    "template-key-taken": ProblemType(409, "Another template has this key"),
    "template-configured": ProblemType(409, "The template is declared in configuration"),
    "job-finished": ProblemType(409, "The job has ended"),
    "changed-meanwhile": ProblemType(409, "It has changed since you looked"),
    "owns-content": ProblemType(409, "The user owns content"),
    "idempotency-running": ProblemType(409, "The first request is still at work"),
    "invitation-declined": ProblemType(410, "Declined"),
    "invitation-revoked": ProblemType(410, "Withdrawn"),
    "invitation-superseded": ProblemType(410, "A newer link was sent"),
    "invitation-expired": ProblemType(410, "The link has run out"),
    "invitation-mismatch": ProblemType(400, "This link leads elsewhere"),
    "content-changed": ProblemType(412, "Somebody changed it meanwhile"),
    "too-many-requests": ProblemType(429, "Too many requests"),
    "internal-error": ProblemType(500, "Something broke on our side"),
    "unavailable": ProblemType(503, "Not available right now"),
    "mail-disabled": ProblemType(503, "Mail is switched off"),
    "storage-busy": ProblemType(503, "Too many changes at once"),
    "storage-unreachable": ProblemType(503, "The database does not answer"),
}
# `terms-required` is one code with two statuses in the contract: consent is missing in the body of an accept (422), or
# a known user has to accept new terms before anything else (403).
TERMS_OUTDATED = ProblemType(403, "The terms have changed")


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, as any face may show it."""

    code: str
    status: int
    title: str
    detail: str
    members: Mapping[str, object]
    headers: Mapping[str, str]


def describe_problem(error: Exception) -> Problem:
    """What to tell a client of an error. Anything unexpected tells nothing but that it is ours."""
    if isinstance(error, LatchstringError):
        return _of_domain(error)
    kind = PROBLEMS["internal-error"]
    return Problem(
        "internal-error", kind.status, kind.title, "The cause has been logged under this request's id.", {}, {}
    )


def problem_type(error: LatchstringError | type[LatchstringError]) -> ProblemType:
    """The row of an error."""
    is_outdated = isinstance(error, TermsOutdated) or error is TermsOutdated
    return TERMS_OUTDATED if is_outdated else PROBLEMS[error.code]


def _of_domain(error: LatchstringError) -> Problem:
    kind = problem_type(error)
    members: dict[str, object] = dict(error.extra)
    if isinstance(error, InvalidFields):
        members["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in error.errors]
    return Problem(error.code, kind.status, kind.title, error.detail or f"{kind.title}.", members, _headers_of(error))


def _headers_of(error: LatchstringError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        bad = ', error="invalid_token"' if error.code == "credential-invalid" else ""
        return {"WWW-Authenticate": CHALLENGE + bad}
    if isinstance(error, TooManyRequests | Unavailable):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    return {}


def problem_body(problem: Problem, scope: Scope) -> bytes:
    """The JSON of RFC 9457."""
    return encode(
        {
            "type": f"/problems/{problem.code}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "instance": f"urn:uuid:{request_id(scope)}",
            "code": problem.code,
            **problem.members,
        }
    )


def problem_answer(error: Exception, scope: Scope) -> Answer:
    """The answer to an error that was expected."""
    problem = describe_problem(error)
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in problem.headers.items()]
    headers.append((b"content-type", MEDIA_TYPE.encode("ascii")))
    return Answer(problem.status, problem_body(problem, scope), headers)


def log_unexpected(error: Exception, scope: Scope) -> None:
    """Put a bug of ours into the log, under the id the client was told."""
    _log.error(
        "request failed",
        request_id=str(request_id(scope)),
        method=scope.get("method"),
        path=scope.get("path"),
        exc_info=(type(error), error, error.__traceback__),
    )


def answer_error(error: Exception, scope: Scope) -> Answer:
    """The problem answer to any error. A bug of ours is logged."""
    answer = problem_answer(error, scope)
    if answer.status == 500:  # noqa: PLR2004
        log_unexpected(error, scope)
    return answer
