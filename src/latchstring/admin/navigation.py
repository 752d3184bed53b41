"""The sections of the panel, and who sees which. Also the one place that knows their addresses."""

from collections.abc import Sequence
from dataclasses import dataclass

from latchstring.domain.panel import ADMINS_WRITE, MAIL_READ, SETTINGS_READ
from latchstring.domain.principal import Principal


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A page of the navigation. name: in English; the template translates it."""

    name: str
    path: str
    icon: str
    needs: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Entries under one heading; the first section has none."""

    name: str
    entries: tuple[NavigationEntry, ...]


# The template panel/layout/navigation.html has every name once more, as words to translate.
_SECTIONS = (
    Section(
        "",
        (
            NavigationEntry("Overview", "/admin", "overview", "invitations:read"),
            NavigationEntry("Invitations", "/admin/invitations", "invitation", "invitations:read"),
            NavigationEntry("Import", "/admin/import", "import", "invitations:write"),
            NavigationEntry("Invitation templates", "/admin/invitation-templates", "template", "invitations:read"),
        ),
    ),
    Section(
        "People and access",
        (
            NavigationEntry("Users", "/admin/users", "user", "users:read"),
            NavigationEntry("Groups", "/admin/groups", "group", "groups:read"),
            NavigationEntry("Roles", "/admin/roles", "role", "users:read"),
            NavigationEntry("Content", "/admin/content", "content", "access:read"),
        ),
    ),
    Section(
        "Mail",
        (
            NavigationEntry("Mail queue", "/admin/mail", "queue", MAIL_READ),
            NavigationEntry("Messages", "/admin/messages", "eye", MAIL_READ),
        ),
    ),
    Section(
        "System",
        (
            NavigationEntry("Audit log", "/admin/audit", "log", "audit:read"),
            NavigationEntry("API keys", "/admin/api-keys", "key", "api-keys:write"),
            NavigationEntry("Administrators", "/admin/administrators", "lock", ADMINS_WRITE),
            NavigationEntry("Settings", "/admin/settings", "settings", SETTINGS_READ),
            NavigationEntry("Health", "/admin/health", "health", SETTINGS_READ),
        ),
    ),
)


def sections_for(principal: Principal, path: str) -> Sequence[Section]:
    """What this administrator may open, with the entry marked that the page belongs to."""
    current = _owner_of(path)
    return [
        Section(section.name, entries)
        for section in _SECTIONS
        if (
            entries := tuple(
                NavigationEntry(entry.name, entry.path, entry.icon, entry.needs, entry.path == current)
                for entry in section.entries
                if principal.can(entry.needs)
            )
        )
    ]


def home_of(principal: Principal) -> str:
    """Where somebody lands after signing in: the first page that may be opened."""
    found = sections_for(principal, "")
    return found[0].entries[0].path if found else "/admin/account"


def _owner_of(path: str) -> str:
    """The entry a page lies under: the longest path it begins with; the overview owns itself only."""
    paths = [entry.path for section in _SECTIONS for entry in section.entries]
    under = [own for own in paths if path == own or (own != "/admin" and path.startswith(f"{own}/"))]
    return max(under, key=len, default="")
