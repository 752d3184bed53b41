"""Configuration as it may be shown: every value with where it came from, no secret among them."""

from dataclasses import dataclass
from enum import StrEnum


class SettingSource(StrEnum):
    """Where a value came from. Later ones lie over earlier ones."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class SettingView:
    """One value. where: the file's path or the variable's name, empty for a default.

    value: as it may be shown; None when nothing is set. A secret shows that it is set, never what it is.
    """

    key: str
    value: str | None
    source: SettingSource
    where: str = ""
    is_secret: bool = False

    @property
    def table(self) -> str:
        """The table of the file the key stands in."""
        return self.key.rpartition(".")[0]
