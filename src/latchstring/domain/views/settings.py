"""Settings for display: every value with its source, without secrets."""

from dataclasses import dataclass
from enum import StrEnum


class SettingSource(StrEnum):
    """Where a value came from. Later sources override earlier ones."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class SettingView:
    """A setting. where: the path of the file or the name of the variable; empty for a default.

    value: for display; None when not set. For a secret it only says that it is set.
    """

    key: str
    value: str | None
    source: SettingSource
    where: str = ""
    is_secret: bool = False

    @property
    def table(self) -> str:
        """The table of the configuration file that contains the key."""
        return self.key.rpartition(".")[0]
