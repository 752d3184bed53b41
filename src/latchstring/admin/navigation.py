"""The sections of the navigation: their paths, icons and permissions."""

from collections.abc import Sequence
from dataclasses import dataclass

from latchstring.domain.panel import ADMINS_WRITE, MAIL_READ, SETTINGS_READ
from latchstring.domain.principal import Principal


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A page in the navigation. name: in English; the template translates it."""

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


# The template panel/layout/navigation.html repeats every name, so that it can be translated.
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
    """The sections that this administrator may open; the entry that the path belongs to is marked as current."""
    current = _entry_of(path)
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


def home_path(principal: Principal) -> str:
    """The page to show after sign-in: the first one that this administrator may open."""
    sections = sections_for(principal, "")
    return sections[0].entries[0].path if sections else "/admin/account"


def _entry_of(path: str) -> str:
    """The path of the entry that a page belongs to: the longest prefix; `/admin` matches only itself."""
    paths = [entry.path for section in _SECTIONS for entry in section.entries]
    matches = [
        entry_path
        for entry_path in paths
        if path == entry_path or (entry_path != "/admin" and path.startswith(f"{entry_path}/"))
    ]
    return max(matches, key=len, default="")
