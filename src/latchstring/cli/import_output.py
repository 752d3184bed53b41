"""Showing what would become of rows, and what became of them."""

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

MOST_SHOWN = 200  # nobody reads more in a terminal; --report has them all
_WORDS = {
    RowStatus.CREATE: ("invite", "green"),
    RowStatus.DUPLICATE: ("duplicate", "yellow"),
    RowStatus.MEMBER: ("member", "yellow"),
    RowStatus.REFUSED: ("refused", "red"),
}


class RowResults:
    """The verdicts as they come: counted, written to the report, and some of those kept that nobody expects: the
    refused ones, which somebody has to mend, before duplicates and members.
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
        """The next rows."""
        self.counts.update(row.status for row in rows)
        for row in rows:
            kept = self._refused if row.status == RowStatus.REFUSED else self._others
            if self._keeps_all or (row.status != RowStatus.CREATE and len(kept) < MOST_SHOWN):
                kept.append(row)
        if self._report is not None:
            self._report.write(csv_text(map(row_cells, rows)))

    @property
    def rows(self) -> list[JobRow]:
        """Those that were kept, in their order."""
        kept = [*self._refused, *self._others]
        return sorted(kept if self._keeps_all else kept[:MOST_SHOWN], key=lambda row: row.row)

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
        word, colour = _WORDS[RowStatus(row.status)]
        table.add_row(str(row.row), Text(word, colour), Text(row.email or ""), Text(row.detail or row.code or ""))
    return table


def _show_rows(console: Console, verdicts: RowResults) -> None:
    shown = [row for row in verdicts.rows if row.status != RowStatus.CREATE]
    if shown:
        console.print(_table(shown))
    if verdicts.unexpected > len(shown):
        console.print(f"… and {verdicts.unexpected - len(shown)} more; --report FILE has them all.")


def show_foreseen(verdicts: RowResults) -> None:
    """A dry run: every row that would not be invited, with its reason, and how many of each there are."""
    console = Console(highlight=False)
    _show_rows(console, verdicts)
    counts = [f"{verdicts.counts[status]} {words}" for status, words in _FORESEEN.items()]
    console.print(Text(", ".join(counts), "bold"))


_FORESEEN = {
    RowStatus.CREATE: "to invite",
    RowStatus.DUPLICATE: "duplicate",
    RowStatus.MEMBER: "member already",
    RowStatus.REFUSED: "refused",
}


def show_job(job: Job, verdicts: RowResults) -> None:
    """How a job ended."""
    console = Console(highlight=False)
    _show_rows(console, verdicts)
    good = job.state == "DONE"
    heading = "Done" if good else f"The job is {job.state.value}{f' ({job.cause})' if job.cause else ''}"
    counts = f"{job.created} invited, {job.skipped} skipped, {job.refused} refused."
    console.print(Text(f"{heading}: {counts}", "bold green" if good and not job.refused else "bold red"))
    console.print(Text(f"Job {job.id}", "dim"), soft_wrap=True)


def _row(row: JobRow) -> dict[str, Any]:
    """As the API tells it."""
    found = dict(zip(REPORT_COLUMNS, row_cells(row), strict=True))
    return found | {"invitationId": str(row.invitation_id) if row.invitation_id else None}


def foreseen_as_json(verdicts: RowResults) -> str:
    """A dry run with a verdict for each row."""
    counts = {status.value: verdicts.counts[status] for status in RowStatus}
    return json.dumps({"counts": counts, "rows": [_row(row) for row in verdicts.rows]}, ensure_ascii=False)


def job_as_json(job: Job, verdicts: RowResults) -> str:
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
        "rows": [_row(row) for row in verdicts.rows],
    }
    return json.dumps(result, ensure_ascii=False)
