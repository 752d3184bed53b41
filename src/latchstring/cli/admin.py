"""`latchstring admin`."""

import rich_click as click

from latchstring.admins.administrators import CreatedAdmin
from latchstring.cli.options import EMAIL, LINE, json_option, password_option, read_password
from latchstring.cli.output import print_note, show
from latchstring.cli.with_services import with_services
from latchstring.domain.account import ADMIN_ROLES, Admin
from latchstring.domain.errors import AdminNotFound
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import Address
from latchstring.services import Services


@click.group("admin")
def admin() -> None:
    """Manage administrators of the admin panel. They are separate from the users of the app."""


@admin.command()
@click.option("--email", "address", required=True, type=EMAIL)
@click.option("--role", default=ADMIN_ROLES[0], show_default=True, type=click.Choice(ADMIN_ROLES))
@click.option("--name", type=LINE, help="The name that others see.")
@password_option
@json_option
def create(*, address: Address, role: str, name: str | None, password_stdin: bool, as_json: bool) -> None:
    """Create an administrator. Without a password it prints a link to set one. The link works once, within a day."""
    password = read_password(from_stdin=password_stdin)

    async def create_admin(services: Services) -> CreatedAdmin:
        return await services.admins.create(
            address=address, role=role, name=name or "", password=password, by=OPERATOR_PRINCIPAL
        )

    created = with_services(create_admin)
    new_admin, url = created.admin, created.set_up_url
    result = {"id": new_admin.id, "email": new_admin.email, "role": new_admin.role, "setUpUrl": url}
    show(result, as_json=as_json, title="Administrator created")
    if url and not as_json:
        print_note("Open the link within a day to choose a password. It works once.")


@admin.command("reset-second-factor")
@click.argument("address", metavar="EMAIL", type=EMAIL)
@json_option
def reset_second_factor(*, address: Address, as_json: bool) -> None:
    """Remove the second factor of an administrator who has lost their phone and recovery codes.

    Their sessions end. They sign in with their password and may set up a new second factor.
    """

    async def reset(services: Services) -> Admin:
        existing = await services.admins.find_by_address(address)
        if existing is None:
            raise AdminNotFound(f"No administrator has the address {address.email}.")
        await services.admins.second_factors.reset(existing.id, by=OPERATOR_PRINCIPAL)
        return existing

    existing = with_services(reset)
    result = {"id": existing.id, "email": existing.email, "secondFactor": False}
    show(result, as_json=as_json, title="Second factor removed")
