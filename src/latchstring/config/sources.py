"""Reads the TOML file and the environment, which overrides it, and reports unknown keys.

`LATCHSTRING_MAIL__SMTP__HOST` is `mail.smtp.host`: two underscores replace a dot, one replaces a hyphen.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from latchstring.config.problems import ConfigProblem
from latchstring.config.values import EnvText, InvalidValue, Parser
from latchstring.domain.views.settings import SettingSource, SettingView
from latchstring.formats.durations import format_duration

T = TypeVar("T")
D = TypeVar("D")
PREFIX = "LATCHSTRING_"
MASK = "••••"
MAX_DISPLAYED_LENGTH = 80
_SECRET_NAME = re.compile("pass|pw|secret|token|key|credential|url", re.IGNORECASE)


def read_file(path: Path, problems: list[ConfigProblem]) -> dict[str, Any]:
    """Read the tables of a TOML file. Adds a problem and returns an empty dict if the file cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(ConfigProblem(str(path), None, "There is no such file. Check the path after --config."))
    except OSError as error:
        problems.append(
            ConfigProblem(str(path), None, f"The file cannot be read: {error.strerror}. Check its permissions.")
        )
    except UnicodeDecodeError:
        problems.append(ConfigProblem(str(path), None, "The file is not UTF-8 text. Save it as UTF-8."))
    except tomllib.TOMLDecodeError as error:
        problems.append(ConfigProblem(str(path), None, f"This is not TOML: {error}. Mend that line."))
    return {}


def apply_environment(tree: dict[str, Any], env: Mapping[str, str], problems: list[ConfigProblem]) -> None:
    """Override values in the tables with environment variables.

    Only names with `__` are keys: Kubernetes sets variables such as LATCHSTRING_PORT for a service of this name, and
    those must not prevent a start.
    """
    variables = {name: value for name, value in env.items() if name.startswith(PREFIX) and "__" in name}
    for name, value in sorted(variables.items()):
        *tables, key = [part.lower().replace("_", "-") for part in name.removeprefix(PREFIX).split("__")]
        table = _find_table(tree, tables)
        if table is None or not key:
            problems.append(ConfigProblem(name, None, "This names no key. Two underscores stand for the dot of a key."))
            continue
        _drop_other_form(table, key)
        table[_find_spelling(table, key)] = EnvText(value)


