"""Doing something to many invitations: ticked ones, or all that match. First shown, then confirmed, then done."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.formatting import numbers_in
from latchstring.admin.invitations.entry import resend_refusal
from latchstring.admin.invitations.list import SELECTION, WRITE, export_rows, wanted_by
from latchstring.admin.invitations.list_url import LIST, YEARS, ListUrl, view_in, view_of
from latchstring.admin.pagination import NOBODY, id_in
from latchstring.admin.routing import get, post
from latchstring.domain.errors import (
    AlreadyInvited,
    ChangedMeanwhile,
    GrantNotAllowed,
    InvitationNotFound,
    InvitationNotPending,
    Unreadable,
)
from latchstring.http.responses import Answer
from latchstring.invitations.bulk.actions import (
    MAX_INVITATIONS,
    BulkAction,
    DryRun,
    RowResult,
    Selection,
    SelectionChanged,
    TooManySelected,
)
from latchstring.pages.forms import PageForm

DO_IT = f"{SELECTION}/do"
READ = "invitations:read"
EXPORT = "export"
MOST_TICKED = 200
LONGEST_COUNT = 9  # digits
SURPRISES = (RowResult.TOO_MANY, RowResult.CHANGED, RowResult.BUSY, RowResult.ALREADY_INVITED, RowResult.NOT_ALLOWED)


class TickedForm(PageForm):
    """What a press in the list sends: a button of the bar with the ticked rows, or one of a row's own menu."""

    repeated: ClassVar[frozenset[str]] = frozenset({"id"})
    most_fields: ClassVar[int] = MOST_TICKED + 8

    bulk: str = ""
    resend: str = ""
    view: str = ""


class ConfirmedForm(PageForm):
    """What a dry run sends on: the same selection, what is to be done, and the digest of what was promised."""

    repeated: ClassVar[frozenset[str]] = frozenset({"id"})
    most_fields: ClassVar[int] = MOST_TICKED + 8

    deed: str = ""
    digest: str = ""
    view: str = ""
    shown: str = ""
    as_of: str = ""


# ---- ticked rows -----------------------------------------------------------------------------------------------------


@post(SELECTION, needs=READ)
async def take_ticked(panel: Panel) -> Answer:
    """A dry run for the ticked rows, their export, or one row sent again at once."""
    sent = await panel.read_form(TickedForm)
    view = view_in(sent.typed.get("view", ""))
    if one := sent.typed.get("resend"):
        return await _resend_one(panel, view, id_in(one))
    ids = _ids(sent.ticked.get("id", ()))
    bulk = sent.typed.get("bulk", "")
    if not ids:
        return panel.redirect(view.address, flash=flash(panel, "nothing-selected", is_bad=True))
    if bulk == EXPORT:
        rows = await panel.services.invitations.panel_lists.find_rows(ids, by=panel.principal)
        return await export_rows(panel, view, rows)
    return await _show_dry_run(panel, _deed(bulk), Selection(ids=ids), view)


async def _resend_one(panel: Panel, view: ListUrl, invitation_id: UUID) -> Answer:
    """A row's own button needs no dry run: it says of one what the entry's page says, and comes back here."""
    panel.principal.require(WRITE)
    try:
        resent = await panel.services.invitations.resend(invitation_id, by=panel.principal)
    except (InvitationNotPending, InvitationNotFound, AlreadyInvited, GrantNotAllowed) as error:
        return panel.redirect(view.address, flash=flash(panel, resend_refusal(error), is_bad=True))
    return panel.redirect(view.address, flash=flash(panel, "invitation-resent-to", email=resent.invitation.email))


# ---- all that match --------------------------------------------------------------------------------------------------


@get(SELECTION, needs=WRITE)
async def show_all_matching(panel: Panel) -> Answer:
    """All that match a view: what can be done with them, or the dry run of it."""
    view, as_of = view_of(panel.query), _instant(panel.query_value("asOf")) or panel.now
    selection = await _all_matching(panel, view, as_of)
    shown = panel.query_value("shown")
    if panel.query_value("deed"):
        return await _show_dry_run(panel, _deed(panel.query_value("deed")), selection, view, shown=shown, as_of=as_of)
    try:
        total = await panel.services.invitations.bulk_actions.count(selection, by=panel.principal)
    except TooManySelected:
        return _too_many(panel, view)
    return panel.show(
        "invitations/all_matching.html",
        view=view,
        total=total,
        shown=shown,
        deeds={deed.value: _address(view, deed, shown, as_of) for deed in BulkAction},
        export=view.at(f"{LIST}/export.csv"),
        n=numbers_in(panel.locale),
    )


