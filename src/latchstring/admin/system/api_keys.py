"""Keys of backends: listed, made, shown once, revoked."""

from datetime import UTC, datetime, time
from typing import Any, ClassVar, Literal

from latchstring.admin.choices import group_choices
from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.pagination import NOBODY, PAGE_SIZE, cursor_of, id_in, page_links
from latchstring.admin.routing import get, post
from latchstring.domain.api_key import ApiKey
from latchstring.domain.errors import ApiKeyNotFound, FieldProblem, GrantNotAllowed, InvalidFields
from latchstring.domain.pagination import SortOrder
from latchstring.domain.principal import APP_PERMISSION_PREFIX, EVERYTHING, PERMISSIONS
from latchstring.formats.field_types import Line
from latchstring.http.responses import Answer
from latchstring.pages.forms import FormState, PageForm, SentForm
from latchstring.users.api_keys import CreatedApiKey

NEEDS = "api-keys:write"
LIST = "/admin/api-keys"
NEW = f"{LIST}/new"
ENTRY = f"{LIST}/{{api_key:str}}"
NEWEST_FIRST = SortOrder("createdAt", descending=True)


class NewKeyForm(PageForm):
    """A key to make. scopes, grants and groups as ticked; own_scopes: `app:` names, separated by blanks or commas."""

    repeated: ClassVar[frozenset[str]] = frozenset({"scopes", "mayGrant", "mayGrantGroups"})
    most_fields: ClassVar[int] = 512

    name: Line | None = None
    scopes: tuple[str, ...] = ()
    own_scopes: str = ""
    may_grant: tuple[str, ...] = ()
    may_grant_groups: tuple[str, ...] = ()
    expires_on: str = ""


class RevokeForm(PageForm, kw_only=True):
    """The end of a key. invitations: what becomes of those it has sent and nobody has answered."""

    invitations: Literal["keep", "end"]


@get(LIST, needs=NEEDS)
async def show_keys(panel: Panel) -> Answer:
    """The keys in force, newest first."""
    page = await panel.services.users.api_keys.list_page(
        order=NEWEST_FIRST, cursor=cursor_of(panel, "keys"), limit=PAGE_SIZE
    )
    return panel.show(
        "system/api_keys.html",
        keys=page.items,
        makers=await panel.services.users.api_keys.find_creators(page.items),
        links=page_links(panel, "keys", page),
        roles=panel.services.roles,
    )


# ---- making ----------------------------------------------------------------------------------------------------------


@get(NEW, needs=NEEDS)
async def show_new_key(panel: Panel) -> Answer:
    return await _show_new(panel)


async def _show_new(panel: Panel, form: FormState | None = None, status: int = 200, code: str = "") -> Answer:
    principal = panel.principal
    own = {one for role in panel.services.roles.values() for one in role.permissions}
    return panel.show(
        "system/api_key_new.html",
        form=form,
        status=status,
        code=code,
        scopes=[one for one in sorted(PERMISSIONS - {EVERYTHING}) if principal.can(one)],
        may_everything=principal.can(EVERYTHING),
        own_example=next(iter(sorted(one for one in own if one.startswith(APP_PERMISSION_PREFIX))), "app:reports"),
        roles=[role for role in panel.services.roles.values() if principal.can_grant_role(role.key)],
        may_grant_all=EVERYTHING in principal.may_grant,
        group_keys=[one for one in await group_choices(panel) if principal.can_grant_group(one[0])],
        may_grant_all_groups=EVERYTHING in principal.may_grant_groups,
        today=panel.now.date().isoformat(),
    )


@post(NEW, needs=NEEDS)
async def make_key(panel: Panel) -> Answer:
    """Make a key and show it: this once, on the answer itself, for it is kept nowhere."""
    sent = await panel.read_form(NewKeyForm)
    try:
        made = await panel.services.users.api_keys.create(by=panel.principal, **_wanted(sent))
    except InvalidFields as error:
        return await _show_new(panel, sent.refused(InvalidFields(_at_fields(error))), 422, error.code)
    except GrantNotAllowed as error:
        return await _show_new(panel, sent.with_problem("scopes", error.code, error.detail), 403, error.code)
    return _show_once(panel, made)


def _wanted(sent: SentForm[NewKeyForm]) -> dict[str, Any]:
    """What the key shall be. Raises InvalidFields with what is wrong with the form itself."""
    problems = list(sent.reading.problems)
    if not sent.typed.get("name", "").strip():
        problems.append(FieldProblem("/name", "required", "Give the key a name."))
    expires_at = _read_day(sent.typed.get("expiresOn", "").strip(), problems)
    if problems:
        raise InvalidFields(problems)
    own = sent.typed.get("ownScopes", "").replace(",", " ").split()
    return {
        "name": sent.get("name"),
        "scopes": [*(sent.get("scopes") or ()), *own],
        "may_grant": sent.get("may_grant") or (),
        "may_grant_groups": sent.get("may_grant_groups") or (),
        "expires_at": expires_at,
    }


def _read_day(text: str, problems: list[FieldProblem]) -> datetime | None:
    """The end of a day, in UTC; none for never."""
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time.max, UTC).replace(microsecond=0)  # noqa: DTZ007  # a day has no zone
    except ValueError:
        problems.append(FieldProblem("/expiresOn", "invalid-day", "Write a day like 2026-12-31."))
        return None


_FIELDS = {"/scopes": "/scopes", "/mayGrant": "/mayGrant", "/expiresAt": "/expiresOn"}


def _at_fields(error: InvalidFields) -> list[FieldProblem]:
    """A part of a list is shown at the list; one of our own words at their field."""
    found = []
    for problem in error.errors:
        field = "/" + problem.pointer.split("/")[1]
        is_own = problem.code == "unknown-permission"
        pointer = "/ownScopes" if is_own else _FIELDS.get(field, field)
        found.append(FieldProblem(pointer, problem.code, problem.detail))
    return found


def _show_once(panel: Panel, made: CreatedApiKey) -> Answer:
    return panel.show("system/api_key_created.html", key=made.key, text=made.secret)


# ---- revoking --------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/revoke", needs=NEEDS)
async def confirm_revoke(panel: Panel) -> Answer:
    """What revoking ends, with the choice what becomes of open invitations."""
    return panel.show("system/api_key_revoke.html", key=await _key(panel))


async def _key(panel: Panel) -> ApiKey:
    """The key in the address. Raises ApiKeyNotFound."""
    key_id = id_in(panel.parameter("api_key"))
    if key_id == NOBODY:
        raise ApiKeyNotFound("There is no such API key.")
    return await panel.services.users.api_keys.get(key_id)


@post(f"{ENTRY}/revoke", needs=NEEDS)
async def revoke_key(panel: Panel) -> Answer:
    """End a key at once."""
    form = (await panel.read_form(RevokeForm)).finish()
    ends = form.invitations == "end"
    try:
        key = await _key(panel)
        await panel.services.users.api_keys.revoke(key.id, end_invitations=ends, by=panel.principal)
    except ApiKeyNotFound:
        return panel.redirect(LIST, flash=flash(panel, "api-key-gone", is_bad=True))
    return panel.redirect(
        LIST, flash=flash(panel, "api-key-and-invitations-revoked" if ends else "api-key-revoked", name=key.name)
    )


routes = [show_keys, show_new_key, make_key, confirm_revoke, revoke_key]
