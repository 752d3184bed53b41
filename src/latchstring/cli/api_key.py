"""`latchstring api-key`."""

import json
from datetime import timedelta

import rich_click as click

from latchstring.cli.options import DURATION, KEY, LINE, json_option
from latchstring.cli.output import print_note
from latchstring.cli.with_services import with_services
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.services import Services
from latchstring.users.api_keys import CreatedApiKey


@click.group("api-key")
def api_key() -> None:
    """Manage API keys for backends."""


@api_key.command()
@click.option("--name", required=True, type=LINE, help="What the key is used for.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    help="A permission of the key, such as `invitations:write`; `*` for all.",
)
@click.option("--may-grant", multiple=True, metavar="ROLE", help="A role it may grant. Scope `*` may grant all.")
@click.option("--may-grant-group", "groups", multiple=True, type=KEY, help="A group it may invite into.")
@click.option("--expires-in", type=DURATION, help="Lifetime of the key, such as `P90D`. Default: no limit.")
@json_option
def create(
    *,
    name: str,
    scopes: tuple[str, ...],
    may_grant: tuple[str, ...],
    groups: tuple[str, ...],
    expires_in: timedelta | None,
    as_json: bool,
) -> None:
    """Create an API key and print only the key on standard output. It cannot be shown again."""

    async def create_key(services: Services) -> CreatedApiKey:
        return await services.users.api_keys.create(
            name=name,
            scopes=scopes,
            may_grant=may_grant or None,
            may_grant_groups=groups or None,
            expires_at=services.clock() + expires_in if expires_in else None,
            by=OPERATOR_PRINCIPAL,
        )

    created = with_services(create_key)
    if not as_json:
        print_note("Save this key now. It is not stored and cannot be shown again.")
        click.echo(created.secret)
        return
    key = created.key
    result = {
        "id": str(key.id),
        "key": created.secret,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "mayGrant": sorted(key.may_grant),
        "mayGrantGroups": sorted(key.may_grant_groups),
        "expiresAt": key.expires_at.isoformat() if key.expires_at else None,
    }
    click.echo(json.dumps(result, ensure_ascii=False))
