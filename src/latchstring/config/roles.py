"""Reads `[roles.*]` and checks that no role may grant a role with more permissions than its own."""

import difflib
from collections.abc import Mapping

from latchstring.config import values
from latchstring.config.sources import Table
from latchstring.config.values import InvalidValue
from latchstring.domain.principal import APP_PERMISSION_PREFIX, EVERYTHING, PERMISSIONS, Role, covers, is_permission


def read_roles(table: Table) -> Mapping[str, Role]:
    """Read every role by its key, in the order of the file."""
    roles = {key: _read_role(key, entry, table) for key, entry in table.tables()}
    for role in roles.values():
        _check_ceiling(table, role, roles)
    return roles


def _read_role(key: str, table: Table, parent: Table) -> Role:
    try:
        values.key(key)
    except InvalidValue as error:
        parent.report(key, None, str(error))
    return Role(
        key=key,
        name=table.get("name", values.text, key),
        permissions=frozenset(table.get("permissions", values.list_of(_permission), ())),
        may_grant=frozenset(table.get("may-grant", values.list_of(values.key_or_all), ())),
        may_grant_groups=frozenset(table.get("may-grant-groups", values.list_of(values.key_or_all), ())),
        description=table.get("description", values.text, ""),
    )


def _permission(value: object) -> str:
    if isinstance(value, str) and is_permission(value):
        return str(value)
    matches = difflib.get_close_matches(str(value), sorted(PERMISSIONS), n=1)
    suggestion = f" Did you mean {matches[0]}?" if matches else ""
    known = ", ".join(sorted(PERMISSIONS))
    raise InvalidValue(
        f"There is no permission {value}.{suggestion} Known: {known}, and your own as {APP_PERMISSION_PREFIX}<name>."
    )


def _check_ceiling(table: Table, role: Role, roles: Mapping[str, Role]) -> None:
    """Report every role in `may-grant` that is unknown or has permissions that this role lacks."""
    for key in sorted(role.may_grant - {EVERYTHING} - roles.keys()):
        matches = difflib.get_close_matches(key, roles, n=1)
        suggestion = f"Did you mean {matches[0]}?" if matches else f"Defined: {', '.join(roles)}."
        table.report(f"{role.key}.may-grant", key, f"There is no role {key}. {suggestion}")
    grantable = roles if EVERYTHING in role.may_grant else role.may_grant & roles.keys()
    for key in sorted(grantable):
        if not covers(role.permissions, roles[key].permissions):
            missing = ", ".join(sorted(roles[key].permissions - role.permissions))
            remedy = (
                f"Role {key} holds {missing}, which {role.key} lacks. Remove {key} here, or give {role.key} the same."
            )
            table.report(f"{role.key}.may-grant", key, remedy)
