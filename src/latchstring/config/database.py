"""Database addresses: which drivers there are, and what an operator most likely meant instead."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from latchstring.config.values import InvalidValue

SQLITE = "sqlite+aiosqlite"
POSTGRES = "postgresql+asyncpg"
_MEANT = {
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
    """Where the data are. url names its driver and may hold a password; sqlite_path is set for SQLite only."""

    url: str = field(repr=False)
    sqlite_path: Path | None = None
    pool_size: int = 12
    statement_cache: int = 512


def database_url(value: object) -> str:
    """The address of a database with its driver named."""
    scheme, separator, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    if scheme in _MEANT:
        raise InvalidValue(f"Name the driver: {_MEANT[scheme]}://…")
    if not separator or scheme not in {SQLITE, POSTGRES}:
        raise InvalidValue(f'Write "{SQLITE}:///path/to/file.db" or "{POSTGRES}://user@host/name".')
    if scheme == SQLITE and (not rest.startswith("/") or rest in {"/", "/:memory:"}):
        raise InvalidValue(f'Name a file after three slashes: "{SQLITE}:///var/latchstring.db".')
    if scheme == POSTGRES:
        _check_postgres(value)
    return str(value)


def sqlite_path(url: str, folder: Path) -> Path | None:
    """The file a SQLite address names, None for other databases. A relative one starts at the folder."""
    if not url.startswith(f"{SQLITE}:///"):
        return None
    path, _, _ = url.removeprefix(f"{SQLITE}:///").partition("?")
    return folder / unquote(path)


def mask_password(url: object) -> str:
    """The address as it may be shown. A password may stand among its parameters, too."""
    return _SECRET_PARAMETER.sub(r"\1••••", _mask_user(str(url)))


def _mask_user(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url if parts.scheme in {SQLITE, POSTGRES, *_MEANT} else "••••"
    except ValueError:
        return "••••"
    netloc = f"{parts.username}:••••@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


def _check_postgres(url: object) -> None:
    try:
        parts = urlsplit(str(url))
        _ = parts.port
    except ValueError:
        raise InvalidValue(
            "The port or host cannot be read. Write signs like @ : / in a password as %40 %3A %2F."
        ) from None
    if not parts.path.strip("/"):
        raise InvalidValue(f'Name the database at the end: "{POSTGRES}://user@host/name".')
