"""A complete sample message of each kind, for previews and tests of templates. Its link is not valid."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta
from typing import cast

from latchstring.domain.mail import MailKind
from latchstring.domain.settings import App
from latchstring.mail import messages
from latchstring.mail.messages import Message

SAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2FtcGxl.this-is-only-a-sample"  # noqa: S105  # not signed
_LIFETIME = timedelta(days=7)


def sample_message(kind: MailKind, *, to: str, locale: str, app: App, now: datetime) -> Message:
    """Return a sample message of a kind, to a recipient named Noor."""
    values = _sample_values(to, locale, app, now)
    message_type = _message_type(kind)
    create_message = cast("Callable[..., Message]", message_type)
    return create_message(**{field.name: values[field.name] for field in fields(message_type)})


def _message_type(kind: MailKind) -> type[Message]:
    # by module, not __subclasses__(): a dataclass with slots leaves the original class among the subclasses
    types = (
        candidate
        for candidate in vars(messages).values()
        if isinstance(candidate, type) and issubclass(candidate, Message)
    )
    return next(candidate for candidate in types if getattr(candidate, "kind", None) is kind)


def _sample_values(to: str, locale: str, app: App, now: datetime) -> dict[str, object]:
    """Return a value for every field of any message, by name: a new message with known fields needs no change here."""
    return {
        "to": to,
        "locale": locale,
        "app_name": app.name,
        "first_name": "Noor",
        "inviter_name": "Mira Okafor",
        "inviter_email": "mira@example.org",
        "admin_name": "Noor Haddad",
        "message": "Your seat is by the window.\nThe first evening is on Thursday; bring a pencil.",
        "role_name": "Team",
        "group_names": ("Spring cohort", "Facilitators"),
        "content": (("EDITOR", "Tide tables"), ("VIEWER", "Maps of the coast")),
        "account_exists": False,
        "is_new": True,
        "link_url": f"{app.public_url}/invitation?token={SAMPLE_TOKEN}",
        "expires_at": now + _LIFETIME,
        "invitee_email": "jonas@example.org",
        "reason": "I am away all spring. Ask me again in autumn.",
    }
