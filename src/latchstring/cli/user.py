"""`latchstring user`."""

import rich_click as click

from latchstring.cli.options import EMAIL, KEY, LINE, LOCALE, json_option, password_option, read_password
from latchstring.cli.output import note, show
from latchstring.cli.with_services import with_services
from latchstring.domain.account import User
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import Address
from latchstring.services import Services
from latchstring.users.accounts import NewUser


@click.group("user")
def user() -> None:
    """Make accounts of the app."""


@user.command()
@click.option("--email", "address", required=True, type=EMAIL)
@click.option("--first-name", type=LINE)
@click.option("--last-name", type=LINE)
@click.option("--role", type=KEY, help="One of the configured roles.")
@click.option("--group", "groups", multiple=True, type=KEY, help="A group to be in; may be repeated.")
@click.option("--locale", type=LOCALE)
@click.option("--external-id", type=LINE, help="How the app's own sign-in names this person.")
@password_option
@json_option
def create(
    *,
    address: Address,
    first_name: str | None,
    last_name: str | None,
    role: str | None,
    groups: tuple[str, ...],
    locale: str | None,
    external_id: str | None,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Make an account. Its address counts as verified, and the terms as accepted."""
    password = read_password(from_stdin=password_stdin)

    async def make(services: Services) -> User:

        new = NewUser(
            address=address,
            first_name=first_name or "",
            last_name=last_name or "",
            role=role,
            groups=groups,
            locale=locale,
            external_id=external_id,
            password=password,
        )
        return await services.users.create(new, by=OPERATOR_PRINCIPAL)

    made = with_services(make)
    result = {
        "id": made.id,
        "email": made.email,
        "name": made.name,
        "role": made.role,
        "groups": list(made.groups),
        "locale": made.locale,
        "externalId": made.external_id,
    }
    show(result, as_json=as_json, title="Account made")
    if password is None and not as_json:
        note("It has no password yet. Its owner sets one under /password-reset, or pass one with --password-stdin.")
