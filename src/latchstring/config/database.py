"""Database URLs: the supported drivers, and suggestions for URLs that name another one."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from latchstring.config.values import InvalidValue

SQLITE = "sqlite+aiosqlite"
POSTGRES = "postgresql+asyncpg"
_SUGGESTED_DRIVERS = {
    "sqlite": SQLITE,
    "sqlite3": SQLITE,
    "postgres": POSTGRES,
    "postgresql": POSTGRES,
    "postgresql+psycopg": POSTGRES,
    "postgresql+psycopg2": POSTGRES,
}
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*pass[^=&#]*=)[^&#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How to reach the database. url: names its driver and may contain a password. sqlite_path: None unless SQLite."""

    url: str = field(repr=False)
    sqlite_path: Path | None = None
    pool_size: int = 12
    statement_cache: int = 512


def database_url(value: object) -> str:
    """Parse the URL of a database, which must name its driver."""
    scheme, separator, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    if scheme in _SUGGESTED_DRIVERS:
        raise InvalidValue(f"Name the driver: {_SUGGESTED_DRIVERS[scheme]}://…")
    if not separator or scheme not in {SQLITE, POSTGRES}:
        raise InvalidValue(f'Write "{SQLITE}:///path/to/file.db" or "{POSTGRES}://user@host/name".')
    if scheme == SQLITE and (not rest.startswith("/") or rest in {"/", "/:memory:"}):
        raise InvalidValue(f'Name a file after three slashes: "{SQLITE}:///var/latchstring.db".')
    if scheme == POSTGRES:
        _check_postgres(value)
    return str(value)


def sqlite_path(url: str, folder: Path) -> Path | None:
    """Return the file of a SQLite URL, None for other databases. Relative paths are resolved against the folder."""
    if not url.startswith(f"{SQLITE}:///"):
        return None
    path, _, _ = url.removeprefix(f"{SQLITE}:///").partition("?")
    return folder / unquote(path)


def mask_password(url: object) -> str:
    """Return the URL with its password masked, in the user information and in query parameters."""
    return _SECRET_PARAMETER.sub(r"\1••••", _mask_user(str(url)))


def _mask_user(url: str) -> str:
    try:
        components = urlsplit(url)
        if components.password is None:
            return url if components.scheme in {SQLITE, POSTGRES, *_SUGGESTED_DRIVERS} else "••••"
    except ValueError:
        return "••••"
    netloc = f"{components.username}:••••@{components.netloc.rpartition('@')[2]}"
    return urlunsplit((components.scheme, netloc, components.path, components.query, components.fragment))


def _check_postgres(url: object) -> None:
    try:
        components = urlsplit(str(url))
        _ = components.port
    except ValueError:
        raise InvalidValue(
            "The port or host cannot be read. Write signs like @ : / in a password as %40 %3A %2F."
        ) from None
    if not components.path.strip("/"):
        raise InvalidValue(f'Name the database at the end: "{POSTGRES}://user@host/name".')
