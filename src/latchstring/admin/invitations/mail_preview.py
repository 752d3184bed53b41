"""Preview of the invitation mail while the form is being filled in.

The form of the page is submitted into a frame, so the preview needs no script, and nothing that was typed is lost or
appears in a URL. The document of the frame shows sender and recipient and contains the mail in a nested frame. Both are
sandboxed, and the styles of the mail do not affect other pages.
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
# the header around the mail uses the stylesheets of the pages; the mail itself has inline styles
_POLICY = FRAME_POLICY.replace("style-src 'unsafe-inline'", "style-src 'self' 'unsafe-inline'")


@get(PREVIEW, needs=WRITE)
async def show_preview(panel: Panel) -> Answer:
    """The mail of the terms in the URL, for the page when it opens. The URL contains no data of the invitee."""
    form = FormState({}, (), {name: panel.query_values(name) for name in ("content", "contentRole")})
    draft = Draft(
        email="",
        email_key="",
        role=panel.query_value("role") or None,
        groups=panel.query_values("groups"),
        content=tuple(chosen_rows(form)),
        locale=panel.query_value("locale") or None,
    )
    return await _preview(panel, draft, as_text=False)


@post_preview(PREVIEW, needs=WRITE)
async def update_preview(panel: Panel) -> Answer:
    """The mail of the current form. Invalid fields are left out."""
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
    """Compose with the operator's templates, or with the built-in ones if those are broken, as the worker does."""
    try:
        return compose_mail(message, load_templates(rules.templates_directory))
    except TemplateBroken:
        return compose_mail(message)


routes = [show_preview, update_preview]
