"""`latchstring apply`: compares a declared list of invitations with the database and makes the missing changes.

Exit statuses: 0 done, or nothing to do; 1 rejected, not confirmed, or some changes failed. With --check: 0 nothing to
do, 2 changes needed, 1 any error.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click
from click.exceptions import Exit

from latchstring.cli import apply_output as output
from latchstring.cli.declared_list import DeclaredList, FileProblem, ListRefused, read_csv_list, read_yaml_list
from latchstring.cli.failures import FAILED, UNUSABLE, CommandFailed
from latchstring.cli.input_files import file_type, read_bytes, require_confirmation
from latchstring.cli.options import KEY, json_option
from latchstring.cli.progress import progress
from latchstring.cli.with_services import with_services
from latchstring.domain.errors import InvalidFields
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.invitations.declarative.apply import ApplyResult
from latchstring.invitations.declarative.plan import Plan
from latchstring.services import Services

CHANGES_NEEDED = 2
CONFIRMATION_HINT = "--yes to make the changes of the plan, or --check to show it"


@click.command()
@click.argument("file", type=file_type, metavar="FILE")
@click.option("--check", is_flag=True, help="Change nothing; exit with status 2 if there are changes to make.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@click.option("--prune", is_flag=True, help="Revoke invitations of this list that are no longer in it.")
@click.option(
    "--again", is_flag=True, help="Invite again if the invitation was declined or revoked, or its grants were lost."
)
@click.option("--list", "list_name", type=KEY, help="The name of the list, for a CSV file, which has none.")
@json_option
def apply(
    *, file: Path, check: bool, yes: bool, prune: bool, again: bool, list_name: str | None, as_json: bool
) -> None:
    """Make invitations match FILE: YAML, or CSV with a header row; `-` is standard input.

    Missing invitations are created, expired ones are renewed, pending and accepted ones stay unchanged. The plan is
    shown first. Applying a list twice changes nothing the second time.
    """
    require_confirmation(file, is_confirmed=check or yes, as_json=as_json, hint=CONFIRMATION_HINT)
    with _reserve_status_2(when=check):
        declared_list = _read_list(file, list_name)
        if prune and declared_list.name is None:
            raise CommandFailed(
                "--prune revokes invitations by the name of their list, and this list has no name. "
                "Write `list: some-name` at the top of the file, or pass --list some-name.",
                status=UNUSABLE,
                code="list-name-missing",
            )
        apply_list = ApplyCommand(file, declared_list, check=check, yes=yes, prune=prune, again=again, as_json=as_json)
        status = with_services(apply_list)
    if status:
        raise Exit(status)


@contextmanager
def _reserve_status_2(*, when: bool) -> Iterator[None]:
    """End with status 1 instead of 2: with --check, 2 means only that there are changes to make."""
    try:
        yield
    except CommandFailed as failed:
        if when and failed.status == CHANGES_NEEDED:
            failed.status = FAILED
        raise


def _read_list(file: Path, list_name: str | None) -> DeclaredList:
    data = read_bytes(file)
    read = read_csv_list if is_csv(file, data) else read_yaml_list
    try:
        declared_list = read(data)
    except ListRefused as refused:
        raise _refusal(file, refused.problems, refused.unit) from refused
    if list_name and declared_list.name and list_name != declared_list.name:
        message = f"--list is {list_name}, but the file has list: {declared_list.name}."
        raise CommandFailed(message, code="list-name-differs")
    return declared_list.named(list_name or declared_list.name)


def is_csv(file: Path, data: bytes) -> bool:
    """Whether the file is CSV: by its suffix, else by its first line, as a header row has a column `inviteEmail`."""
    if file.suffix:
        return file.suffix.lower() in {".csv", ".tsv", ".txt"}
    head = data[:4096].replace(b"\0", b"").lower().lstrip(b"\xef\xbb\xbf\xff\xfe \r\n").partition(b"\n")[0]
    return b"invite" in head and not head.startswith((b"invitations:", b"list:", b"{", b"#", b"-"))


def _refusal(file: Path, problems: "Sequence[FileProblem]", unit: str) -> CommandFailed:
    name = "Standard input" if str(file) == "-" else str(file)
    problems = sorted(problems, key=lambda problem: problem.line)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"  {_format_location(p, unit)}: {p.detail}" for p in problems]
    json_problems = [{unit: p.line, "field": p.field, "code": p.code, "detail": p.detail} for p in problems]
    text = "\n".join([f"{name} has {count}. Nothing was changed.", "", *lines])
    return CommandFailed(text, code="list-refused", more={"problems": json_problems})


def _format_location(problem: FileProblem, unit: str) -> str:
    location = f"{unit} {problem.line}" if problem.line else "the file"
    return f"{location}, {problem.field}" if problem.field else location


class ApplyCommand:
    """Plans and applies a list with open services. A call returns the exit status."""

    def __init__(self, file: Path, declared_list: DeclaredList, **options: bool) -> None:
        self._file = file
        self._declared_list = declared_list
        self._options = options

    async def __call__(self, services: Services) -> int:
        options, declared_list = self._options, self._declared_list
        try:
            plan = await services.invitations.declared_lists.plan(
                declared_list.drafts,
                by=OPERATOR_PRINCIPAL,
                list_name=declared_list.name,
                again=options["again"],
                prune=options["prune"],
            )
        except InvalidFields as refused:
            problems = [declared_list.problem_of(error) for error in refused.errors]
            raise _refusal(self._file, problems, declared_list.unit) from refused
        if not options["as_json"]:
            output.show_plan(plan, declared_list)
        results: list[ApplyResult] | None = None
        if not plan.is_empty and not options["check"]:
            if not options["yes"] and not click.confirm("Do this?", err=True):
                raise CommandFailed("Nothing was changed.", code="not-confirmed")
            results = await self._carry_out(services, plan)
        if options["as_json"]:
            click.echo(output.as_json(plan, declared_list, results))
        elif results is not None:
            output.show_results(results)
        return self._status(plan, results)

    async def _carry_out(self, services: Services, plan: Plan) -> list[ApplyResult]:
        results: list[Any] = []
        with progress("Applying", len(plan.changes), quiet=self._options["as_json"]) as advance:
            async for result in services.invitations.declared_lists.carry_out(plan, by=OPERATOR_PRINCIPAL):
                results.append(result)
                advance(1)
        return results

    def _status(self, plan: Plan, results: list[ApplyResult] | None) -> int:
        if self._options["check"]:
            return 0 if plan.is_empty else CHANGES_NEEDED
        return FAILED if any(result.error for result in results or ()) else 0