def _find_table(tree: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    for name in names:
        tree = tree.setdefault(_find_spelling(tree, name), {})
        if not isinstance(tree, dict):
            return None
    return tree


def _find_spelling(table: Mapping[str, Any], key: str) -> str:
    """Return the key as the file spells it. A variable name cannot distinguish `team_lead` and `Team-Lead`."""
    return next((spelling for spelling in table if spelling.lower().replace("_", "-") == key), key)


def _drop_other_form(table: dict[str, Any], key: str) -> None:
    """Remove the counterpart of a key: `password` in the environment replaces `password-file` and vice versa."""
    other = key.removesuffix("-file") if key.endswith("-file") else f"{key}-file"
    if not isinstance(table.get(other), EnvText):
        table.pop(other, None)


class Table:
    """One table of the configuration. Keys that are never read are reported as unknown."""

    def __init__(self, path: str, values: object, problems: list[ConfigProblem], source: Path) -> None:
        """source: the file, even if it does not exist; relative paths are resolved against its folder."""
        self._path = path
        self._problems = problems
        self._source = source
        self._folder = source.parent
        self._settings: list[SettingView] = []
        self._known: set[str] = set()
        self._has_secrets = False  # if so, a misspelt key may contain a secret
        self._children: list[Table] = []
        if not isinstance(values, dict):
            self.report("", None if isinstance(values, str) else values, f"Write a table: [{path}] and its keys below.")
            values = {}
        self._values: dict[str, Any] = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str, parse: Parser[T], default: D, *, mask: Callable[[object], object] | None = None) -> T | D:
        """Return the parsed value, or the default if it is absent or invalid. mask: masks a secret in problems."""
        self._known.add(key)
        if key not in self._values:
            self._add_setting(key, default, is_default=True, is_secret=mask is not None)
            return default
        value = self._values[key]
        self._add_setting(key, mask(value) if mask else value, is_secret=mask is not None)
        try:
            return parse(value)
        except InvalidValue as error:
            self.report(key, mask(value) if mask else value, str(error))
            return default

    def get_secret(
        self, key: str, parse: Parser[T], default: D, *, mask: Callable[[object], object] = lambda _: MASK
    ) -> T | D:
        """Like `get`, but also read from the file that `<key>-file` names, and masked in settings and problems."""
        file_key = f"{key}-file"
        self._known |= {key, file_key}
        self._has_secrets = True
        if file_key not in self._values:
            return self.get(key, parse, default, mask=mask)
        if key in self._values:
            self.report(file_key, self._values[file_key], f"{key} is given, too. Keep one of them.")
            return default
        self._add_setting(file_key, self._values[file_key])
        try:
            content = EnvText((self._folder / str(self._values[file_key])).read_text(encoding="utf-8").rstrip("\r\n"))
            return parse(content)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.report(
                file_key, self._values[file_key], f"The file cannot be read: {reason}. Check path and permissions."
            )
        except InvalidValue as wrong:
            self.report(file_key, self._values[file_key], f"What the file holds cannot be used. {wrong}")
        return default

    def table(self, key: str) -> "Table":
        """Return a nested table, empty if absent."""
        self._known.add(key)
        child = Table(self._join(key), self._values.get(key, {}), self._problems, self._source)
        self._children.append(child)
        return child

    def tables(self) -> Iterator[tuple[str, "Table"]]:
        """Yield every entry as a table, for tables whose keys the operator chooses."""
        for key in self._values:
            yield key, self.table(key)

    def parse_inline_table(self, key: str) -> None:
        """Parse an entry that the environment sets to the text of an inline TOML table."""
        value = self._values.get(key)
        if isinstance(value, EnvText):
            try:
                self._values[key] = tomllib.loads(f"value = {value}")["value"]
            except tomllib.TOMLDecodeError:
                return  # reading the entry as a table reports the problem

    def settings(self) -> Iterator[SettingView]:
        """Yield every value that was read from this table and its nested tables, in that order, without secrets."""
        yield from self._settings
        for child in self._children:
            yield from child.settings()

    def _add_setting(self, key: str, value: object, *, is_default: bool = False, is_secret: bool = False) -> None:
        name = self._join(key)
        if is_default:
            source, location = SettingSource.DEFAULT, ""
        elif isinstance(self._values[key], EnvText):
            source, location = SettingSource.ENVIRONMENT, _variable_name(name)
        else:
            source, location = SettingSource.FILE, str(self._source)
        self._settings.append(SettingView(name, _format_setting(value), source, location, is_secret))

    def report(self, key: str, value: object, remedy: str) -> None:
        """Add a problem with a key of this table."""
        self._problems.append(ConfigProblem(self._join(key), format_for_problem(value), remedy))

    def report_unknown(self) -> None:
        """Add a problem for every key that was not read, in this table and its nested tables."""
        for key, value in self._values.items():
            if key not in self._known:
                self.report(key, self._mask_unknown(key, value), self._unknown_remedy(key))
        for child in self._children:
            child.report_unknown()

    def _mask_unknown(self, key: str, value: object) -> object:
        """Return the value of an unknown key, masked or omitted if it may contain a secret under a misspelt name."""
        if isinstance(value, dict | list):
            return None
        return MASK if self._has_secrets or _SECRET_NAME.search(key) else value

    def _unknown_remedy(self, key: str) -> str:
        matches = difflib.get_close_matches(key.lower().replace("_", "-"), sorted(self._known), n=1, cutoff=0.6)
        if matches:
            return f"There is no such key. Did you mean {self._join(matches[0])}?"
        known = ", ".join(sorted(self._known)) or "none"
        return f"There is no such key. Remove it. Known here: {known}."

    def _join(self, key: str) -> str:
        return ".".join(part for part in (self._path, key) if part)


def format_for_problem(value: object) -> str | None:
    """Format a value for a problem: one line, truncated."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_DISPLAYED_LENGTH else text[: MAX_DISPLAYED_LENGTH - 1] + "…"


def _variable_name(key: str) -> str:
    """Return the environment variable of a key."""
    return PREFIX + key.replace(".", "__").replace("-", "_").upper()


def _format_setting(value: object) -> str | None:
    """Format a value for the list of settings: as in TOML, but text without quotes."""
    if value is None or value == "":
        return None
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(_format_setting(item)) for item in value) or None
    return str(value) if isinstance(value, str | float) else json.dumps(value, ensure_ascii=False, default=str)
