"""`latchstring user`."""

import rich_click as click

from latchstring.cli.options import EMAIL, KEY, LINE, LOCALE, json_option, password_option, read_password
from latchstring.cli.output import print_note, show
from latchstring.cli.with_services import with_services
from latchstring.domain.account import User
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import Address
from latchstring.services import Services
from latchstring.users.accounts import NewUser


@click.group("user")
def user() -> None:
    """Manage users of the app."""


@user.command()
@click.option("--email", "address", required=True, type=EMAIL)
@click.option("--first-name", type=LINE)
@click.option("--last-name", type=LINE)
@click.option("--role", type=KEY, help="One of the configured roles.")
@click.option("--group", "groups", multiple=True, type=KEY, help="A group of the user; may be repeated.")
@click.option("--locale", type=LOCALE)
@click.option("--external-id", type=LINE, help="The id of the user in the sign-in system of the app.")
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
    """Create a user. The address counts as verified, and the terms as accepted."""
    password = read_password(from_stdin=password_stdin)

    async def create_user(services: Services) -> User:
        new_user = NewUser(
            address=address,
            first_name=first_name or "",
            last_name=last_name or "",
            role=role,
            groups=groups,
            locale=locale,
            external_id=external_id,
            password=password,
        )
        return await services.users.create(new_user, by=OPERATOR_PRINCIPAL)

    created = with_services(create_user)
    result = {
        "id": created.id,
        "email": created.email,
        "name": created.name,
        "role": created.role,
        "groups": list(created.groups),
        "locale": created.locale,
        "externalId": created.external_id,
    }
    show(result, as_json=as_json, title="User created")
    if password is None and not as_json:
        print_note(
            "The user has no password yet. They can set one at /password-reset, or pass one with --password-stdin."
        )
