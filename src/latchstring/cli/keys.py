"""`latchstring keys`."""

import asyncio

import rich_click as click

from latchstring.bootstrap.key_rotation import Rotation, rotate_keys
from latchstring.cli.configuration import read_config
from latchstring.cli.options import json_option
from latchstring.cli.output import print_note, show
from latchstring.cli.refusals import expected_failures
from latchstring.telemetry.logging import configure_logging


@click.group("keys")
def keys() -> None:
    """Renew the master key, which signs every link."""


@keys.command()
@click.option("--compromised", is_flag=True, help="The key was stolen: revoke every open link now.")
@json_option
def rotate(*, compromised: bool, as_json: bool) -> None:
    """Create a new master key that signs from now on. Running servers reload it within a second.

    Old keys stay while a pending invitation needs them. With `--compromised` they are removed at once: every open link
    is revoked, everybody has to sign in again, and invitations have to be sent again.
    """
    config = read_config()
    configure_logging(level="WARNING")
    with expected_failures():
        rotation = asyncio.run(rotate_keys(config, compromised=compromised))
    _show(rotation, as_json=as_json)


def _show(rotation: Rotation, *, as_json: bool) -> None:
    result = {
        "signing": rotation.signing_key_id,
        "kept": list(rotation.kept_key_ids),
        "removed": list(rotation.removed_key_ids),
        "endedInvitations": rotation.ended_invitations,
        "masterKey": rotation.new_keys,
    }
    show(result, as_json=as_json, title="Master key renewed")
    if not as_json:
        if rotation.new_keys is not None:
            print_note("The key comes from the environment. Set it to masterKey above everywhere, then restart.")
        print_note("Back up the key together with the database. Neither can be used without the other.")
