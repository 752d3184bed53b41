"""A progress bar on standard error, where it disturbs no pipe; nothing where nobody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: int, *, done: int = 0, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Yields a function to say how much more is done."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total, complete_draft=done)
        yield lambda amount: shown.advance(task, amount)
