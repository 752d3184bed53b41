"""Prints results as a table or as JSON."""

import json
from collections.abc import Mapping
from typing import Any

import rich_click as click
from rich.console import Console
from rich.text import Text


def show(result: Mapping[str, Any], *, as_json: bool, title: str) -> None:
    """Print a result on standard output. The table omits values that are None or empty."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, default=str))
        return
    console = Console()
    console.print(Text(title, "bold green"))
    width = max(map(len, result))
    for name, value in result.items():
        if value not in (None, "", [], ()):  # soft_wrap: links and keys stay on one line to be copied
            console.print(Text.assemble((f"  {name:<{width}}  ", "dim"), _format_value(value)), soft_wrap=True)


def print_note(message: str) -> None:
    """Print a message on standard error, so that standard output has the result only."""
    click.echo(message, err=True)


def _format_value(value: object) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
