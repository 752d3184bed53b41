"""Saved views of the list of invitations. Each administrator has their own."""

from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.invitations.list import READ, VIEWS
from latchstring.admin.invitations.list_url import ListUrl, clean_list_url, parse_list_url
from latchstring.admin.pagination import parse_id
from latchstring.admin.routing import get, post
from latchstring.domain.errors import InvalidFields
from latchstring.formats.field_types import Line
from latchstring.http.responses import Answer
from latchstring.pages.forms import FormState, PageForm

RENAME, DELETE = f"{VIEWS}/rename", f"{VIEWS}/delete"


class ViewForm(PageForm, kw_only=True):
    """A name for the view of a list."""

    name: Line
    view: str = ""


class RenameForm(PageForm, kw_only=True):
    """A new name for a view."""

    name: Line
    id: str = ""


class DeleteForm(PageForm):
    """A view to delete."""

    id: str = ""


@get(VIEWS, needs=READ)
async def show_views(panel: Panel) -> Answer:
    """A form to save the current view, and the saved views."""
    return await _show(panel, clean_list_url(panel.query))


async def _show(panel: Panel, view: ListUrl, form: FormState | None = None) -> Answer:
    saved = await panel.services.invitations.panel_lists.list_views(panel.me.id)
    return panel.show(
        "invitations/saved_views.html",
        status=422 if form else 200,
        code=InvalidFields.code if form else "",
        form=form,
        view=view,
        saved=[(view_row, parse_list_url(view_row.query).address) for view_row in saved],
        paths={"save": VIEWS, "rename": RENAME, "delete": DELETE},
    )


@post(VIEWS, needs=READ)
async def save_view(panel: Panel) -> Answer:
    sent = await panel.read_form(ViewForm)
    view = parse_list_url(sent.typed.get("view", ""))
    try:
        form = sent.finish()
    except InvalidFields as error:
        return await _show(panel, view, sent.refused(error))
    is_saved = await panel.services.invitations.panel_lists.save_view(panel.me.id, form.name, view.query)
    if not is_saved:
        return await _show(panel, view, sent.with_problem("name", "too-many-views"))
    return panel.redirect(view.address, flash=flash(panel, "view-saved", name=form.name))


@post(RENAME, needs=READ)
async def rename_view(panel: Panel) -> Answer:
    sent = await panel.read_form(RenameForm)
    name, id_ = sent.get("name"), parse_id(sent.typed.get("id", ""))
    if name is None or not await _rename(panel, id_, name):
        return panel.redirect(VIEWS, flash=flash(panel, "view-not-renamed", is_bad=True))
    return panel.redirect(VIEWS, flash=flash(panel, "view-renamed", name=name))


async def _rename(panel: Panel, view_id: UUID, name: str) -> bool:
    return await panel.services.invitations.panel_lists.rename_view(panel.me.id, view_id, name)


@post(DELETE, needs=READ)
async def delete_view(panel: Panel) -> Answer:
    sent = await panel.read_form(DeleteForm)
    name = await panel.services.invitations.panel_lists.delete_view(panel.me.id, parse_id(sent.typed.get("id", "")))
    if name is None:
        return panel.redirect(VIEWS, flash=flash(panel, "view-gone", is_bad=True))
    return panel.redirect(VIEWS, flash=flash(panel, "view-deleted", name=name))


routes = [show_views, save_view, rename_view, delete_view]
