"""`latchstring admin`."""

import rich_click as click

from latchstring.admins.administrators import CreatedAdmin
from latchstring.cli.options import EMAIL, LINE, json_option, password_option, read_password
from latchstring.cli.output import note, show
from latchstring.cli.with_services import with_services
from latchstring.domain.account import ADMIN_ROLES, Admin
from latchstring.domain.errors import AdminNotFound
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import Address
from latchstring.services import Services


@click.group("admin")
def admin() -> None:
    """Accounts of the admin panel. They are apart from the app's users."""


@admin.command()
@click.option("--email", "address", required=True, type=EMAIL)
@click.option("--role", default=ADMIN_ROLES[0], show_default=True, type=click.Choice(ADMIN_ROLES))
@click.option("--name", type=LINE, help="How others see this person.")
@password_option
@json_option
def create(*, address: Address, role: str, name: str | None, password_stdin: bool, as_json: bool) -> None:
    """Make an administrator. Without a password it prints a link that sets one, good once and for a day."""
    password = read_password(from_stdin=password_stdin)

    async def make(services: Services) -> CreatedAdmin:
        return await services.admins.create(
            address=address, role=role, name=name or "", password=password, by=OPERATOR_PRINCIPAL
        )

    made = with_services(make)
    result = {"id": made.admin.id, "email": made.admin.email, "role": made.admin.role, "setUpUrl": made.set_up_url}
    show(result, as_json=as_json, title="Administrator made")
    if made.set_up_url and not as_json:
        note("Open the link within a day to choose a password. It works once.")


@admin.command("reset-second-factor")
@click.argument("address", metavar="EMAIL", type=EMAIL)
@json_option
def reset_second_factor(*, address: Address, as_json: bool) -> None:
    """Take away the second factor of an administrator who has lost phone and recovery codes.

    The sessions end. The password is asked for as before, and the next login may set up a new second factor.
    """

    async def reset(services: Services) -> Admin:
        found = await services.admins.find_by_address(address)
        if found is None:
            raise AdminNotFound(f"No administrator has the address {address.email}.")
        await services.admins.second_factors.reset(found.id, by=OPERATOR_PRINCIPAL)
        return found

    found = with_services(reset)
    show({"id": found.id, "email": found.email, "secondFactor": False}, as_json=as_json, title="Second factor removed")
