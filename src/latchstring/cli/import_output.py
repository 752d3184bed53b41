"""Shows the results of rows, of a dry run or of a job."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latchstring.domain.job import Job, JobRow, RowStatus
from latchstring.formats.job_report import REPORT_COLUMNS, row_cells
from latchstring.formats.spreadsheet import BYTE_ORDER_MARK, csv_text

MAX_ROWS = 200  # in a terminal; --report has all
_LABELS = {
    RowStatus.CREATE: ("invite", "green"),
    RowStatus.DUPLICATE: ("duplicate", "yellow"),
    RowStatus.MEMBER: ("member", "yellow"),
    RowStatus.REFUSED: ("refused", "red"),
}


class RowResults:
    """Collects the results of rows: counts them, writes them to the report, and keeps some rows to show.

    Only rows that are not invited are kept: rejected rows, which have to be fixed, before duplicates and members.
    """

    def __init__(self, stack: ExitStack, report: IO[str] | None, *, keeps_all: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._refused: list[JobRow] = []
        self._others: list[JobRow] = []
        self._report = report
        self._keeps_all = keeps_all
        if report is not None:
            report.write(BYTE_ORDER_MARK + csv_text([REPORT_COLUMNS]))
            stack.callback(report.flush)

    def add(self, rows: Sequence[JobRow]) -> None:
        """Add the next rows."""
        self.counts.update(row.status for row in rows)
        for row in rows:
            target = self._refused if row.status == RowStatus.REFUSED else self._others
            if self._keeps_all or (row.status != RowStatus.CREATE and len(target) < MAX_ROWS):
                target.append(row)
        if self._report is not None:
            self._report.write(csv_text(map(row_cells, rows)))

    @property
    def rows(self) -> list[JobRow]:
        """The rows to show, in the order of the file."""
        rows = [*self._refused, *self._others]
        return sorted(rows if self._keeps_all else rows[:MAX_ROWS], key=lambda row: row.row)

    @property
    def creates(self) -> int:
        return self.counts[RowStatus.CREATE]

    @property
    def refused(self) -> int:
        return self.counts[RowStatus.REFUSED]

    @property
    def unexpected(self) -> int:
        return self.counts.total() - self.creates


def _table(rows: Iterable[JobRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Row", justify="right")
    for heading in ("", "E-mail", "Why"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        label, colour = _LABELS[RowStatus(row.status)]
        table.add_row(str(row.row), Text(label, colour), Text(row.email or ""), Text(row.detail or row.code or ""))
    return table


def _show_rows(console: Console, results: RowResults) -> None:
    rows = [row for row in results.rows if row.status != RowStatus.CREATE]
    if rows:
        console.print(_table(rows))
    if results.unexpected > len(rows):
        console.print(f"… and {results.unexpected - len(rows)} more; --report FILE has them all.")


def show_dry_run(results: RowResults) -> None:
    """Print the rows that would not be invited with their reasons, and the count of each result."""
    console = Console(highlight=False)
    _show_rows(console, results)
    counts = [f"{results.counts[status]} {label}" for status, label in _DRY_RUN_LABELS.items()]
    console.print(Text(", ".join(counts), "bold"))


_DRY_RUN_LABELS = {
    RowStatus.CREATE: "to invite",
    RowStatus.DUPLICATE: "duplicate",
    RowStatus.MEMBER: "member already",
    RowStatus.REFUSED: "refused",
}


def show_job(job: Job, results: RowResults) -> None:
    """Print how a job ended."""
    console = Console(highlight=False)
    _show_rows(console, results)
    is_done = job.state == "DONE"
    heading = "Done" if is_done else f"The job is {job.state.value}{f' ({job.cause})' if job.cause else ''}"
    counts = f"{job.created} invited, {job.skipped} skipped, {job.refused} refused."
    console.print(Text(f"{heading}: {counts}", "bold green" if is_done and not job.refused else "bold red"))
    console.print(Text(f"Job {job.id}", "dim"), soft_wrap=True)


def _row(row: JobRow) -> dict[str, Any]:
    """A row as in the API."""
    cells = dict(zip(REPORT_COLUMNS, row_cells(row), strict=True))
    return cells | {"invitationId": str(row.invitation_id) if row.invitation_id else None}


def dry_run_as_json(results: RowResults) -> str:
    """A dry run with the result of each row."""
    counts = {status.value: results.counts[status] for status in RowStatus}
    return json.dumps({"counts": counts, "rows": [_row(row) for row in results.rows]}, ensure_ascii=False)


def job_as_json(job: Job, results: RowResults) -> str:
    """How a job ended, with the first rows that were not invited."""
    result = {
        "jobId": str(job.id),
        "state": job.state.value,
        "cause": job.cause,
        "total": job.total,
        "done": job.done,
        "created": job.created,
        "skipped": job.skipped,
        "refused": job.refused,
        "rows": [_row(row) for row in results.rows],
    }
    return json.dumps(result, ensure_ascii=False)
