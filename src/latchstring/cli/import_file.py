"""`latchstring import`: creates many invitations from a file with a job that continues without the command.

Exit statuses: 0 every row is invited, a duplicate or a member; 1 some rows were rejected, or not confirmed; 2 invalid
command line, file or configuration; 130 interrupted with Ctrl-C.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import rich_click as click
from click.exceptions import Exit

from latchstring.cli import import_output as output
from latchstring.cli.failures import FAILED, UNUSABLE, CommandFailed
from latchstring.cli.input_files import file_type, read_bytes, require_confirmation
from latchstring.cli.options import ID, json_option
from latchstring.cli.output import print_note
from latchstring.cli.progress import progress
from latchstring.cli.with_services import with_services
from latchstring.domain.errors import Unreadable
from latchstring.domain.job import Job
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.csv_rows import ENCODINGS, CsvRows, known_column, read_header
from latchstring.formats.json_rows import JsonRows
from latchstring.formats.uploads import CSV, JSON, UploadedRows
from latchstring.invitations.bulk.jobs import BulkJobs
from latchstring.services import Services
from latchstring.worker.jobs import JobDependencies, JobWorker
from latchstring.worker.wake_event import Notifiable

POLL_SECONDS = 0.25
PICK_UP_SECONDS = 2.0  # for a worker to start a queued job, before the command runs it itself
STALLED_SECONDS = 8.0  # without progress: the worker of the job is dead, and its lease has expired
INTERRUPTED = 130  # the exit status of shells for a command ended by Ctrl-C
CONFIRMATION_HINT = "--yes to invite everybody who can be invited, or --dry-run to show who that is"


@click.command("import")
@click.argument("file", type=file_type, metavar="FILE", required=False)
@click.option("--dry-run", is_flag=True, help="Show the result of each row without changing anything.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@click.option("--here", is_flag=True, help="Process the rows in this command, even if a worker is running.")
@click.option("--resume", type=ID, metavar="JOB_ID", help="Continue an interrupted job instead of reading a file.")
@click.option(
    "--report",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Write the result of each row to this CSV file.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=HEADING",
    help="The heading of a field, such as `inviteEmail=E-Mail`; may be repeated. Other unknown columns are ignored.",
)
@click.option("--encoding", metavar="NAME", help="The encoding of the file, such as `windows-1252`. Default: detected.")
@json_option
def import_(
    *,
    file: Path | None,
    dry_run: bool,
    yes: bool,
    here: bool,
    resume: UUID | None,
    report: IO[str] | None,
    columns: tuple[str, ...],
    encoding: str | None,
    as_json: bool,
) -> None:
    """Invite everybody in FILE: CSV with a header row, or a JSON array; `-` is standard input.

    The columns are the fields of the API; `inviteEmail` is required. Each row has a result of its own; a rejected row
    does not stop others. A running worker processes the rows, or this command if there is none.
    """
    if (file is None) is (resume is None):
        raise CommandFailed("Name a file, or a job with --resume.", status=UNUSABLE, code="file-missing")
    require_confirmation(
        file, is_confirmed=yes or dry_run or resume is not None, as_json=as_json, hint=CONFIRMATION_HINT
    )
    source = None if file is None else _row_source(file, read_bytes(file), encoding, columns)
    import_rows = ImportCommand(
        source, name=file.name if file else None, dry_run=dry_run, yes=yes, here=here, resume=resume
    )
    import_rows.as_json, import_rows.report = as_json, report
    try:
        status = with_services(import_rows)
    except KeyboardInterrupt:
        import_rows.explain_interruption()
        raise Exit(INTERRUPTED) from None
    if status:
        raise Exit(status)


def _row_source(file: Path, data: bytes, encoding: str | None, columns: Sequence[str]) -> "Callable[[], UploadedRows]":
    """A function that reads the rows of the file from the start each time it is called. Raises CommandFailed."""
    if encoding is not None and encoding.lower() not in ENCODINGS:
        known = ", ".join(sorted(ENCODINGS))
        raise CommandFailed(f"There is no encoding {encoding}. Known: {known}.", status=UNUSABLE, code="encoding")
    if not data.strip():
        raise CommandFailed("The file is empty.", status=UNUSABLE, code="file-empty")
    is_json = file.suffix.lower() == ".json" or (not file.suffix and data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"[")
    fields_by_heading = _parse_columns(columns)

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    def read_rows() -> UploadedRows:
        if is_json:
            return UploadedRows(chunks(), JSON, JsonRows())
        codec = ENCODINGS[encoding.lower()] if encoding else None
        sheet = CsvRows(codec, **_header_readers(fields_by_heading)) if fields_by_heading else CsvRows(codec)
        return UploadedRows(chunks(), CSV, sheet)

    return read_rows


def _parse_columns(columns: Sequence[str]) -> dict[str, str]:
    """Field names by casefolded heading. Raises CommandFailed."""
    fields_by_heading = {}
    for column in columns:
        field_name, _, heading = column.partition("=")
        known = known_column(field_name)
        if known is None or not heading.strip():
            raise CommandFailed(f"Write FIELD=HEADING, not {column}.", status=UNUSABLE, code="column")
        fields_by_heading[heading.strip().casefold()] = known
    return fields_by_heading


def _header_readers(fields_by_heading: Mapping[str, str]) -> dict[str, Any]:
    """Functions to read the header with the headings of `--column`. Other unknown columns are ignored."""

    def known(cell: str) -> str | None:
        return fields_by_heading.get(cell.strip().casefold()) or known_column(cell)

    def read(cells: Sequence[str]) -> list[str | None]:
        return read_header([known(cell) or "" for cell in cells])

    return {"known": known, "read": read}


@dataclass(slots=True)
class ImportCommand:
    """Imports the rows with open services. A call returns the exit status."""

    source: "Callable[[], UploadedRows] | None"
    name: str | None
    dry_run: bool
    yes: bool
    here: bool
    resume: UUID | None
    as_json: bool = False
    report: IO[str] | None = None
    job: Job | None = field(default=None)

    async def __call__(self, services: Services) -> int:
        bulk = services.invitations.bulk
        try:
            if self.source is None:
                self.job = await bulk.get(self._get_job_id(), by=OPERATOR_PRINCIPAL)
            elif (status := await self._dry_run(bulk)) is not None:
                return status
            else:
                self.job = await bulk.start(self.source(), by=OPERATOR_PRINCIPAL, name=self.name)
        except Unreadable as refused:
            hint = " Name columns with --column FIELD=HEADING." if refused.code == "unknown-field" else ""
            raise CommandFailed(refused.detail + hint, status=UNUSABLE, code=refused.code) from refused
        self.job = await self._finish(services, self.job)
        return await self._show_results(bulk, self.job)

    def _get_job_id(self) -> UUID:
        if self.resume is None:
            raise LookupError("no job is given")
        return self.resume

    # ---- dry run -----------------------------------------------------------------------------------------------------

    async def _dry_run(self, bulk: BulkJobs) -> int | None:
        """Show the results of a dry run and ask for confirmation. Returns None to continue, else the exit status."""
        if (self.yes and not self.dry_run) or self.source is None:
            return None
        with ExitStack() as stack:
            results = output.RowResults(stack, self.report if self.dry_run else None, keeps_all=self.as_json)
            async for rows in bulk.preview_rows(self.source(), by=OPERATOR_PRINCIPAL):
                results.add(rows)
        if self.dry_run and self.as_json:
            click.echo(output.dry_run_as_json(results))
        else:
            output.show_dry_run(results)
        if self.dry_run:
            return FAILED if results.refused else 0
        if not results.creates:
            print_note("There is nobody to invite.")
            return FAILED if results.refused else 0
        if not click.confirm(f"Invite {results.creates} of {results.counts.total()}?", err=True):
            raise CommandFailed("Nothing was changed.", code="not-confirmed")
        return None

    # ---- import ------------------------------------------------------------------------------------------------------

    async def _finish(self, services: Services, job: Job) -> Job:
        """Wait for the end of the job, and process it in this process if no worker does."""
        stop, worker_task = asyncio.Event(), None
        monitor = ProgressMonitor(job)
        try:
            with progress("Inviting", job.total or 0, done=job.done, quiet=self.as_json) as advance:
                while not job.state.is_finished:
                    if worker_task is None and (self.here or monitor.is_stalled(job)):
                        worker_task = asyncio.create_task(_run_jobs(services, stop))
                    await asyncio.sleep(POLL_SECONDS)
                    before, job = job, await services.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
                    self.job = job
                    advance(job.done - before.done)
        finally:
            stop.set()
            if worker_task is not None:
                await worker_task  # it finishes the current batch and releases the job
        return job

    async def _show_results(self, bulk: BulkJobs, job: Job) -> int:
        with ExitStack() as stack:
            results = output.RowResults(stack, self.report, keeps_all=False)
            async for rows in bulk.all_rows(job):
                results.add(rows)
        if self.as_json:
            click.echo(output.job_as_json(job, results))
        else:
            output.show_job(job, results)
        return 0 if job.state == "DONE" and not job.refused else FAILED

    def explain_interruption(self) -> None:
        """Print how to continue after Ctrl-C."""
        if self.job is None:
            print_note("Interrupted. Nothing was changed.")
            return
        print_note(
            f"Interrupted with {self.job.done} of {self.job.total} rows done. A running worker continues, and so does"
        )
        print_note(f"  {_command()} import --resume {self.job.id}")


def _command() -> str:
    """The start of the command line to call again."""
    context = click.get_current_context(silent=True)
    config = context.find_root().params.get("config_path") if context else None
    return f"latchstring --config {config}" if config else "latchstring"


@dataclass(slots=True)
class ProgressMonitor:
    """Finds out from the progress of a job whether a worker processes it."""

    job: Job
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def is_stalled(self, job: Job) -> bool:
        now = asyncio.get_running_loop().time()
        if (job.state, job.done) != (self.job.state, self.job.done):
            self.job, self.since = job, now
        return now - self.since > (PICK_UP_SECONDS if job.state == "QUEUED" else STALLED_SECONDS)


async def _run_jobs(services: Services, stop: asyncio.Event) -> None:
    """Process jobs as a worker does, until `stop` is set."""
    dependencies: Any = JobDependencies(
        db=services.db, clock=services.clock, kinds=services.invitations.job_kinds, wake_event=Notifiable()
    )
    await JobWorker(dependencies).run(stop)
