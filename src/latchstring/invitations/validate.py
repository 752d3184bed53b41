"""Validation of drafts: the rules of their fields, and whether the link could reach anybody."""

from collections.abc import Sequence
from datetime import timedelta

from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, MailDisabled
from latchstring.domain.principal import Principal
from latchstring.domain.settings import App, InvitationRules, MailRules
from latchstring.formats.durations import format_in_words
from latchstring.formats.urls import is_allowed_redirect
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import REVEAL
from latchstring.users.grant_limits import find_role_problems


def find_problems(draft: Draft, known: Sequence[FieldProblem], deps: InvitationDependencies) -> list[FieldProblem]:
    """All problems of the fields: the known ones, then every rule that the other fields break."""
    problems = list(known)
    known_fields = {problem.pointer.split("/")[1] for problem in known}
    gives_something = draft.role or draft.groups or draft.content
    if not gives_something and not known_fields & {"role", "groups", "content", "template"}:
        problems.append(FieldProblem("/role", "grant-required", "Choose at least a role, a group or a content object."))
    problems += find_role_problems(draft.role, deps.roles)
    if len(set(draft.groups)) < len(draft.groups):
        problems.append(FieldProblem("/groups", "repeated", "Name each group once."))
    if len({(type_, key) for type_, key, _ in draft.content}) < len(draft.content):
        problems.append(FieldProblem("/content", "repeated", "Name each content object once."))
    problems += find_lifetime_problems(draft.expires_in, deps.rules)
    problems += find_redirect_problems(draft.redirect_url, deps.rules, deps.app)
    return problems


def find_lifetime_problems(lifetime: timedelta | None, rules: InvitationRules) -> list[FieldProblem]:
    """The problem of a lifetime outside the configured bounds."""
    if lifetime is None or rules.is_allowed_lifetime(lifetime):
        return []
    bounds = f"from {format_in_words(rules.minimum_lifetime)} to {format_in_words(rules.maximum_lifetime)}"
    return [FieldProblem("/expiresIn", "out-of-bounds", f"Use a lifetime {bounds}.")]


def find_redirect_problems(url: str | None, rules: InvitationRules, app: App) -> list[FieldProblem]:
    """The problem of a redirect URL that is not allowed."""
    if url is None or is_allowed_redirect(url, rules, app):
        return []
    return [FieldProblem("/redirectUrl", "redirect-not-allowed", "This origin is not in invitations.redirect-origins.")]


def require_delivery_channel(by: Principal, rules: MailRules) -> None:
    """Raise MailDisabled if nobody could get the link: mail is off, and the caller may not reveal links."""
    if rules.is_off and not by.can(REVEAL):
        raise MailDisabled("Mail is disabled, and you may not reveal links.")
