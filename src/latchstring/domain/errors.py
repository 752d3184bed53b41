"""All errors that clients can get, as one tree. Each leaf has a fixed code, which is part of the API contract.

    LatchstringError
    ├── Unreadable                  malformed JSON, unknown field, invalid query value
    ├── InvalidFields               all invalid fields together
    │   └── TermsRequired
    ├── Unauthenticated
    │   ├── CredentialInvalid       InvalidCredentials    RefreshTokenInvalid
    │   ├── InvitationTokenInvalid  ResetTokenInvalid     VerificationTokenInvalid
    │   └── SetUpTokenInvalid       SecondFactorInvalid
    ├── Forbidden                   authenticated, but not allowed
    │   └── NotAllowed  GrantNotAllowed  TermsOutdated  CsrfTokenInvalid
    ├── NotFound
    │   ├── InvitationNotFound  UserNotFound  GroupNotFound  ContentNotFound  ApiKeyNotFound
    │   └── TemplateNotFound  AdminNotFound  JobNotFound
    ├── WrongState
    │   ├── AlreadyInvited  AlreadyMember  InvitationNotPending  InvitationAccepted
    │   ├── InviterNotAllowed  WrongAccount  SignInRequired  AccountBlocked
    │   ├── EmailTaken  ExternalIdTaken  GroupKeyTaken  ContentKeyTaken
    │   ├── TemplateKeyTaken  TemplateConfigured  JobFinished
    │   └── OwnsContent  IdempotencyRunning  LastSuperAdmin  ChangedMeanwhile
    ├── LinkEnded
    │   └── InvitationDeclined  InvitationRevoked  InvitationSuperseded  InvitationExpired
    ├── IdempotencyKeyReused  ContentChanged  InvitationMismatch  TooManyRequests
    └── Unavailable
        └── MailDisabled  StorageBusy  StorageUnreachable

Clients may see the fields of a leaf. `extra` becomes additional members of the problem document (RFC 9457).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


class LatchstringError(Exception):
    """The root of all errors. `code` is part of the API contract; `detail` describes this occurrence."""

    code: ClassVar[str] = "internal-error"

    def __init__(self, detail: str = "", *, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, object] = extra or {}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """An invalid field. pointer: JSON pointer (RFC 6901) into the body, such as `/inviteEmail`."""

    pointer: str
    code: str
    detail: str


class Unreadable(LatchstringError):
    """The request is malformed: invalid JSON, duplicate or unknown fields, invalid query values."""

    code = "unreadable"

    def __init__(self, detail: str, *, code: str = "unreadable") -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # one error; the API contract has several codes for its causes


class InvalidFields(LatchstringError):
    """One or more invalid fields. Contains all of them."""

    code = "invalid-fields"

    def __init__(self, errors: Iterable[FieldProblem]) -> None:
        self.errors = tuple(errors)
        names = ", ".join(error.pointer.lstrip("/") or "body" for error in self.errors)
        super().__init__(f"Check {names}.")


class Unauthenticated(LatchstringError):
    """The request needs a credential and has none."""

    code = "unauthenticated"


class CredentialInvalid(Unauthenticated):
    """The credential is invalid, expired or revoked."""

    code = "credential-invalid"


class InvalidCredentials(Unauthenticated):
    """Wrong e-mail or wrong password. The answer does not reveal which."""

    code = "invalid-credentials"


class RefreshTokenInvalid(Unauthenticated):
    code = "refresh-token-invalid"


class InvitationTokenInvalid(Unauthenticated):
    """The token is forged, unknown, or from another installation. The answer does not reveal which."""

    code = "invitation-token-invalid"


class ResetTokenInvalid(Unauthenticated):
    code = "reset-token-invalid"


class VerificationTokenInvalid(Unauthenticated):
    code = "verification-token-invalid"


class SetUpTokenInvalid(Unauthenticated):
    code = "set-up-token-invalid"


class SecondFactorInvalid(Unauthenticated):
    """The code is wrong, expired or already used. The answer does not reveal which."""

    code = "second-factor-invalid"


class Forbidden(LatchstringError):
    """The caller is authenticated, but not allowed to do this."""


class NotAllowed(Forbidden):
    """The caller lacks a permission."""

    code = "not-allowed"

    def __init__(self, permission: str = "") -> None:
        super().__init__(f"This needs the permission {permission}." if permission else "This is not yours to do.")


class GrantNotAllowed(Forbidden):
    """The caller may not grant this role, group or content role."""

    code = "grant-not-allowed"


class TermsOutdated(Forbidden):
    """The user has not accepted the current version of the terms."""

    code = "terms-required"


class CsrfTokenInvalid(Forbidden):
    """The CSRF token of a browser request is missing or does not match the cookie (double submit)."""

    code = "csrf-token-invalid"


class NotFound(LatchstringError):
    """The resource does not exist or is not visible to the caller."""

    code = "not-found"


class InvitationNotFound(NotFound):
    code = "invitation-not-found"


class UserNotFound(NotFound):
    code = "user-not-found"


class AdminNotFound(NotFound):
    code = "admin-not-found"


class GroupNotFound(NotFound):
    code = "group-not-found"


class ContentNotFound(NotFound):
    code = "content-not-found"


class ApiKeyNotFound(NotFound):
    code = "api-key-not-found"


class TemplateNotFound(NotFound):
    """No invitation template has this key."""

    code = "template-not-found"


class JobNotFound(NotFound):
    code = "job-not-found"


class WrongState(LatchstringError):
    """The state of the resource does not allow this."""


class AlreadyInvited(WrongState):
    """A PENDING invitation with the same grants exists. invitation_id is None when the caller may not list it."""

    code = "already-invited"

    def __init__(self, invitation_id: UUID | None) -> None:
        super().__init__(
            "A pending invitation for this address has the same grants. Resend it, or revoke it first.",
            extra={} if invitation_id is None else {"id": str(invitation_id)},
        )


class AlreadyMember(WrongState):
    """The person already has everything that the invitation would grant."""

    code = "already-member"


class InvitationNotPending(WrongState):
    """The action needs an invitation that has not ended."""

    code = "invitation-not-pending"


class InvitationAccepted(WrongState):
    """The invitation was accepted already."""

    code = "invitation-accepted"


class InviterNotAllowed(WrongState):
    """The sponsor of the link may no longer grant what it carries."""

    code = "inviter-not-allowed"


class WrongAccount(WrongState):
    """The invitation is for another address than that of the signed-in user."""

    code = "wrong-account"


class SignInRequired(WrongState):
    """A revealed link does not prove access to the mailbox, so the account's owner must sign in to accept."""

    code = "sign-in-required"


