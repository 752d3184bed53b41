"""The mail of an invitation while it is being written, as the person will see it.

The form of the page is sent into a frame, so the preview needs no script and nothing that was typed is lost or stands
in an address. The document of the frame says who writes to whom and holds the mail in a frame of its own; neither may
do anything, and the mail's own styles reach no page of ours.
"""

from email.utils import parseaddr

from latchstring.admin.context import DOMAIN, Panel
from latchstring.admin.invitations.form import InvitationForm, chosen_rows, draft_of
from latchstring.admin.invitations.new import NEW, WRITE
from latchstring.admin.routing import get, post_preview
from latchstring.domain.draft import Draft
from latchstring.domain.settings import MailRules
from latchstring.http.responses import Answer
from latchstring.i18n.dates import text_direction
from latchstring.mail.messages import InvitationMail
from latchstring.mail.render import ComposedMail, compose_mail
from latchstring.mail.templating import TemplateBroken, load_templates
from latchstring.pages.forms import FormState
from latchstring.pages.mail_frame import FRAME_POLICY
from latchstring.pages.templating import render

PREVIEW = f"{NEW}/preview"
# our own header around the mail is styled like every page; the mail itself brings its styles along
_POLICY = FRAME_POLICY.replace("style-src 'unsafe-inline'", "style-src 'self' 'unsafe-inline'")


@get(PREVIEW, needs=WRITE)
async def show_preview(panel: Panel) -> Answer:
    """The mail of the terms in the address: for the page as it opens. Nothing about the person is in an address."""
    shown = FormState({}, (), {name: panel.query_values(name) for name in ("content", "contentRole")})
    draft = Draft(
        email="",
        email_key="",
        role=panel.query_value("role") or None,
        groups=panel.query_values("groups"),
        content=tuple(chosen_rows(shown)),
        locale=panel.query_value("locale") or None,
    )
    return await _preview(panel, draft, as_text=False)


@post_preview(PREVIEW, needs=WRITE)
async def look_at_preview(panel: Panel) -> Answer:
    """The mail of the form as it stands. What cannot be read yet is left out."""
    sent = await panel.read_form(InvitationForm)
    draft, _ = draft_of(sent, now=panel.now)
    return await _preview(panel, draft, as_text=sent.get("shape") == "text")


async def _preview(panel: Panel, draft: Draft, *, as_text: bool) -> Answer:
    message = await panel.services.invitations.previews.message_of(draft, by=panel.principal)
    mail = _compose(message, panel.services.mail_rules)
    name, address = parseaddr(panel.services.mail_rules.sender)
    body = render(
        "panel/invitations/mail_preview.html",
        {
            "locale": panel.locale,
            "direction": text_direction(panel.locale),
            "domain": DOMAIN,
            "mail": mail,
            "mail_direction": text_direction(mail.locale),
            "as_text": as_text,
            "from_name": name,
            "from_address": address,
            "to": message.to,
        },
    )
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", _POLICY.encode("ascii")),
        (b"x-frame-options", b"SAMEORIGIN"),
    ]
    return Answer(200, body.encode(), headers)


def _compose(message: InvitationMail, rules: MailRules) -> ComposedMail:
    """By the operator's templates; by ours when those are broken, as the worker does."""
    try:
        return compose_mail(message, load_templates(rules.templates_directory))
    except TemplateBroken:
        return compose_mail(message)


routes = [show_preview, look_at_preview]
