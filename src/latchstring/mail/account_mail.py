"""Mails whose link is made from an account: password resets, address checks, set-up links of administrators."""

from datetime import datetime

from latchstring.domain.account import Admin, User
from latchstring.domain.ids import new_id
from latchstring.domain.mail import DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason


def account_mail(
    account: User | Admin, kind: MailKind, *, now: datetime, is_off: bool, locale: str | None = None
) -> OutgoingMail:
    """An urgent mail to a user or administrator, whose link dies with the account's present link generation.

    is_off: no mail leaves this installation; the row is written all the same, as suppressed.
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
    """A mail that is never sent, written so that asking about an unknown address costs the same commit."""
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