def _address(view: ListUrl, deed: BulkAction, shown: str, as_of: datetime) -> str:
    return view.at(SELECTION, deed=deed.value, shown=shown, asOf=as_of.isoformat())


async def _all_matching(panel: Panel, view: ListUrl, as_of: datetime) -> Selection:
    """Made before the page was shown on which somebody chose them; "within" counts from then, too."""
    return Selection(filters=await wanted_by(panel, view, now=as_of), as_of=as_of)


# ---- the dry run -----------------------------------------------------------------------------------------------------


async def _show_dry_run(  # noqa: PLR0917  # what a dry run is about
    panel: Panel, deed: BulkAction, selection: Selection, view: ListUrl, shown: str = "", as_of: datetime | None = None
) -> Answer:
    try:
        run = await panel.services.invitations.bulk_actions.plan(deed, selection, by=panel.principal)
    except TooManySelected:
        return _too_many(panel, view)
    return _show_run(panel, run, selection, view, shown=shown, as_of=as_of)


def _show_run(
    panel: Panel,
    run: DryRun,
    selection: Selection,
    view: ListUrl,
    *,
    shown: str = "",
    as_of: datetime | None = None,
    changed: bool = False,
) -> Answer:
    """The question with what would happen. changed: it was confirmed, but comes out differently now."""
    skipped = {verdict: count for verdict, count in run.counts.items() if verdict is not RowResult.DONE}
    return panel.show(
        "invitations/dry_run.html",
        status=409 if changed else 200,
        code=ChangedMeanwhile.code if changed else "",
        run=run,
        done=run.counts.get(RowResult.DONE, 0),
        first_done=run.first(RowResult.DONE),
        skipped=[(verdict.value, count, run.first(verdict)) for verdict, count in sorted(skipped.items())],
        ids=selection.ids,
        view=view,
        shown=shown,
        as_of=as_of.isoformat() if as_of else "",
        is_moved=_is_count(shown) and int(shown) != len(run.rows),
        changed=changed,
        do_it=DO_IT,
        mail_is_off=panel.services.mail_rules.transport == "off",
        n=numbers_in(panel.locale),
    )


def _too_many(panel: Panel, view: ListUrl) -> Answer:
    return panel.show(
        "invitations/too_many.html",
        status=409,
        code="too-many-selected",
        view=view,
        most=MAX_INVITATIONS,
        n=numbers_in(panel.locale),
    )


@post(DO_IT, needs=WRITE)
async def do_it(panel: Panel) -> Answer:
    """Do what the dry run promised, if it still holds."""
    sent = await panel.read_form(ConfirmedForm)
    typed = sent.typed
    view, as_of = view_in(typed.get("view", "")), _instant(typed.get("asOf", ""))
    ids, deed = _ids(sent.ticked.get("id", ())), _deed(typed.get("deed", ""))
    selection = Selection(ids=ids) if as_of is None else await _all_matching(panel, view, as_of)
    try:
        found = await panel.services.invitations.bulk_actions.carry_out(
            deed,
            selection,
            typed.get("digest", ""),
            by=panel.principal,
        )
    except SelectionChanged as world:
        return _show_run(panel, world.now, selection, view, shown=typed.get("shown", ""), as_of=as_of, changed=True)
    except TooManySelected:
        return _too_many(panel, view)
    done = found.get(RowResult.DONE, 0)
    message = flash(
        panel,
        "invitations-resent" if deed is BulkAction.RESEND else "invitations-revoked",
        done=done,
        left=sum(found.values()) - done,
        surprises={verdict.value: found[verdict] for verdict in SURPRISES if found.get(verdict)},
        is_bad=not done,
    )
    return panel.redirect(view.address, flash=message)


# ---- small things ----------------------------------------------------------------------------------------------------


def _ids(texts: tuple[str, ...]) -> list[UUID]:
    found = [id_in(text) for text in texts]
    return [id_ for id_ in found if id_ != NOBODY]


def _deed(text: str) -> BulkAction:
    if text not in set(BulkAction):
        raise Unreadable("There is no such action.", code="invalid-query")
    return BulkAction(text)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_COUNT


def _instant(text: str) -> datetime | None:
    """An instant of ours in an address; nothing for anything else, and for none that any list could be of."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo and found.year in YEARS else None


routes = [take_ticked, show_all_matching, do_it]
