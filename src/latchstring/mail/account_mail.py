"""Mails with a link for an account: password resets, address verifications, set-up links of administrators."""

from datetime import datetime

from latchstring.domain.account import Admin, User
from latchstring.domain.ids import new_id
from latchstring.domain.mail import DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason


def account_mail(
    account: User | Admin, kind: MailKind, *, now: datetime, is_off: bool, locale: str | None = None
) -> OutgoingMail:
    """Return an urgent mail to a user or administrator. Its link is valid for the current link generation only.

    is_off: mail is switched off; the row is stored as suppressed.
    """
    return OutgoingMail(
        id=new_id(now),
        kind=kind,
        subject_id=account.id,
        generation=account.link_generation,
        due_at=None if is_off else now,
        priority=MailPriority.URGENT,
        state=DeliveryState.SUPPRESSED if is_off else DeliveryState.QUEUED,
        reason=SuppressionReason.MAIL_OFF if is_off else None,
        locale=account.locale or locale,
    )


def unsent_mail(now: datetime) -> OutgoingMail:
    """Return a mail that is never sent. It is stored so that a request for an unknown address costs the same commit."""
    return OutgoingMail(
        id=new_id(now),
        kind=MailKind.PASSWORD_RESET,
        subject_id=new_id(now),
        generation=0,
        due_at=None,
        priority=MailPriority.URGENT,
        state=DeliveryState.SUPPRESSED,
        reason=SuppressionReason.ENDED,
    )
