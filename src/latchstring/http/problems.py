"""Problem responses (RFC 9457). Only this module maps error codes to status and title.

`PROBLEMS` has an entry for every code. docs/problems/<code>.md is its page, also served as /problems/<code>. The title
is the same for all occurrences of a type, `detail` describes one occurrence, and `instance` is the id of the request,
which is also in the log.
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
    """Status and title of an error code."""

    status: int
    title: str


PROBLEMS: Mapping[str, ProblemType] = {
    "unreadable": ProblemType(400, "Malformed request"),
    "body-missing": ProblemType(400, "Missing request body"),
    "duplicate-key": ProblemType(400, "Duplicate key"),
    "nested-too-deep": ProblemType(400, "Request body nested too deeply"),
    "unknown-field": ProblemType(400, "Unknown field"),
    "invalid-query": ProblemType(400, "Invalid query parameter"),
    "invalid-cursor": ProblemType(400, "Invalid cursor"),
    "idempotency-key-invalid": ProblemType(400, "Invalid Idempotency-Key"),
    "idempotency-key-refused": ProblemType(400, "Idempotency-Key not supported"),
    "body-too-large": ProblemType(413, "Request body too large"),
    "unsupported-media-type": ProblemType(415, "Unsupported media type"),
    "invalid-fields": ProblemType(422, "Invalid fields"),
    "terms-required": ProblemType(422, "Terms not accepted"),
    "idempotency-key-reused": ProblemType(422, "Idempotency-Key used for another request"),
    "unauthenticated": ProblemType(401, "Authentication required"),
    "credential-invalid": ProblemType(401, "Invalid credential"),
    "invalid-credentials": ProblemType(401, "Invalid e-mail or password"),
    "refresh-token-invalid": ProblemType(401, "Invalid refresh token"),
    "invitation-token-invalid": ProblemType(401, "Unknown invitation link"),
    "reset-token-invalid": ProblemType(401, "Invalid password reset link"),
    "verification-token-invalid": ProblemType(401, "Invalid verification link"),
    "set-up-token-invalid": ProblemType(401, "Invalid set-up link"),
    "second-factor-invalid": ProblemType(401, "Invalid second factor code"),
    "not-allowed": ProblemType(403, "Permission denied"),
    "grant-not-allowed": ProblemType(403, "Grant not allowed"),
    "csrf-token-invalid": ProblemType(403, "Missing or invalid CSRF token"),
    "not-found": ProblemType(404, "Not found"),
    "invitation-not-found": ProblemType(404, "Invitation not found"),
    "user-not-found": ProblemType(404, "User not found"),
    "admin-not-found": ProblemType(404, "Administrator not found"),
    "group-not-found": ProblemType(404, "Group not found"),
    "content-not-found": ProblemType(404, "Content not found"),
    "api-key-not-found": ProblemType(404, "API key not found"),
    "template-not-found": ProblemType(404, "Template not found"),
    "job-not-found": ProblemType(404, "Job not found"),
    "method-not-allowed": ProblemType(405, "Method not allowed"),
    "already-invited": ProblemType(409, "Already invited"),
    "already-member": ProblemType(409, "Already a member"),
    "invitation-not-pending": ProblemType(409, "Invitation not pending"),
    "invitation-accepted": ProblemType(409, "Invitation already accepted"),
    "inviter-not-allowed": ProblemType(409, "Inviter no longer allowed to grant this"),
    "wrong-account": ProblemType(409, "Wrong account"),
    "sign-in-required": ProblemType(409, "Sign-in required"),
    "last-super-admin": ProblemType(409, "Last super-admin"),
    "account-blocked": ProblemType(409, "Account blocked"),
    "email-taken": ProblemType(409, "E-mail address already in use"),
    "external-id-taken": ProblemType(409, "External ID already in use"),
    "group-key-taken": ProblemType(409, "Group key already in use"),
    "content-key-taken": ProblemType(409, "Content key already in use"),
    "template-key-taken": ProblemType(409, "Template key already in use"),
    "template-configured": ProblemType(409, "Template defined in configuration"),
    "job-finished": ProblemType(409, "Job already finished"),
    "changed-meanwhile": ProblemType(409, "Changed since the page was loaded"),
    "owns-content": ProblemType(409, "User owns content"),
    "idempotency-running": ProblemType(409, "Request still in progress"),
    "invitation-declined": ProblemType(410, "Invitation declined"),
    "invitation-revoked": ProblemType(410, "Invitation revoked"),
    "invitation-superseded": ProblemType(410, "Invitation link superseded"),
    "invitation-expired": ProblemType(410, "Invitation expired"),
    "invitation-mismatch": ProblemType(400, "Invitation for another object"),
    "content-changed": ProblemType(412, "Content has changed"),
    "too-many-requests": ProblemType(429, "Too many requests"),
    "internal-error": ProblemType(500, "Internal server error"),
    "unavailable": ProblemType(503, "Service unavailable"),
    "mail-disabled": ProblemType(503, "Mail is disabled"),
    "storage-busy": ProblemType(503, "Too many concurrent changes"),
    "storage-unreachable": ProblemType(503, "Database unreachable"),
}
# The code `terms-required` has two statuses: consent is missing in the body of an accept (422), or a signed-in user
# must accept new terms first (403).
TERMS_OUTDATED = ProblemType(403, "New terms not accepted")


@dataclass(frozen=True, slots=True)
class Problem:
    """The description of an error for API responses and pages."""

    code: str
    status: int
    title: str
    detail: str
    members: Mapping[str, object]
    headers: Mapping[str, str]


def describe_problem(error: Exception) -> Problem:
    """Describe an error for a client. An unexpected error reveals no details."""
    if isinstance(error, LatchstringError):
        return _describe_domain_error(error)
    internal_error = PROBLEMS["internal-error"]
    return Problem(
        "internal-error",
        internal_error.status,
        internal_error.title,
        "The cause has been logged under this request's id.",
        {},
        {},
    )


def problem_type(error: LatchstringError | type[LatchstringError]) -> ProblemType:
    """Return the status and title of an error."""
    is_outdated = isinstance(error, TermsOutdated) or error is TermsOutdated
    return TERMS_OUTDATED if is_outdated else PROBLEMS[error.code]


def _describe_domain_error(error: LatchstringError) -> Problem:
    kind = problem_type(error)
    members: dict[str, object] = dict(error.extra)
    if isinstance(error, InvalidFields):
        members["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in error.errors]
    return Problem(error.code, kind.status, kind.title, error.detail or f"{kind.title}.", members, _make_headers(error))


def _make_headers(error: LatchstringError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        error_parameter = ', error="invalid_token"' if error.code == "credential-invalid" else ""
        return {"WWW-Authenticate": CHALLENGE + error_parameter}
    if isinstance(error, TooManyRequests | Unavailable):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    return {}


def problem_body(problem: Problem, scope: Scope) -> bytes:
    """Encode a problem as the JSON of RFC 9457."""
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
    """Make the problem response to an error, without logging it."""
    problem = describe_problem(error)
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in problem.headers.items()]
    headers.append((b"content-type", MEDIA_TYPE.encode("ascii")))
    return Answer(problem.status, problem_body(problem, scope), headers)


def log_unexpected(error: Exception, scope: Scope) -> None:
    """Log an unexpected error with the request id that the client received."""
    _log.error(
        "request failed",
        request_id=str(request_id(scope)),
        method=scope.get("method"),
        path=scope.get("path"),
        exc_info=(type(error), error, error.__traceback__),
    )


def answer_error(error: Exception, scope: Scope) -> Answer:
    """Make the problem response to any error. Unexpected errors are logged."""
    answer = problem_answer(error, scope)
    if answer.status == 500:  # noqa: PLR2004
        log_unexpected(error, scope)
    return answer
