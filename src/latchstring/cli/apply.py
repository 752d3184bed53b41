"""`latchstring apply`: a declared list of invitations, compared with what is, and what is missing done.

Exit statuses: 0 done, or nothing to do; 1 refused, not confirmed, or some changes failed; with --check 0 for an empty
plan, 2 for one that is not, and 1 for everything that keeps the plan from being made.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from latchstring.cli.options import KEY, json_option
from latchstring.cli.running import FAILED, UNUSABLE, CommandFailed, with_services
from latchstring.domain.principal import OPERATOR_PRINCIPAL

if TYPE_CHECKING:
    from latchstring.cli.entries import Declared, FileProblem
    from latchstring.invitations.applying import Plan
    from latchstring.invitations.lists import Outcome
    from latchstring.web.services import Services

LARGEST_FILE = 64 * 1024 * 1024  # the contract's bound of a bulk upload
CHANGED = 2


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True), metavar="FILE")
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
    _require_an_answer(file, is_settled=check or yes, as_json=as_json)
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


def _require_an_answer(file: Path, *, is_settled: bool, as_json: bool) -> None:
    """Somebody has to say yes: on the command line, or at a terminal."""
    if is_settled or (not as_json and str(file) != "-" and sys.stdin.isatty()):
        return
    raise CommandFailed(
        "Nobody can be asked here. Add --yes to do what the plan says, or --check to see it.",
        status=UNUSABLE,
        code="not-confirmed",
    )


@contextmanager
def _status_1_instead_of_2(*, when: bool) -> Iterator[None]:
    """With --check, 2 means that there is something to do, and nothing else."""
    try:
        yield
    except CommandFailed as failed:
        if when and failed.status == CHANGED:
            failed.status = FAILED
        raise


def _read(file: Path, list_name: str | None) -> "Declared":
    from latchstring.cli import entries  # noqa: PLC0415  # `--help` need not wait for it

    data = _bytes_of(file)
    try:
        declared = entries.read_yaml_list(data)
    except entries.ListRefused as refused:
        raise _refusal(file, refused.problems) from refused
    if list_name and declared.name and list_name != declared.name:
        raise CommandFailed(f"--list says {list_name}, and the file says {declared.name}.", code="list-name-differs")
    return declared.named(list_name or declared.name)


def _bytes_of(file: Path) -> bytes:
    with click.open_file(str(file), "rb") as source:
        data = source.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise CommandFailed("The file has more than 64 MiB. Split it.", code="file-too-large")
    return bytes(data)


def _refusal(file: Path, problems: "tuple[FileProblem, ...] | list[FileProblem]") -> CommandFailed:
    name = "Standard input" if str(file) == "-" else str(file)
    shown = sorted(problems, key=lambda problem: problem.line)
    count = "1 problem" if len(shown) == 1 else f"{len(shown)} problems"
    lines = [f"  line {p.line}{', ' + p.field if p.field else ''}: {p.detail}" for p in shown]
    listed = [{"line": p.line, "field": p.field, "code": p.code, "detail": p.detail} for p in shown]
    text = "\n".join([f"{name} has {count}. Nothing was changed.", "", *lines])
    return CommandFailed(text, code="list-refused", more={"problems": listed})


class _Apply:
    """The work between opening the services and closing them; answers the exit status."""

    def __init__(self, file: Path, declared: "Declared", **options: bool) -> None:
        self._file = file
        self._declared = declared
        self._options = options

    async def __call__(self, services: "Services") -> int:
        from latchstring.cli import apply_output as output  # noqa: PLC0415  # loads rich
        from latchstring.domain.errors import InvalidFields  # noqa: PLC0415

        options, declared = self._options, self._declared
        try:
            plan = await services.invitations.lists.plan(
                declared.drafts,
                by=OPERATOR_PRINCIPAL,
                list_name=declared.name,
                again=options["again"],
                prune=options["prune"],
            )
        except InvalidFields as refused:
            raise _refusal(self._file, [declared.problem_of(error) for error in refused.errors]) from refused
        if not options["as_json"]:
            output.show_plan(plan, declared)
        outcomes: list[Outcome] | None = None
        if not plan.is_empty and not options["check"]:
            if not options["yes"] and not click.confirm("Do this?", err=True):
                raise CommandFailed("Nothing was changed.", code="not-confirmed")
            outcomes = await self._carry_out(services, plan)
        if options["as_json"]:
            click.echo(output.as_json(plan, declared, outcomes))
        elif outcomes is not None:
            output.show_outcomes(outcomes)
        return self._status(plan, outcomes)

    async def _carry_out(self, services: "Services", plan: "Plan") -> "list[Outcome]":
        from latchstring.cli.progress import progress  # noqa: PLC0415  # loads rich

        outcomes: list[Any] = []
        with progress("Applying", len(plan.changes), quiet=self._options["as_json"]) as advance:
            async for outcome in services.invitations.lists.carry_out(plan, by=OPERATOR_PRINCIPAL):
                outcomes.append(outcome)
                advance(1)
        return outcomes

    def _status(self, plan: "Plan", outcomes: "list[Outcome] | None") -> int:
        if self._options["check"]:
            return 0 if plan.is_empty else CHANGED
        return FAILED if any(outcome.error for outcome in outcomes or ()) else 0
