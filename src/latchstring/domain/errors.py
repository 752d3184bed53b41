"""Everything that can be refused, as one tree. A leaf states a fact and has the contract's code.

    LatchstringError
    ├── Unreadable                  bad JSON, unknown field, bad query value
    ├── InvalidFields               every field that breaks a rule, together
    │   └── TermsRequired
    ├── Unauthenticated
    │   ├── CredentialInvalid       InvalidCredentials    RefreshTokenInvalid
    │   ├── InvitationTokenInvalid  ResetTokenInvalid     VerificationTokenInvalid
    │   └── SetUpTokenInvalid       SecondFactorInvalid
    ├── Refused                     known, but not allowed
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
    ├── Over
    │   └── InvitationDeclined  InvitationRevoked  InvitationSuperseded  InvitationExpired
    ├── IdempotencyKeyReused  ContentChanged  InvitationMismatch  TooManyRequests
    └── Unavailable
        └── MailDisabled  StorageBusy  StorageUnreachable

Fields of a leaf are what a client may see; `extra` becomes members of the problem answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


class LatchstringError(Exception):
    """The root. `code` is the contract's; `detail` speaks of this occurrence."""

    code: ClassVar[str] = "internal-error"

    def __init__(self, detail: str = "", *, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, object] = extra or {}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One rule one field breaks. pointer: RFC 6901 into the body, such as `/inviteEmail`."""

    pointer: str
    code: str
    detail: str


class Unreadable(LatchstringError):
    """The request cannot be read: bad JSON, duplicate or unknown fields, bad query values."""

    code = "unreadable"

    def __init__(self, detail: str, *, code: str = "unreadable") -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # one error, several causes the contract names apart


class InvalidFields(LatchstringError):
    """One or more fields break a rule. All of them, at once."""

    code = "invalid-fields"

    def __init__(self, errors: Iterable[FieldProblem]) -> None:
        self.errors = tuple(errors)
        names = ", ".join(error.pointer.lstrip("/") or "body" for error in self.errors)
        super().__init__(f"Check {names}.")


class Unauthenticated(LatchstringError):
    """No credential where one is needed."""

    code = "unauthenticated"


class CredentialInvalid(Unauthenticated):
    """A credential was sent and is not, or no longer, good."""

    code = "credential-invalid"


class InvalidCredentials(Unauthenticated):
    """Wrong e-mail or wrong password; which of them stays untold."""

    code = "invalid-credentials"


class RefreshTokenInvalid(Unauthenticated):
    code = "refresh-token-invalid"


class InvitationTokenInvalid(Unauthenticated):
    """Forged, unknown, or of another installation: indistinguishable on purpose."""

    code = "invitation-token-invalid"


class ResetTokenInvalid(Unauthenticated):
    code = "reset-token-invalid"


class VerificationTokenInvalid(Unauthenticated):
    code = "verification-token-invalid"


class SetUpTokenInvalid(Unauthenticated):
    code = "set-up-token-invalid"


class SecondFactorInvalid(Unauthenticated):
    """A code that is wrong, over, or was used before; which of them stays untold."""

    code = "second-factor-invalid"


class Refused(LatchstringError):
    """Known, but not allowed."""


class NotAllowed(Refused):
    """The caller lacks a permission."""

    code = "not-allowed"

    def __init__(self, permission: str = "") -> None:
        super().__init__(f"This needs the permission {permission}." if permission else "This is not yours to do.")


class GrantNotAllowed(Refused):
    """Somebody would hand out more than they hold."""

    code = "grant-not-allowed"


class TermsOutdated(Refused):
    """A new version of the terms waits for the user's consent."""

    code = "terms-required"


class CsrfTokenInvalid(Refused):
    """A browser request without the double-submitted token."""

    code = "csrf-token-invalid"


class NotFound(LatchstringError):
    """Unknown, or not visible to the caller."""

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
    """No template of invitations has this key."""

    code = "template-not-found"


