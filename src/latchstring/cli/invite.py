"""`latchstring invite`."""

from datetime import timedelta
from typing import Any

import rich_click as click

from latchstring.cli.options import DURATION, EMAIL, KEY, LINE, LOCALE, MESSAGE, URL, json_option
from latchstring.cli.output import print_note, show
from latchstring.cli.with_services import with_services
from latchstring.domain.clock import format_rfc3339
from latchstring.domain.draft import Draft
from latchstring.domain.invitation import InvitationDetails
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.content_grants import parse_content_grant
from latchstring.formats.email_address import Address
from latchstring.services import Services


class ContentGrantParameter(click.ParamType[tuple[str, str, str]]):
    """`type/key:ROLE`."""

    name = "type/key:ROLE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str, str]:
        grant = parse_content_grant(value)
        if grant is None:
            self.fail("Write it like articles/welcome:EDITOR, with VIEWER, EDITOR or MAINTAINER.", param, ctx)
        return grant


@click.command()
@click.argument("address", type=EMAIL, metavar="EMAIL")
@click.option("--template", type=KEY, help="A named set of terms. Other options take precedence.")
@click.option("--role", type=KEY, help="The role to join the app with.")
@click.option("--group", "groups", multiple=True, type=KEY, help="A group to join; may be repeated.")
@click.option("--content", multiple=True, type=ContentGrantParameter(), help="Access to an object; may be repeated.")
@click.option("--first-name", type=LINE)
@click.option("--last-name", type=LINE)
@click.option("--message", type=MESSAGE, help="A personal note, shown in the mail.")
@click.option("--locale", type=LOCALE, help="The language of the mail.")
@click.option("--expires-in", type=DURATION, help="How long the link works, such as `P7D`.")
@click.option("--redirect-url", type=URL, help="Where the invitee goes after accepting.")
@click.option("--show-link", is_flag=True, help="Print a link to hand over yourself. It does not verify the address.")
@json_option
def invite(
    *,
    address: Address,
    template: str | None,
    role: str | None,
    groups: tuple[str, ...],
    content: tuple[tuple[str, str, str], ...],
    first_name: str | None,
    last_name: str | None,
    message: str | None,
    locale: str | None,
    expires_in: timedelta | None,
    redirect_url: str | None,
    show_link: bool,
    as_json: bool,
) -> None:
    """Invite somebody by e-mail to at least a role, a group or an object, by options or by a template.

    A running server or worker sends the mail.
    """

    async def create(services: Services) -> tuple[InvitationDetails, str | None]:
        draft = Draft(
            email=address.email,
            email_key=address.email_key,
            role=role,
            groups=groups,
            content=content,
            first_name=first_name,
            last_name=last_name,
            message=message,
            locale=locale,
            expires_in=expires_in,
            redirect_url=redirect_url,
            template=template,
        )
        invitations = services.invitations
        details = await invitations.create(draft, by=OPERATOR_PRINCIPAL)
        url = await invitations.reveal(details.invitation.id, by=OPERATOR_PRINCIPAL) if show_link else None
        return details, url

    details, url = with_services(create)
    invitation = details.invitation
    result = {
        "id": invitation.id,
        "inviteEmail": invitation.email,
        "role": invitation.bundle.role,
        "groups": [grant.target_key for grant in invitation.bundle.groups],
        "expiresAt": format_rfc3339(invitation.link.expires_at),
        "delivery": details.delivery.state.value if details.delivery else None,
        "url": url,
    }
    show(result, as_json=as_json, title="Invitation created")
    if not as_json and details.delivery is not None and details.delivery.reason is not None and url is None:
        print_note(
            "No mail is sent: mail is off. Hand over a link with --show-link next time, or resend when mail is on."
        )
