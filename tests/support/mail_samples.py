"""Sample messages of every kind."""

from datetime import UTC, datetime

from latchstring.mail.messages import (
    AdminSetUpMail,
    EmailVerificationMail,
    InvitationDeclinedMail,
    InvitationMail,
    LinkRequestedMail,
    Message,
    PasswordResetMail,
)

LINK = "https://app.test/invitation?token=eyJhbGciOiJIUzI1NiJ9." + "A" * 260 + ".sIgNaTuRe"
EXPIRES = datetime(2026, 11, 27, 10, 40, tzinfo=UTC)
SENT_AT = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)


def invitation(**changes: object) -> InvitationMail:
    """Build an invitation mail with every field set."""
    values: dict[str, object] = {
        "to": "jonas@people.test",
        "locale": "en",
        "app_name": "Orchard Lane",
        "first_name": "Jonas",
        "inviter_name": "Mira Okafor",
        "inviter_email": "mira@app.test",
        "message": "Your seat is by the window.",
        "role_name": "Team",
        "group_names": ("Spring cohort", "Facilitators"),
        "content": (("EDITOR", "Tide tables"), ("VIEWER", "Maps"), ("MAINTAINER", "Charts")),
        "account_exists": False,
        "link_url": LINK,
        "expires_at": EXPIRES,
    }
    return InvitationMail(**(values | changes))  # type: ignore[arg-type]


def all_messages(locale: str = "en") -> list[Message]:
    """Build at least one message of each kind."""
    to, app = "jonas@people.test", "Orchard Lane"
    return [
        invitation(locale=locale),
        InvitationMail(to=to, locale=locale, app_name=app, link_url=LINK, expires_at=EXPIRES),
        PasswordResetMail(to=to, locale=locale, app_name=app, link_url=LINK, expires_at=EXPIRES),
        EmailVerificationMail(to=to, locale=locale, app_name=app, link_url=LINK, expires_at=EXPIRES),
        AdminSetUpMail(to=to, locale=locale, app_name=app, is_new=True, link_url=LINK, expires_at=EXPIRES),
        AdminSetUpMail(to=to, locale=locale, app_name=app, is_new=False, link_url=LINK, expires_at=EXPIRES),
        LinkRequestedMail(to=to, locale=locale, app_name=app, invitee_email="ada@people.test"),
        InvitationDeclinedMail(to=to, locale=locale, app_name=app, invitee_email="ada@people.test", reason="No time."),
    ]
