"""`latchstring keys`."""

import asyncio

import rich_click as click

from latchstring.bootstrap.key_rotation import Rotation, rotate_keys
from latchstring.cli.configuration import read_config
from latchstring.cli.options import json_option
from latchstring.cli.output import note, show
from latchstring.cli.refusals import expected_failures
from latchstring.telemetry.logging import configure_logging


@click.group("keys")
def keys() -> None:
    """Renew the master key, which signs every link."""


@keys.command()
@click.option("--compromised", is_flag=True, help="The key is in wrong hands: end every open link now.")
@json_option
def rotate(*, compromised: bool, as_json: bool) -> None:
    """Make a new master key, which signs from now on. Running servers follow within a second.

    Old keys stay while a pending invitation needs them. With `--compromised` they go at once: every open link ends,
    everybody has to sign in again, and invitations have to be sent again.
    """
    config = read_config()

    configure_logging(level="WARNING")
    with expected_failures():
        rotation = asyncio.run(rotate_keys(config, compromised=compromised))
    _show(rotation, as_json=as_json)


def _show(rotation: Rotation, *, as_json: bool) -> None:
    result = {
        "signing": rotation.signing,
        "kept": list(rotation.kept),
        "removed": list(rotation.removed),
        "endedInvitations": rotation.ended,
        "masterKey": rotation.text,
    }
    show(result, as_json=as_json, title="Master key renewed")
    if not as_json:
        if rotation.text is not None:
            note("The key comes from the environment. Set it to masterKey above everywhere, then restart.")
        note("Back up the key together with the database: each is worthless without the other.")
