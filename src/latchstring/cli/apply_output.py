"""Shows the plan of a list and the results of its changes."""

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

MAX_ROWS = 200  # in a terminal; --json has all
_SIGNS = {
    PlannedAction.CREATE: ("+", "create", "green"),
    PlannedAction.RENEW: ("~", "renew", "yellow"),
    PlannedAction.REVOKE: ("-", "revoke", "red"),
    PlannedAction.ENDED: ("!", "ended", "magenta"),
    PlannedAction.ORPHANED: ("?", "left over", "magenta"),
}
_ACTION_ORDER = (
    PlannedAction.REVOKE,
    PlannedAction.CREATE,
    PlannedAction.RENEW,
    PlannedAction.ENDED,
    PlannedAction.ORPHANED,
)
_REASONS = {
    EntryState.NOTHING: "not invited yet",
    EntryState.EXPIRED: "the link has expired",
    EntryState.NO_LONGER_HELD: "accepted, but has less now",
    EntryState.DECLINED: "the person declined",
    EntryState.REVOKED: "revoked by somebody",
    EntryState.PRUNED: "back in the list",
    EntryState.PENDING: "no longer in the list",
}
_NAMES = {PlannedAction.KEEP: "unchanged", PlannedAction.ORPHANED: "leftOver"}


def show_plan(plan: Plan, declared_list: DeclaredList) -> None:
    """Print the plan as a table, its counts, and hints about options."""
    console = Console(highlight=False)
    items = sorted(
        (item for item in plan.items if item.action is not PlannedAction.KEEP),
        key=lambda item: _ACTION_ORDER.index(item.action),
    )
    if items:
        console.print(_table(items[:MAX_ROWS]))
    if len(items) > MAX_ROWS:
        console.print(f"… and {len(items) - MAX_ROWS} more; --json lists all.")
    console.print(_counts(plan))
    for hint in _hints(plan, declared_list):
        console.print(hint, soft_wrap=True)


def _table(items: Iterable[PlannedChange]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "E-mail", "Grants", "Why"):
        table.add_column(heading, overflow="fold")
    for item in items:
        sign, label, colour = _SIGNS[item.action]
        reason = "no longer in the list" if item.entry is None else _REASONS[item.state]
        table.add_row(Text(f"{sign} {label}", colour), Text(item.email), Text(_grants(item)), Text(reason))
    return table


def _grants(item: PlannedChange) -> str:
    if item.entry is None:
        return ""
    bundle = item.entry.bundle
    grants = [f"role {bundle.role}"] if bundle.role else []
    grants += [f"group {grant.target_key}" for grant in bundle.groups]
    grants += [
        format_content_grant(g.target_type or "", g.target_key, g.role.name if g.role else "") for g in bundle.content
    ]
    return ", ".join(grants)


def _counts(plan: Plan) -> Text:
    signs = (
        ("+", PlannedAction.CREATE, "to create"),
        ("~", PlannedAction.RENEW, "to renew"),
        ("-", PlannedAction.REVOKE, "to revoke"),
    )
    counts = [f"{sign} {plan.count(action)} {label}" for sign, action, label in signs]
    return Text(", ".join([*counts, f"= {plan.count(PlannedAction.KEEP)} unchanged"]), "bold")


def _hints(plan: Plan, declared_list: DeclaredList) -> Iterable[str]:
    if ended := plan.count(PlannedAction.ENDED):
        yield f"! {ended} declined or revoked, and left unchanged. --again invites them again."
    if orphaned := plan.count(PlannedAction.ORPHANED):
        yield f"? {orphaned} created by the list {declared_list.name} and no longer in it. --prune revokes them."
    if plan.is_empty:
        yield "Nothing to do."


def show_results(results: Sequence[ApplyResult]) -> None:
    """Print how many changes were made, and each failed change with its reason."""
    console = Console(highlight=False)
    failed = [result for result in results if result.error is not None]
    done = sum(result.invitation_id is not None for result in results)
    colour = "bold red" if failed else "bold green"
    console.print(Text(f"{done} done, {len(failed)} failed.", colour))
    for result in failed[:MAX_ROWS]:
        detail = result.error.detail or result.error.code if result.error else ""
        console.print(Text(f"  {result.planned.email}: {detail}"), soft_wrap=True)
    if failed:
        console.print("Fix this and apply the list again. Changes that were made stay.")


def as_json(plan: Plan, declared_list: DeclaredList, results: Sequence[ApplyResult] | None) -> str:
    """Plan and results as a JSON object. results: None if no change was made."""
    counts = {_NAMES.get(action, action.value): plan.count(action) for action in PlannedAction}
    document: dict[str, Any] = {
        "list": declared_list.name,
        "empty": plan.is_empty,
        "counts": counts,
        "plan": [_item(item, declared_list) for item in plan.items if item.action is not PlannedAction.KEEP],
        "results": None if results is None else [_result(result) for result in results],
    }
    return json.dumps(document, ensure_ascii=False)


def _item(item: PlannedChange, declared_list: DeclaredList) -> dict[str, Any]:
    bundle = item.entry.bundle if item.entry else None
    return {
        "action": _NAMES.get(item.action, item.action.value),
        "found": item.state.value,
        "inviteEmail": item.email,
        "line": declared_list.locations[item.entry.index].line if item.entry else None,
        "role": bundle.role if bundle else None,
        "groups": [grant.target_key for grant in bundle.groups] if bundle else [],
        "content": [
            {"contentType": g.target_type, "key": g.target_key, "role": g.role.name if g.role else None}
            for g in (bundle.content if bundle else ())
        ],
        "id": str(item.invitation.id) if item.invitation else None,
    }


def _result(result: ApplyResult) -> dict[str, Any]:
    error = result.error
    return {
        "action": result.planned.action.value,
        "inviteEmail": result.planned.email,
        "id": str(result.invitation_id) if result.invitation_id else None,
        "code": error.code if error else None,
        "detail": (error.detail or None) if error else None,
    }
