"""Reads `[templates.*]`: named sets of terms for invitations."""

import difflib
import re
from collections.abc import Mapping
from datetime import timedelta

from latchstring.config import values
from latchstring.config.sources import Table
from latchstring.config.values import InvalidValue
from latchstring.domain.principal import Role
from latchstring.domain.settings import App, ContentRules, InvitationRules
from latchstring.domain.template import InvitationTemplate, TemplateSource
from latchstring.formats.content_grants import parse_content_grant
from latchstring.formats.urls import is_allowed_redirect

MAX_NAME_LENGTH = 100
MAX_MESSAGE_LENGTH = 1000
_FORBIDDEN_IN_MESSAGE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def read_templates(
    table: Table, roles: Mapping[str, Role], content: ContentRules, rules: InvitationRules, app: App
) -> Mapping[str, InvitationTemplate]:
    """Read every template by its key, in the order of the file, and check it against the other settings."""
    templates = {}
    for key, entry in table.tables():
        try:
            values.key(key)
        except InvalidValue as error:
            table.report(key, None, str(error))
        template = _read_template(key, entry)
        _check_role(entry, template, roles)
        _check_content(entry, template, content)
        _check_lifetime(entry, template.expires_in, rules)
        _check_redirect(entry, template.redirect_url, rules, app)
        templates[key] = template
    return templates


def _read_template(key: str, table: Table) -> InvitationTemplate:
    return InvitationTemplate(
        key=key,
        name=table.get("name", _name, key),
        role=table.get("role", values.optional(values.key), None),
        groups=table.get("groups", values.list_of(values.key), ()),
        content=table.get("content", values.list_of(content_grant), ()),
        message=table.get("message", values.optional(_message), None),
        locale=table.get("locale", values.optional(values.locale), None),
        expires_in=table.get("lifetime", values.optional(values.duration), None),
        redirect_url=table.get("redirect-url", values.optional(values.web_url), None),
        source=TemplateSource.CONFIG,
    )


def content_grant(value: object) -> tuple[str, str, str]:
    """Parse `type/key:ROLE`."""
    grant = parse_content_grant(value) if isinstance(value, str) else None
    if grant is None:
        raise InvalidValue('Write type/key:ROLE, such as "articles/welcome:VIEWER", with VIEWER, EDITOR or MAINTAINER.')
    type_, key, role = grant
    return type_, values.key(key), role


def _name(value: object) -> str:
    name = values.text(value)
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidValue(f"Use {MAX_NAME_LENGTH} characters at most.")
    return name


def _message(value: object) -> str:
    text = value.replace("\r\n", "\n") if isinstance(value, str) else ""
    if not text.strip() or len(text) > MAX_MESSAGE_LENGTH or _FORBIDDEN_IN_MESSAGE.search(text):
        raise InvalidValue(f"Write plain text in quotes, {MAX_MESSAGE_LENGTH} characters at most.")
    return text.strip("\n")


def _check_role(table: Table, template: InvitationTemplate, roles: Mapping[str, Role]) -> None:
    role = template.role
    if role is None or role in roles:
        return
    matches = difflib.get_close_matches(role, roles, n=1)
    suggestion = f"Did you mean {matches[0]}?" if matches else f"Defined under [roles]: {', '.join(roles) or 'none'}."
    table.report("role", role, f"There is no role {role}. {suggestion}")


def _check_content(table: Table, template: InvitationTemplate, content: ContentRules) -> None:
    """Check the types of the objects. Whether an object exists is not checked: the app creates and deletes them."""
    for word in dict.fromkeys(word for word, _, _ in template.content if content.find_type(word) is None):
        declared = ", ".join(content.types) or "none"
        table.report("content", word, f"There is no content type {word}. Declared in content.types: {declared}.")
    objects = [(type_, key) for type_, key, _ in template.content]
    if len(set(objects)) < len(objects):
        table.report("content", None, "Name each object once, with one role.")


def _check_lifetime(table: Table, lifetime: timedelta | None, rules: InvitationRules) -> None:
    if lifetime is not None and not rules.is_allowed_lifetime(lifetime):
        table.report(
            "lifetime", str(lifetime), "It is outside invitations.minimum-lifetime and invitations.maximum-lifetime."
        )


def _check_redirect(table: Table, url: str | None, rules: InvitationRules, app: App) -> None:
    if url is not None and not is_allowed_redirect(url, rules, app):
        table.report("redirect-url", url, "Add its origin to invitations.redirect-origins, or choose another page.")
