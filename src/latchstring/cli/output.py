"""Showing results: a small table for people, JSON for machines."""

import json
from collections.abc import Mapping
from typing import Any

import rich_click as click
from rich.console import Console
from rich.text import Text


def show(result: Mapping[str, Any], *, as_json: bool, title: str) -> None:
    """Show one result on standard output. Values that are None or empty are left out of the table."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, default=str))
        return

    console = Console()
    console.print(Text(title, "bold green"))
    width = max(map(len, result))
    for name, value in result.items():
        if value not in (None, "", [], ()):  # soft_wrap: a link or key must stay in one piece to be copied
            console.print(Text.assemble((f"  {name:<{width}}  ", "dim"), _text(value)), soft_wrap=True)


def note(sentence: str) -> None:
    """Say something beside the result, where it disturbs no pipe."""
    click.echo(sentence, err=True)


def _text(value: object) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
