"""`latchstring import`: many invitations from a file, by a job that outlives the command.

Exit statuses: 0 every row is invited, a duplicate or a member; 1 some were refused, or nobody confirmed; 2 the command
line, the file as a whole or the configuration cannot be used; 130 left with Ctrl-C.
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
from latchstring.cli.input_files import file_type, read_bytes, require_an_answer
from latchstring.cli.options import ID, json_option
from latchstring.cli.output import note
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
PATIENCE_SECONDS = 2.0  # for a worker to take up a job, before the command does it itself
LEASE_SECONDS = 8.0  # without any progress: whoever had it is dead, and its lease over
LEFT = 130  # what shells say of a command that Ctrl-C ended
OTHERWISE = "--yes to invite everybody who can be, or --dry-run to see who that is"


@click.command("import")
@click.argument("file", type=file_type, metavar="FILE", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would become of each row, and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--here", is_flag=True, help="Work on the rows in this process, also beside a running worker.")
@click.option("--resume", type=ID, metavar="JOB_ID", help="Go on with a job that was left, instead of a file.")
@click.option(
    "--report", type=click.File("w", encoding="utf-8", lazy=False), help="Write the verdicts to this CSV file."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=HEADING",
    help="Which column a field is in, such as `inviteEmail=E-Mail`; may be repeated. Other unknown ones are left out.",
)
@click.option("--encoding", metavar="NAME", help="How the text is encoded, such as `windows-1252`. Default: found out.")
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

    The columns are the fields of the API, `inviteEmail` at least. Each row gets its verdict; a refused one stops no
    other. A running worker does the work, this command where there is none.
    """
    if (file is None) is (resume is None):
        raise CommandFailed("Name a file, or a job with --resume.", status=UNUSABLE, code="file-missing")
    require_an_answer(file, is_settled=yes or dry_run or resume is not None, as_json=as_json, otherwise=OTHERWISE)
    source = None if file is None else _source(file, read_bytes(file), encoding, columns)
    work = _Import(source, name=file.name if file else None, dry_run=dry_run, yes=yes, here=here, resume=resume)
    work.as_json, work.report = as_json, report
    try:
        status = with_services(work)
    except KeyboardInterrupt:
        work.say_goodbye()
        raise Exit(LEFT) from None
    if status:
        raise Exit(status)


def _source(file: Path, data: bytes, encoding: str | None, columns: Sequence[str]) -> "Callable[[], UploadedRows]":
    """Makes the rows of the file, as often as they are asked for."""
    if encoding is not None and encoding.lower() not in ENCODINGS:
        known = ", ".join(sorted(ENCODINGS))
        raise CommandFailed(f"There is no encoding {encoding}. Known: {known}.", status=UNUSABLE, code="encoding")
    if not data.strip():
        raise CommandFailed("The file is empty.", status=UNUSABLE, code="file-empty")
    is_json = file.suffix.lower() == ".json" or (not file.suffix and data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"[")
    headings = _headings(columns)

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    def make() -> UploadedRows:
        if is_json:
            return UploadedRows(chunks(), JSON, JsonRows())
        said = ENCODINGS[encoding.lower()] if encoding else None
        sheet = CsvRows(said, **_named(headings)) if headings else CsvRows(said)
        return UploadedRows(chunks(), CSV, sheet)

    return make


def _headings(columns: Sequence[str]) -> dict[str, str]:
    """Fields by the headings that stand for them."""
    found = {}
    for column in columns:
        field_name, _, heading = column.partition("=")
        known = known_column(field_name)
        if known is None or not heading.strip():
            raise CommandFailed(f"Write FIELD=HEADING, not {column}.", status=UNUSABLE, code="column")
        found[heading.strip().casefold()] = known
    return found


def _named(headings: Mapping[str, str]) -> dict[str, Any]:
    """How a sheet reads its header when some headings are named: what is known by neither is left out."""

    def known(cell: str) -> str | None:
        return headings.get(cell.strip().casefold()) or known_column(cell)

    def read(cells: Sequence[str]) -> list[str | None]:
        return read_header([known(cell) or "" for cell in cells])

    return {"known": known, "read": read}