class JobNotFound(NotFound):
    code = "job-not-found"


class WrongState(LatchstringError):
    """The thing exists and is not in a state that allows this."""


class AlreadyInvited(WrongState):
    """A PENDING invitation with the same grants exists. id is None where the caller may not list it."""

    code = "already-invited"

    def __init__(self, invitation_id: UUID | None) -> None:
        super().__init__(
            "A pending invitation for this address has the same grants. Resend it, or revoke it first.",
            extra={} if invitation_id is None else {"id": str(invitation_id)},
        )


class AlreadyMember(WrongState):
    """The person already holds everything this invitation would give."""

    code = "already-member"


class InvitationNotPending(WrongState):
    """Resend and revoke need an invitation that has not ended."""

    code = "invitation-not-pending"


class InvitationAccepted(WrongState):
    """Somebody has come in through this invitation already."""

    code = "invitation-accepted"


class InviterNotAllowed(WrongState):
    """Whoever sent the link may no longer grant what it carries."""

    code = "inviter-not-allowed"


class WrongAccount(WrongState):
    """The invitation is for another address than the signed-in one."""

    code = "wrong-account"


class SignInRequired(WrongState):
    """A revealed link proves no mailbox: the account's own session must accept."""

    code = "sign-in-required"


class AccountBlocked(WrongState):
    """The invited person's account is blocked."""

    code = "account-blocked"


class LastSuperAdmin(WrongState):
    """Nobody would be left who looks after administrators."""

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
    """Another object of this type has this key."""

    code = "content-key-taken"


class TemplateKeyTaken(WrongState):
    """Another template of invitations has this key, in the panel or in configuration."""

    code = "template-key-taken"


class TemplateConfigured(WrongState):
    """The template is declared in configuration; it is changed there."""

    code = "template-configured"


class JobFinished(WrongState):
    """A job that has ended cannot be cancelled."""

    code = "job-finished"


class OwnsContent(WrongState):
    """The person owns content; say who takes it over."""

    code = "owns-content"


class IdempotencyRunning(WrongState):
    """The first request with this Idempotency-Key is still at work."""

    code = "idempotency-running"


class Over(LatchstringError):
    """The link was genuine; its time or its invitation has ended."""


class InvitationDeclined(Over):
    code = "invitation-declined"


class InvitationRevoked(Over):
    code = "invitation-revoked"


class InvitationSuperseded(Over):
    """A newer link of the same invitation has been sent."""

    code = "invitation-superseded"


class InvitationExpired(Over):
    code = "invitation-expired"


class IdempotencyKeyReused(LatchstringError):
    """The key came back with another body."""

    code = "idempotency-key-reused"


class ChangedMeanwhile(WrongState):
    """Somebody else changed what a page of the panel was about to change."""

    code = "changed-meanwhile"


class ContentChanged(LatchstringError):
    """If-Match named a version that is not the present one."""

    code = "content-changed"


class TermsRequired(InvalidFields):
    """Joining needs consent to the terms. A leaf of InvalidFields with a code of its own."""

    code = "terms-required"


class InvitationMismatch(LatchstringError):
    """A genuine link that leads to another object than the path says."""

    code = "invitation-mismatch"


class TooManyRequests(LatchstringError):
    """A limit was reached."""

    code = "too-many-requests"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds


class Unavailable(LatchstringError):
    """Not now. retry_after_seconds goes into Retry-After."""

    code = "unavailable"
    retry_after_seconds = 1


class MailDisabled(Unavailable):
    """Mail is switched off and the caller may not hand over a link by other means."""

    code = "mail-disabled"
    retry_after_seconds = 3600


class StorageBusy(Unavailable):
    """The transaction was tried as often as it may be and lost each time."""

    code = "storage-busy"


class StorageUnreachable(Unavailable):
    """The database does not answer."""

    code = "storage-unreachable"
    retry_after_seconds = 5
