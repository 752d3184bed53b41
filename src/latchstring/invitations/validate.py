"""Judging what somebody asks for: rules of fields first, all at once; then what exists; then the ceiling."""

from collections.abc import Sequence
from datetime import timedelta

from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, GrantNotAllowed
from latchstring.domain.grant import Bundle
from latchstring.domain.principal import Principal, is_within_ceiling
from latchstring.domain.settings import App, InvitationRules, Roles
from latchstring.formats.urls import origin_of


def find_problems(
    draft: Draft, known: Sequence[FieldProblem] = (), *, roles: Roles, rules: InvitationRules, app: App
) -> list[FieldProblem]:
    """Everything that is wrong: the known problems, then every rule that the rest of the draft breaks."""
    spoken_of = {problem.pointer.split("/")[1] for problem in known}
    missing = [] if spoken_of & {"role", "groups", "content", "template"} else _gives_nothing(draft)
    return [*known, *missing, *_broken_rules(draft, roles, rules, app)]


def _broken_rules(draft: Draft, roles: Roles, rules: InvitationRules, app: App) -> list[FieldProblem]:
    return [
        *role_problems(draft.role, roles),
        *_repeated(draft),
        *lifetime_problems(draft.expires_in, rules),
        *redirect_problems(draft.redirect_url, rules, app),
    ]


def _gives_nothing(draft: Draft) -> list[FieldProblem]:
    if draft.role or draft.groups or draft.content:
        return []
    return [FieldProblem("/role", "grant-required", "Choose at least a role, a group or a content object.")]


def role_problems(role: str | None, roles: Roles) -> list[FieldProblem]:
    """Whether the role, if there is one, is configured."""
    if role is None or role in roles:
        return []
    known = ", ".join(sorted(roles)) or "none"
    return [FieldProblem("/role", "unknown-role", f"There is no role {role}. Configured roles: {known}.")]


def _repeated(draft: Draft) -> list[FieldProblem]:
    problems = []
    if len(set(draft.groups)) < len(draft.groups):
        problems.append(FieldProblem("/groups", "repeated", "Name each group once."))
    if len({(type_, key) for type_, key, _ in draft.content}) < len(draft.content):
        problems.append(FieldProblem("/content", "repeated", "Name each content object once."))
    return problems


def lifetime_problems(lifetime: timedelta | None, rules: InvitationRules) -> list[FieldProblem]:
    """Whether the lifetime, if there is one, is inside the configured bounds."""
    if lifetime is None or rules.minimum_lifetime <= lifetime <= rules.maximum_lifetime:
        return []
    bounds = f"{in_words(rules.minimum_lifetime)} to {in_words(rules.maximum_lifetime)}"
    return [FieldProblem("/expiresIn", "out-of-bounds", f"A link works for {bounds} here.")]


def in_words(span: timedelta) -> str:
    """A duration in its largest whole unit: `7 days`, `1 hour`."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}{'' if seconds == size else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def redirect_problems(url: str | None, rules: InvitationRules, app: App) -> list[FieldProblem]:
    """Whether accepting may lead on to the URL, if there is one."""
    if url is None or is_allowed_redirect(url, rules, app):
        return []
    return [FieldProblem("/redirectUrl", "redirect-not-allowed", "This origin is not in invitations.redirect-origins.")]


def is_allowed_redirect(url: str, rules: InvitationRules, app: App) -> bool:
    """Whether the URL's origin is the server's own or on the allow-list. Anything a browser might read another way
    (user info, backslashes, control characters) is not.
    """
    if any(character in "\\@" or character <= " " for character in url):
        return False
    return origin_of(url) in {origin_of(app.public_url), *map(origin_of, rules.redirect_origins)} - {None}


def check_ceiling(principal: Principal, bundle: Bundle) -> None:
    """Raise GrantNotAllowed when somebody would hand out more than he may."""
    if is_within_ceiling(principal, bundle):
        return
    if bundle.role is not None and not principal.can_grant_role(bundle.role):
        granted = ", ".join(sorted(principal.may_grant)) or "no role"
        raise GrantNotAllowed(f"You may not grant the role {bundle.role}. You may grant {granted}.")
    refused = sorted(g.target_key for g in bundle.groups if not principal.can_grant_group(g.target_key))
    raise GrantNotAllowed(f"You may not invite into {', '.join(refused)}.")
