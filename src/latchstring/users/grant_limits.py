"""The ceiling: a principal grants at most what it holds, and cannot take over accounts that hold more."""

from collections.abc import Iterable, Sequence

from latchstring.domain.account import User
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import FieldProblem, GrantNotAllowed
from latchstring.domain.principal import EVERYTHING, Principal, Role, covers, find_beyond_ceiling
from latchstring.domain.settings import Roles


def find_role_problems(role: str | None, roles: Roles, *, pointer: str = "/role") -> list[FieldProblem]:
    """The problem of a role that is not configured."""
    if role is None or role in roles:
        return []
    return [FieldProblem(pointer, "unknown-role", f"There is no role {role}. {_describe_roles(roles)}")]


def check_grant(principal: Principal, roles: Roles, *, role: str | None = None, groups: Iterable[str] = ()) -> None:
    """Raise GrantNotAllowed unless the principal may grant this role and these groups."""
    refused_role, refused_groups = find_beyond_ceiling(principal, role, groups)
    if refused_role is not None:
        grantable = [key for key in roles if principal.can_grant_role(key)]
        raise GrantNotAllowed(f"You may not grant the role {refused_role}. You may grant {_join_words(grantable)}.")
    if refused_groups:
        raise GrantNotAllowed(f"You may not grant the groups {_join_words(refused_groups)}.")


def check_may_manage(principal: Principal, user: User, roles: Roles) -> None:
    """Raise GrantNotAllowed when the account has a role whose rights the principal neither holds nor may grant.

    A principal that may grant the role could create another account with it; one with all its rights gains nothing.
    """
    if is_self(principal, user) or user.role is None or principal.can_grant_role(user.role):
        return
    role = roles.get(user.role)  # a role removed from the configuration grants nothing
    if role is not None and not _has_rights_of(principal, role):
        raise GrantNotAllowed("This account has more rights than you may grant.")


def check_may_impersonate(principal: Principal, user: User, roles: Roles) -> None:
    """Raise GrantNotAllowed unless the principal may act as this user.

    A principal that sets a password, an address or an external id can sign in as the account and gets its groups.
    """
    check_may_manage(principal, user, roles)
    if not is_self(principal, user) and not principal.can_grant_groups(user.groups):
        raise GrantNotAllowed("This account is in groups that you may not grant.")


def check_scopes(
    principal: Principal, *, scopes: frozenset[str], may_grant: frozenset[str], may_grant_groups: frozenset[str]
) -> None:
    """Raise GrantNotAllowed when a key could do or grant more than its creator."""
    beyond = sorted(scope for scope in scopes if not principal.can(scope))
    if beyond:
        raise GrantNotAllowed(f"You do not have {_join_words(beyond)}.")
    if not _within(may_grant, principal.may_grant):
        raise GrantNotAllowed(f"You may not grant {_join_words(sorted(may_grant - principal.may_grant))}.")
    if not (principal.can("groups:write") or _within(may_grant_groups, principal.may_grant_groups)):
        raise GrantNotAllowed(f"You may not grant the groups {_join_words(sorted(may_grant_groups))}.")


def is_self(principal: Principal, user: User) -> bool:
    return principal.type is ActorType.USER and principal.id == user.id


def _has_rights_of(principal: Principal, role: Role) -> bool:
    """Whether the principal can do and grant everything that the role can."""
    groups_covered = principal.can("groups:write") or _within(role.may_grant_groups, principal.may_grant_groups)
    return (
        covers(principal.permissions, role.permissions)
        and _within(role.may_grant, principal.may_grant)
        and groups_covered
    )


def _within(grants: frozenset[str], ceiling: frozenset[str]) -> bool:
    return EVERYTHING in ceiling or grants <= ceiling


def _describe_roles(roles: Roles) -> str:
    return f"Available: {_join_words(sorted(roles))}." if roles else "No roles are configured."


def _join_words(words: Sequence[str]) -> str:
    if not words:
        return "nothing"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
