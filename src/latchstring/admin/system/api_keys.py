"""API keys: list, create, show once, revoke."""

from datetime import UTC, datetime, time
from typing import Any, ClassVar, Literal

from latchstring.admin.choices import group_choices
from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.pagination import PAGE_SIZE, build_page_links, cursor_of, parse_id
from latchstring.admin.routing import get, post
from latchstring.domain.api_key import ApiKey
from latchstring.domain.errors import ApiKeyNotFound, FieldProblem, GrantNotAllowed, InvalidFields
from latchstring.domain.ids import NIL_ID
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
    """A new key. own_scopes: `app:` permissions, separated by spaces or commas."""

    repeated: ClassVar[frozenset[str]] = frozenset({"scopes", "mayGrant", "mayGrantGroups"})
    max_fields: ClassVar[int] = 512

    name: Line | None = None
    scopes: tuple[str, ...] = ()
    own_scopes: str = ""
    may_grant: tuple[str, ...] = ()
    may_grant_groups: tuple[str, ...] = ()
    expires_on: str = ""


class RevokeForm(PageForm, kw_only=True):
    """Revokes a key. invitations: whether its pending invitations are kept or ended."""

    invitations: Literal["keep", "end"]


@get(LIST, needs=NEEDS)
async def show_keys(panel: Panel) -> Answer:
    """The keys that are not revoked, newest first."""
    page = await panel.services.users.api_keys.list_page(
        order=NEWEST_FIRST, cursor=cursor_of(panel, "keys"), limit=PAGE_SIZE
    )
    return panel.show(
        "system/api_keys.html",
        keys=page.items,
        creators=await panel.services.users.api_keys.find_creators(page.items),
        links=build_page_links(panel, "keys", page),
        roles=panel.services.roles,
    )


# ---- create ----------------------------------------------------------------------------------------------------------


@get(NEW, needs=NEEDS)
async def show_new_key(panel: Panel) -> Answer:
    return await _show_new(panel)


async def _show_new(panel: Panel, form: FormState | None = None, status: int = 200, code: str = "") -> Answer:
    principal = panel.principal
    own = {permission for role in panel.services.roles.values() for permission in role.permissions}
    return panel.show(
        "system/api_key_new.html",
        form=form,
        status=status,
        code=code,
        scopes=[permission for permission in sorted(PERMISSIONS - {EVERYTHING}) if principal.can(permission)],
        may_everything=principal.can(EVERYTHING),
        own_example=next(
            iter(sorted(permission for permission in own if permission.startswith(APP_PERMISSION_PREFIX))),
            "app:reports",
        ),
        roles=[role for role in panel.services.roles.values() if principal.can_grant_role(role.key)],
        may_grant_all=EVERYTHING in principal.may_grant,
        group_keys=[
            permission for permission in await group_choices(panel) if principal.can_grant_group(permission[0])
        ],
        may_grant_all_groups=EVERYTHING in principal.may_grant_groups,
        today=panel.now.date().isoformat(),
    )


@post(NEW, needs=NEEDS)
async def create_key(panel: Panel) -> Answer:
    """Create a key and show it once, in the answer to the form, because it is stored nowhere."""
    sent = await panel.read_form(NewKeyForm)
    try:
        created = await panel.services.users.api_keys.create(by=panel.principal, **_new_key_values(sent))
    except InvalidFields as error:
        return await _show_new(panel, sent.refused(InvalidFields(_move_to_fields(error))), 422, error.code)
    except GrantNotAllowed as error:
        return await _show_new(panel, sent.with_problem("scopes", error.code, error.detail), 403, error.code)
    return _show_created(panel, created)


def _new_key_values(sent: SentForm[NewKeyForm]) -> dict[str, Any]:
    """The values of the new key. Raises InvalidFields with the problems of the form itself."""
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
    """The end of a day in UTC; None for an empty text."""
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time.max, UTC).replace(microsecond=0)  # noqa: DTZ007  # a day has no zone
    except ValueError:
        problems.append(FieldProblem("/expiresOn", "invalid-day", "Write a day like 2026-12-31."))
        return None


_FIELDS = {"/scopes": "/scopes", "/mayGrant": "/mayGrant", "/expiresAt": "/expiresOn"}


def _move_to_fields(error: InvalidFields) -> list[FieldProblem]:
    """Move problems of list items to the field of the list, and unknown `app:` permissions to theirs."""
    problems = []
    for problem in error.errors:
        field = "/" + problem.pointer.split("/")[1]
        is_own = problem.code == "unknown-permission"
        pointer = "/ownScopes" if is_own else _FIELDS.get(field, field)
        problems.append(FieldProblem(pointer, problem.code, problem.detail))
    return problems


def _show_created(panel: Panel, created: CreatedApiKey) -> Answer:
    return panel.show("system/api_key_created.html", key=created.key, secret=created.secret)


# ---- revoke ----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/revoke", needs=NEEDS)
async def confirm_revoke(panel: Panel) -> Answer:
    """The confirmation, with the choice to keep or end pending invitations."""
    return panel.show("system/api_key_revoke.html", key=await _get_key(panel))


async def _get_key(panel: Panel) -> ApiKey:
    """The key of the path. Raises ApiKeyNotFound."""
    key_id = parse_id(panel.parameter("api_key"))
    if key_id == NIL_ID:
        raise ApiKeyNotFound("There is no such API key.")
    return await panel.services.users.api_keys.get(key_id)


@post(f"{ENTRY}/revoke", needs=NEEDS)
async def revoke_key(panel: Panel) -> Answer:
    """Revoke a key; it stops working immediately."""
    form = (await panel.read_form(RevokeForm)).finish()
    ends = form.invitations == "end"
    try:
        key = await _get_key(panel)
        await panel.services.users.api_keys.revoke(key.id, end_invitations=ends, by=panel.principal)
    except ApiKeyNotFound:
        return panel.redirect(LIST, flash=flash(panel, "api-key-gone", is_bad=True))
    return panel.redirect(
        LIST, flash=flash(panel, "api-key-and-invitations-revoked" if ends else "api-key-revoked", name=key.name)
    )


routes = [show_keys, show_new_key, create_key, confirm_revoke, revoke_key]
