"""One message of each kind with everything in it, for previews and tests of templates. Its link opens nothing."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta
from typing import cast

from latchstring.domain.mail import MailKind
from latchstring.domain.settings import App
from latchstring.mail import messages
from latchstring.mail.messages import Message

SAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2FtcGxl.this-is-only-a-sample"  # noqa: S105  # not signed by anybody
_LIFETIME = timedelta(days=7)


def sample_message(kind: MailKind, *, to: str, locale: str, app: App, now: datetime) -> Message:
    """A message of this kind as somebody called Noor would get it."""
    values = _sample_values(to, locale, app, now)
    message_type = _message_type(kind)
    make = cast("Callable[..., Message]", message_type)
    return make(**{one.name: values[one.name] for one in fields(message_type)})


def _message_type(kind: MailKind) -> type[Message]:
    # by name in its module: a dataclass with slots leaves its first self among the subclasses
    types = (found for found in vars(messages).values() if isinstance(found, type) and issubclass(found, Message))
    return next(found for found in types if getattr(found, "kind", None) is kind)


def _sample_values(to: str, locale: str, app: App, now: datetime) -> dict[str, object]:
    """A value for every field a message has, by name: a new message of known fields needs nothing here."""
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
