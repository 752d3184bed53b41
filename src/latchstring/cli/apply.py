"""`latchstring apply`: a declared list of invitations, compared with what is, and what is missing done.

Exit statuses: 0 done, or nothing to do; 1 refused, not confirmed, or some changes failed; with --check 0 for an empty
plan, 2 for one that is not, and 1 for everything that keeps the plan from being made.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click
from click.exceptions import Exit

from latchstring.cli import apply_output as output
from latchstring.cli import declared_list as entries
from latchstring.cli.declared_list import DeclaredList, FileProblem
from latchstring.cli.failures import FAILED, UNUSABLE, CommandFailed
from latchstring.cli.input_files import file_type, read_bytes, require_an_answer
from latchstring.cli.options import KEY, json_option
from latchstring.cli.progress import progress
from latchstring.cli.with_services import with_services
from latchstring.domain.errors import InvalidFields
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.invitations.declarative.apply import ApplyResult
from latchstring.invitations.declarative.plan import Plan
from latchstring.services import Services

CHANGED = 2
OTHERWISE = "--yes to do what the plan says, or --check to see it"


@click.command()
@click.argument("file", type=file_type, metavar="FILE")
@click.option("--check", is_flag=True, help="Change nothing; end with status 2 if there is something to do.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--prune", is_flag=True, help="Withdraw what this list made and does not hold any more.")
@click.option("--again", is_flag=True, help="Invite anew whose invitation a person ended, or who lost what it gave.")
@click.option("--list", "list_name", type=KEY, help="The name of the list, for a CSV file, which cannot say it.")
@json_option
def apply(
    *, file: Path, check: bool, yes: bool, prune: bool, again: bool, list_name: str | None, as_json: bool
) -> None:
    """Bring invitations to what FILE declares: YAML, or CSV with a header row; `-` is standard input.

    Missing ones are made, those that ran out are renewed, and what is pending or accepted is left alone. The plan is
    shown first. Applying twice changes nothing the second time.
    """
    require_an_answer(file, is_settled=check or yes, as_json=as_json, otherwise=OTHERWISE)
    with _status_1_instead_of_2(when=check):
        declared = _read(file, list_name)
        if prune and declared.name is None:
            raise CommandFailed(
                "--prune withdraws what the list of this name made, and this list has none. Write `list: some-name` at "
                "the top of the file, or pass --list some-name.",
                status=UNUSABLE,
                code="list-name-missing",
            )
        work = _Apply(file, declared, check=check, yes=yes, prune=prune, again=again, as_json=as_json)
        status = with_services(work)
    if status:
        raise Exit(status)


@contextmanager
def _status_1_instead_of_2(*, when: bool) -> Iterator[None]:
    """With --check, 2 means that there is something to do, and nothing else."""
    try:
        yield
    except CommandFailed as failed:
        if when and failed.status == CHANGED:
            failed.status = FAILED
        raise


def _read(file: Path, list_name: str | None) -> DeclaredList:

    data = read_bytes(file)
    read = entries.read_csv_list if is_csv(file, data) else entries.read_yaml_list
    try:
        declared = read(data)
    except entries.ListRefused as refused:
        raise _refusal(file, refused.problems, refused.unit) from refused
    if list_name and declared.name and list_name != declared.name:
        raise CommandFailed(f"--list says {list_name}, and the file says {declared.name}.", code="list-name-differs")
    return declared.named(list_name or declared.name)


def is_csv(file: Path, data: bytes) -> bool:
    """By the name of the file; without one by its beginning: the header row of a table names the address."""
    if file.suffix:
        return file.suffix.lower() in {".csv", ".tsv", ".txt"}
    head = data[:4096].replace(b"\0", b"").lower().lstrip(b"\xef\xbb\xbf\xff\xfe \r\n").partition(b"\n")[0]
    return b"invite" in head and not head.startswith((b"invitations:", b"list:", b"{", b"#", b"-"))


def _refusal(file: Path, problems: "Sequence[FileProblem]", unit: str) -> CommandFailed:
    name = "Standard input" if str(file) == "-" else str(file)
    shown = sorted(problems, key=lambda problem: problem.line)
    count = "1 problem" if len(shown) == 1 else f"{len(shown)} problems"
    lines = [f"  {_place(p, unit)}: {p.detail}" for p in shown]
    listed = [{unit: p.line, "field": p.field, "code": p.code, "detail": p.detail} for p in shown]
    text = "\n".join([f"{name} has {count}. Nothing was changed.", "", *lines])
    return CommandFailed(text, code="list-refused", more={"problems": listed})


def _place(problem: FileProblem, unit: str) -> str:
    at = f"{unit} {problem.line}" if problem.line else "the file"
    return f"{at}, {problem.field}" if problem.field else at


class _Apply:
    """The work between opening the services and closing them; answers the exit status."""

    def __init__(self, file: Path, declared: DeclaredList, **options: bool) -> None:
        self._file = file
        self._declared = declared
        self._options = options

    async def __call__(self, services: Services) -> int:

        options, declared = self._options, self._declared
        try:
            plan = await services.invitations.declared_lists.plan(
                declared.drafts,
                by=OPERATOR_PRINCIPAL,
                list_name=declared.name,
                again=options["again"],
                prune=options["prune"],
            )
        except InvalidFields as refused:
            problems = [declared.problem_of(error) for error in refused.errors]
            raise _refusal(self._file, problems, declared.unit) from refused
        if not options["as_json"]:
            output.show_plan(plan, declared)
        outcomes: list[ApplyResult] | None = None
        if not plan.is_empty and not options["check"]:
            if not options["yes"] and not click.confirm("Do this?", err=True):
                raise CommandFailed("Nothing was changed.", code="not-confirmed")
            outcomes = await self._carry_out(services, plan)
        if options["as_json"]:
            click.echo(output.as_json(plan, declared, outcomes))
        elif outcomes is not None:
            output.show_outcomes(outcomes)
        return self._status(plan, outcomes)

    async def _carry_out(self, services: Services, plan: Plan) -> list[ApplyResult]:

        outcomes: list[Any] = []
        with progress("Applying", len(plan.changes), quiet=self._options["as_json"]) as advance:
            async for outcome in services.invitations.declared_lists.carry_out(plan, by=OPERATOR_PRINCIPAL):
                outcomes.append(outcome)
                advance(1)
        return outcomes

    def _status(self, plan: Plan, outcomes: list[ApplyResult] | None) -> int:
        if self._options["check"]:
            return 0 if plan.is_empty else CHANGED
        return FAILED if any(outcome.error for outcome in outcomes or ()) else 0