@dataclass(slots=True)
class _Import:
    """The work between opening the services and closing them; answers the exit status."""

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
                self.job = await bulk.get(self._wanted(), by=OPERATOR_PRINCIPAL)
            elif (status := await self._look(bulk)) is not None:
                return status
            else:
                self.job = await bulk.start(self.source(), by=OPERATOR_PRINCIPAL, name=self.name)
        except Unreadable as refused:
            hint = " Name columns with --column FIELD=HEADING." if refused.code == "unknown-field" else ""
            raise CommandFailed(refused.detail + hint, status=UNUSABLE, code=refused.code) from refused
        self.job = await self._finish(services, self.job)
        return await self._tell(bulk, self.job)

    def _wanted(self) -> UUID:
        if self.resume is None:
            raise LookupError("no job is named")
        return self.resume

    # ---- looking -----------------------------------------------------------------------------------------------------

    async def _look(self, bulk: BulkJobs) -> int | None:
        """Show the verdicts and ask. None: go on; else the exit status."""
        if (self.yes and not self.dry_run) or self.source is None:
            return None
        with ExitStack() as stack:
            verdicts = output.RowResults(stack, self.report if self.dry_run else None, keeps_all=self.as_json)
            async for rows in bulk.preview_rows(self.source(), by=OPERATOR_PRINCIPAL):
                verdicts.add(rows)
        if self.dry_run and self.as_json:
            click.echo(output.foreseen_as_json(verdicts))
        else:
            output.show_foreseen(verdicts)
        if self.dry_run:
            return FAILED if verdicts.refused else 0
        if not verdicts.creates:
            note("Nobody is left to invite.")
            return FAILED if verdicts.refused else 0
        if not click.confirm(f"Invite {verdicts.creates} of {verdicts.counts.total()}?", err=True):
            raise CommandFailed("Nothing was changed.", code="not-confirmed")
        return None

    # ---- working -----------------------------------------------------------------------------------------------------

    async def _finish(self, services: Services, job: Job) -> Job:
        """Watch the job to its end, and work on it where nobody else does."""
        stop, working = asyncio.Event(), None
        watched = _Watched(job)
        try:
            with progress("Inviting", job.total or 0, done=job.done, quiet=self.as_json) as advance:
                while not job.state.is_finished:
                    if working is None and (self.here or watched.is_left_alone(job)):
                        working = asyncio.create_task(_work(services, stop))
                    await asyncio.sleep(POLL_SECONDS)
                    before, job = job, await services.invitations.bulk.get(job.id, by=OPERATOR_PRINCIPAL)
                    self.job = job
                    advance(job.done - before.done)
        finally:
            stop.set()
            if working is not None:
                await working  # the batch under way is finished, and the rest given back
        return job

    async def _tell(self, bulk: BulkJobs, job: Job) -> int:

        with ExitStack() as stack:
            verdicts = output.RowResults(stack, self.report, keeps_all=False)
            async for rows in bulk.all_rows(job):
                verdicts.add(rows)
        if self.as_json:
            click.echo(output.job_as_json(job, verdicts))
        else:
            output.show_job(job, verdicts)
        return 0 if job.state == "DONE" and not job.refused else FAILED

    def say_goodbye(self) -> None:
        """What to do after Ctrl-C."""
        if self.job is None:
            note("Left. Nothing was changed.")
            return
        note(f"Left with {self.job.done} of {self.job.total} rows done. A running worker goes on, and so does")
        note(f"  {_command()} import --resume {self.job.id}")


def _command() -> str:
    """How the command was called, to be called again."""
    context = click.get_current_context(silent=True)
    config = context.find_root().params.get("config_path") if context else None
    return f"latchstring --config {config}" if config else "latchstring"


@dataclass(slots=True)
class _Watched:
    """Whether anybody works on a job: told by whether it moves."""

    job: Job
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def is_left_alone(self, job: Job) -> bool:
        now = asyncio.get_running_loop().time()
        if (job.state, job.done) != (self.job.state, self.job.done):
            self.job, self.since = job, now
        return now - self.since > (PATIENCE_SECONDS if job.state == "QUEUED" else LEASE_SECONDS)


async def _work(services: Services, stop: asyncio.Event) -> None:
    """Work on jobs as a worker does, until told to stop."""
    parts: Any = JobDependencies(
        db=services.db, clock=services.clock, kinds=services.invitations.job_kinds, wake_event=Notifiable()
    )
    await JobWorker(parts).run(stop)
