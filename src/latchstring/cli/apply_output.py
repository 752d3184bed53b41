"""Showing the plan of a list and what became of it."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latchstring.cli.declared_list import DeclaredList
from latchstring.formats.content_grants import format_content_grant
from latchstring.invitations.declarative.apply import ApplyResult
from latchstring.invitations.declarative.plan import EntryState, Plan, PlannedAction, PlannedChange

MOST_SHOWN = 200  # nobody reads more in a terminal; --json has them all
_SIGNS = {
    PlannedAction.CREATE: ("+", "create", "green"),
    PlannedAction.RENEW: ("~", "renew", "yellow"),
    PlannedAction.REVOKE: ("-", "revoke", "red"),
    PlannedAction.ENDED: ("!", "ended", "magenta"),
    PlannedAction.ORPHANED: ("?", "left over", "magenta"),
}
_SHOWN_FIRST = (
    PlannedAction.REVOKE,
    PlannedAction.CREATE,
    PlannedAction.RENEW,
    PlannedAction.ENDED,
    PlannedAction.ORPHANED,
)
_WHY = {
    EntryState.NOTHING: "not invited yet",
    EntryState.EXPIRED: "the link has run out",
    EntryState.NO_LONGER_HELD: "accepted, but holds less by now",
    EntryState.DECLINED: "the person declined",
    EntryState.REVOKED: "withdrawn by somebody",
    EntryState.PRUNED: "back in the list",
    EntryState.PENDING: "not in the list any more",
}
_NAMES = {PlannedAction.KEEP: "unchanged", PlannedAction.ORPHANED: "leftOver"}


def show_plan(plan: Plan, declared: DeclaredList) -> None:
    """The plan as a table, its counts, and what it waits for."""
    console = Console(highlight=False)
    items = sorted(
        (item for item in plan.items if item.action is not PlannedAction.KEEP),
        key=lambda item: _SHOWN_FIRST.index(item.action),
    )
    if items:
        console.print(_table(items[:MOST_SHOWN]))
    if len(items) > MOST_SHOWN:
        console.print(f"… and {len(items) - MOST_SHOWN} more; --json lists all.")
    console.print(_counts(plan))
    for sentence in _hints(plan, declared):
        console.print(sentence, soft_wrap=True)


def _table(items: Iterable[PlannedChange]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "E-mail", "Grants", "Why"):
        table.add_column(heading, overflow="fold")
    for item in items:
        sign, word, colour = _SIGNS[item.action]
        why = "not in the list any more" if item.entry is None else _WHY[item.state]
        table.add_row(Text(f"{sign} {word}", colour), Text(item.email), Text(_grants(item)), Text(why))
    return table


def _grants(item: PlannedChange) -> str:
    if item.entry is None:
        return ""
    bundle = item.entry.bundle
    words = [f"role {bundle.role}"] if bundle.role else []
    words += [f"group {grant.target_key}" for grant in bundle.groups]
    words += [
        format_content_grant(g.target_type or "", g.target_key, g.role.name if g.role else "") for g in bundle.content
    ]
    return ", ".join(words)


def _counts(plan: Plan) -> Text:
    signs = (
        ("+", PlannedAction.CREATE, "to create"),
        ("~", PlannedAction.RENEW, "to renew"),
        ("-", PlannedAction.REVOKE, "to revoke"),
    )
    parts = [f"{sign} {plan.count(act)} {words}" for sign, act, words in signs]
    return Text(", ".join([*parts, f"= {plan.count(PlannedAction.KEEP)} unchanged"]), "bold")


def _hints(plan: Plan, declared: DeclaredList) -> Iterable[str]:
    if ended := plan.count(PlannedAction.ENDED):
        yield f"! {ended} ended by a person, and left alone. --again invites them anew."
    if left := plan.count(PlannedAction.ORPHANED):
        yield f"? {left} made by the list {declared.name} and not in it any more. --prune withdraws them."
    if plan.is_empty:
        yield "Nothing to do."


def show_outcomes(outcomes: Sequence[ApplyResult]) -> None:
    """What was done, and each change that failed with its reason."""
    console = Console(highlight=False)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    done = sum(outcome.invitation_id is not None for outcome in outcomes)
    colour = "bold red" if failed else "bold green"
    console.print(Text(f"{done} done, {len(failed)} failed.", colour))
    for outcome in failed[:MOST_SHOWN]:
        detail = outcome.error.detail or outcome.error.code if outcome.error else ""
        console.print(Text(f"  {outcome.planned.email}: {detail}"), soft_wrap=True)
    if failed:
        console.print("Apply the list again when this is mended: what is done stays done.")


def as_json(plan: Plan, declared: DeclaredList, outcomes: Sequence[ApplyResult] | None) -> str:
    """Plan and outcomes as one object. outcomes: None when nothing was to be changed."""
    counts = {_NAMES.get(act, act.value): plan.count(act) for act in PlannedAction}
    result: dict[str, Any] = {
        "list": declared.name,
        "empty": plan.is_empty,
        "counts": counts,
        "plan": [_item(item, declared) for item in plan.items if item.action is not PlannedAction.KEEP],
        "results": None if outcomes is None else [_result(outcome) for outcome in outcomes],
    }
    return json.dumps(result, ensure_ascii=False)


def _item(item: PlannedChange, declared: DeclaredList) -> dict[str, Any]:
    bundle = item.entry.bundle if item.entry else None
    return {
        "action": _NAMES.get(item.action, item.action.value),
        "found": item.state.value,
        "inviteEmail": item.email,
        "line": declared.locations[item.entry.index].line if item.entry else None,
        "role": bundle.role if bundle else None,
        "groups": [grant.target_key for grant in bundle.groups] if bundle else [],
        "content": [
            {"contentType": g.target_type, "key": g.target_key, "role": g.role.name if g.role else None}
            for g in (bundle.content if bundle else ())
        ],
        "id": str(item.invitation.id) if item.invitation else None,
    }


def _result(outcome: ApplyResult) -> dict[str, Any]:
    error = outcome.error
    return {
        "action": outcome.planned.action.value,
        "inviteEmail": outcome.planned.email,
        "id": str(outcome.invitation_id) if outcome.invitation_id else None,
        "code": error.code if error else None,
        "detail": (error.detail or None) if error else None,
    }