class AccountBlocked(WrongState):
    """The invitee's account is blocked."""

    code = "account-blocked"


class LastSuperAdmin(WrongState):
    """The last active super administrator cannot be removed."""

    code = "last-super-admin"


class EmailTaken(WrongState):
    """Another account has this address."""

    code = "email-taken"


class ExternalIdTaken(WrongState):
    """Another account has this external id."""

    code = "external-id-taken"


class GroupKeyTaken(WrongState):
    """Another group has this key."""

    code = "group-key-taken"


class ContentKeyTaken(WrongState):
    """Another content object of this type has this key."""

    code = "content-key-taken"


class TemplateKeyTaken(WrongState):
    """Another invitation template has this key, in the panel or in configuration."""

    code = "template-key-taken"


class TemplateConfigured(WrongState):
    """The template is declared in configuration and can only be changed there."""

    code = "template-configured"


class JobFinished(WrongState):
    """A job that has ended cannot be cancelled."""

    code = "job-finished"


class OwnsContent(WrongState):
    """The user owns content objects and the request names no new owner."""

    code = "owns-content"


class IdempotencyRunning(WrongState):
    """The first request with this Idempotency-Key is still being processed."""

    code = "idempotency-running"


class LinkEnded(LatchstringError):
    """The link is genuine, but the link or its invitation has ended."""


class InvitationDeclined(LinkEnded):
    code = "invitation-declined"


class InvitationRevoked(LinkEnded):
    code = "invitation-revoked"


class InvitationSuperseded(LinkEnded):
    """A newer link of the same invitation was sent."""

    code = "invitation-superseded"


class InvitationExpired(LinkEnded):
    code = "invitation-expired"


class IdempotencyKeyReused(LatchstringError):
    """The Idempotency-Key was used before with another request."""

    code = "idempotency-key-reused"


class ChangedMeanwhile(WrongState):
    """Another request changed the resource after the form of the panel was loaded."""

    code = "changed-meanwhile"


class ContentChanged(LatchstringError):
    """If-Match does not name the current version."""

    code = "content-changed"


class TermsRequired(InvalidFields):
    """Joining requires consent to the terms."""

    code = "terms-required"


class InvitationMismatch(LatchstringError):
    """The link is genuine, but for another content object than the path names."""

    code = "invitation-mismatch"


class TooManyRequests(LatchstringError):
    """A rate limit was exceeded."""

    code = "too-many-requests"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds


class Unavailable(LatchstringError):
    """Temporarily unavailable. retry_after_seconds becomes the Retry-After header."""

    code = "unavailable"
    retry_after_seconds = 1


class MailDisabled(Unavailable):
    """Mail is off, and the caller may not reveal links to deliver them in another way."""

    code = "mail-disabled"
    retry_after_seconds = 3600


class StorageBusy(Unavailable):
    """The transaction failed on conflicts in every permitted try."""

    code = "storage-busy"


class StorageUnreachable(Unavailable):
    """The database is unreachable."""

    code = "storage-unreachable"
    retry_after_seconds = 5
