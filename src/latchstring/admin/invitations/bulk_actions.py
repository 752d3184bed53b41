"""Bulk actions on invitations, selected ones or all that match: dry run, confirmation, execution."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.formatting import get_formats
from latchstring.admin.invitations.entry import resend_refusal_key
from latchstring.admin.invitations.list import SELECTION, WRITE, build_filter, export_rows
from latchstring.admin.invitations.list_url import LIST, YEARS, ListUrl, clean_list_url, parse_list_url
from latchstring.admin.pagination import parse_id
from latchstring.admin.routing import get, post
from latchstring.domain.errors import (
    AlreadyInvited,
    ChangedMeanwhile,
    GrantNotAllowed,
    InvitationNotFound,
    InvitationNotPending,
    Unreadable,
)
from latchstring.domain.ids import NIL_ID
from latchstring.http.responses import Answer
from latchstring.invitations.bulk.actions import (
    MAX_INVITATIONS,
    BulkAction,
    BulkActionResult,
    DryRun,
    Selection,
    SelectionChanged,
    TooManySelected,
)
from latchstring.pages.forms import PageForm

APPLY = f"{SELECTION}/do"
READ = "invitations:read"
EXPORT = "export"
MAX_SELECTED = 200
MAX_COUNT_DIGITS = 9  # digits
SURPRISES = (
    BulkActionResult.TOO_MANY,
    BulkActionResult.CHANGED,
    BulkActionResult.BUSY,
    BulkActionResult.ALREADY_INVITED,
    BulkActionResult.NOT_ALLOWED,
)


class SelectedForm(PageForm):
    """The form of the list: a button for the selected rows, or a button in the menu of a row."""

    repeated: ClassVar[frozenset[str]] = frozenset({"id"})
    max_fields: ClassVar[int] = MAX_SELECTED + 8

    bulk: str = ""
    resend: str = ""
    view: str = ""


class ConfirmedForm(PageForm):
    """The form of a dry run: the selection, the action, and the digest of the dry run."""

    repeated: ClassVar[frozenset[str]] = frozenset({"id"})
    max_fields: ClassVar[int] = MAX_SELECTED + 8

    bulk_action: str = ""
    digest: str = ""
    view: str = ""
    shown_count: str = ""
    as_of: str = ""


# ---- selected rows ---------------------------------------------------------------------------------------------------


@post(SELECTION, needs=READ)
async def handle_selected(panel: Panel) -> Answer:
    """Show a dry run for the selected rows, export them, or resend one row immediately."""
    sent = await panel.read_form(SelectedForm)
    view = parse_list_url(sent.typed.get("view", ""))
    if resend_id := sent.typed.get("resend"):
        return await _resend_one(panel, view, parse_id(resend_id))
    ids = _parse_ids(sent.ticked.get("id", ()))
    bulk = sent.typed.get("bulk", "")
    if not ids:
        return panel.redirect(view.address, flash=flash(panel, "nothing-selected", is_bad=True))
    if bulk == EXPORT:
        rows = await panel.services.invitations.panel_lists.find_rows(ids, by=panel.principal)
        return await export_rows(panel, view, rows)
    return await _show_dry_run(panel, _parse_action(bulk), Selection(ids=ids), view)


async def _resend_one(panel: Panel, view: ListUrl, invitation_id: UUID) -> Answer:
    """Resend one row without a dry run: same messages as the page of the invitation, then back to the list."""
    panel.principal.require(WRITE)
    try:
        resent = await panel.services.invitations.resend(invitation_id, by=panel.principal)
    except (InvitationNotPending, InvitationNotFound, AlreadyInvited, GrantNotAllowed) as error:
        return panel.redirect(view.address, flash=flash(panel, resend_refusal_key(error), is_bad=True))
    return panel.redirect(view.address, flash=flash(panel, "invitation-resent-to", email=resent.invitation.email))


# ---- all matching invitations ----------------------------------------------------------------------------------------


@get(SELECTION, needs=WRITE)
async def show_all_matching(panel: Panel) -> Answer:
    """All invitations that match a view: the choice of an action, or its dry run."""
    view, as_of = clean_list_url(panel.query), _parse_instant(panel.query_value("asOf")) or panel.now
    selection = await _all_matching(panel, view, as_of)
    shown_count = panel.query_value("shownCount")
    if panel.query_value("bulkAction"):
        return await _show_dry_run(
            panel, _parse_action(panel.query_value("bulkAction")), selection, view, shown_count=shown_count, as_of=as_of
        )
    try:
        total = await panel.services.invitations.bulk_actions.count(selection, by=panel.principal)
    except TooManySelected:
        return _too_many(panel, view)
    return panel.show(
        "invitations/all_matching.html",
        view=view,
        total=total,
        action_urls={action.value: _action_url(view, action, shown_count, as_of) for action in BulkAction},
        export=view.url_for(f"{LIST}/export.csv"),
        n=get_formats(panel.locale),
    )


def _action_url(view: ListUrl, action: BulkAction, shown_count: str, as_of: datetime) -> str:
    return view.url_for(SELECTION, bulkAction=action.value, shownCount=shown_count, asOf=as_of.isoformat())


async def _all_matching(panel: Panel, view: ListUrl, as_of: datetime) -> Selection:
    """All matching invitations created before as_of, the instant of the list; "within" counts from it as well."""
    return Selection(filters=await build_filter(panel, view, now=as_of), as_of=as_of)


# ---- dry run ---------------------------------------------------------------------------------------------------------


async def _show_dry_run(  # noqa: PLR0917  # everything that identifies a dry run
    panel: Panel,
    action: BulkAction,
    selection: Selection,
    view: ListUrl,
    shown_count: str = "",
    as_of: datetime | None = None,
) -> Answer:
    try:
        run = await panel.services.invitations.bulk_actions.plan(action, selection, by=panel.principal)
    except TooManySelected:
        return _too_many(panel, view)
    return _show_run(panel, run, selection, view, shown_count=shown_count, as_of=as_of)


def _show_run(
    panel: Panel,
    run: DryRun,
    selection: Selection,
    view: ListUrl,
    *,
    shown_count: str = "",
    as_of: datetime | None = None,
    changed: bool = False,
) -> Answer:
    """The result of the dry run, to be confirmed. changed: it was confirmed, but the result is different now."""
    skipped = {result: count for result, count in run.counts.items() if result is not BulkActionResult.DONE}
    return panel.show(
        "invitations/dry_run.html",
        status=409 if changed else 200,
        code=ChangedMeanwhile.code if changed else "",
        run=run,
        done=run.counts.get(BulkActionResult.DONE, 0),
        first_done=run.first(BulkActionResult.DONE),
        skipped=[(result.value, count, run.first(result)) for result, count in sorted(skipped.items())],
        ids=selection.ids,
        view=view,
        shown_count=shown_count,
        as_of=as_of.isoformat() if as_of else "",
        is_moved=_is_count(shown_count) and int(shown_count) != len(run.rows),
        changed=changed,
        apply_url=APPLY,
        mail_is_off=panel.services.mail_rules.is_off,
        n=get_formats(panel.locale),
    )


def _too_many(panel: Panel, view: ListUrl) -> Answer:
    return panel.show(
        "invitations/too_many.html",
        status=409,
        code="too-many-selected",
        view=view,
        most=MAX_INVITATIONS,
        n=get_formats(panel.locale),
    )


@post(APPLY, needs=WRITE)
async def apply_action(panel: Panel) -> Answer:
    """Apply the action if its dry run has not changed."""
    sent = await panel.read_form(ConfirmedForm)
    typed = sent.typed
    view, as_of = parse_list_url(typed.get("view", "")), _parse_instant(typed.get("asOf", ""))
    ids, action = _parse_ids(sent.ticked.get("id", ())), _parse_action(typed.get("bulkAction", ""))
    selection = Selection(ids=ids) if as_of is None else await _all_matching(panel, view, as_of)
    try:
        counts = await panel.services.invitations.bulk_actions.carry_out(
            action,
            selection,
            typed.get("digest", ""),
            by=panel.principal,
        )
    except SelectionChanged as error:
        return _show_run(
            panel, error.now, selection, view, shown_count=typed.get("shownCount", ""), as_of=as_of, changed=True
        )
    except TooManySelected:
        return _too_many(panel, view)
    done = counts.get(BulkActionResult.DONE, 0)
    message = flash(
        panel,
        "invitations-resent" if action is BulkAction.RESEND else "invitations-revoked",
        done=done,
        left=sum(counts.values()) - done,
        surprises={result.value: counts[result] for result in SURPRISES if counts.get(result)},
        is_bad=not done,
    )
    return panel.redirect(view.address, flash=message)


# ---- parsing ---------------------------------------------------------------------------------------------------------


def _parse_ids(texts: tuple[str, ...]) -> list[UUID]:
    ids = [parse_id(text) for text in texts]
    return [id_ for id_ in ids if id_ != NIL_ID]


def _parse_action(text: str) -> BulkAction:
    if text not in set(BulkAction):
        raise Unreadable("There is no such action.", code="invalid-query")
    return BulkAction(text)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_COUNT_DIGITS


def _parse_instant(text: str) -> datetime | None:
    """An instant from a URL; None if it is invalid, has no time zone or is out of range."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo and instant.year in YEARS else None


routes = [handle_selected, show_all_matching, apply_action]
