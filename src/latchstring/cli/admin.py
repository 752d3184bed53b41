"""`latchstring admin`."""

from typing import TYPE_CHECKING

import rich_click as click

from latchstring.cli.options import EMAIL, LINE, json_option, password_option, read_password
from latchstring.cli.output import note, show
from latchstring.cli.running import with_services
from latchstring.domain.account import ADMIN_ROLES
from latchstring.domain.principal import OPERATOR_PRINCIPAL

if TYPE_CHECKING:
    from latchstring.accounts.addresses import Address
    from latchstring.accounts.admins import MadeAdmin
    from latchstring.web.services import Services


@click.group("admin")
def admin() -> None:
    """Make accounts of the admin panel. They are apart from the app's users."""


@admin.command()
@click.option("--email", "address", required=True, type=EMAIL)
@click.option("--role", default=ADMIN_ROLES[0], show_default=True, type=click.Choice(ADMIN_ROLES))
@click.option("--name", type=LINE, help="How others see this person.")
@password_option
@json_option
def create(*, address: "Address", role: str, name: str | None, password_stdin: bool, as_json: bool) -> None:
    """Make an administrator. Without a password it prints a link that sets one, good once and for a day."""
    password = read_password(from_stdin=password_stdin)

    async def make(services: "Services") -> "MadeAdmin":
        return await services.accounts.create_admin(
            OPERATOR_PRINCIPAL, address=address, role=role, name=name or "", password=password
        )

    made = with_services(make)
    result = {"id": made.admin.id, "email": made.admin.email, "role": made.admin.role, "setUpUrl": made.set_up_url}
    show(result, as_json=as_json, title="Administrator made")
    if made.set_up_url and not as_json:
        note("Open the link within a day to choose a password. It works once.")
