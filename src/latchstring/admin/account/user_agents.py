"""The approximate browser of a `User-Agent` header, only to distinguish sessions in a list."""

from typing import NamedTuple

# The first match counts: browsers also list the browsers they descend from.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


class Browser(NamedTuple):
    """Browser and operating system by their common names; empty if unknown."""

    name: str
    system: str


def parse_user_agent(user_agent: str) -> Browser:
    """The browser and its operating system."""
    name = next((name for pattern, name in _BROWSERS if pattern in user_agent), "")
    system = next((name for pattern, name in _SYSTEMS if pattern in user_agent), "")
    return Browser(name, system)
