"""A progress bar on standard error. It is shown at a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(label: str, total: int, *, done: int = 0, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of newly completed steps."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress_bar:
        task = progress_bar.add_task(label, total=total, completed=done)
        yield lambda amount: progress_bar.advance(task, amount)
