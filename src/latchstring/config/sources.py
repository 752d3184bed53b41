"""Where values come from: a TOML file, then the environment over it, and the reading of one table after another.

`LATCHSTRING_MAIL__SMTP__HOST` stands for `mail.smtp.host`: two underscores for the dot, one for the hyphen.
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
LONGEST_SHOWN = 80
_LIKE_A_SECRET = re.compile("pass|pw|secret|token|key|credential|url", re.IGNORECASE)


def read_file(path: Path, problems: list[ConfigProblem]) -> dict[str, Any]:
    """The tables of a TOML file; empty, with a problem, when it cannot be read."""
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


def put_environment(tree: dict[str, Any], env: Mapping[str, str], problems: list[ConfigProblem]) -> None:
    """Lay the environment over the tables. Only names with `__` are keys: Kubernetes sets LATCHSTRING_PORT and the
    like by itself for a service of this name, and those must not stop a start.
    """
    ours = {name: value for name, value in env.items() if name.startswith(PREFIX) and "__" in name}
    for name, value in sorted(ours.items()):
        *tables, key = [part.lower().replace("_", "-") for part in name.removeprefix(PREFIX).split("__")]
        table = _descend(tree, tables)
        if table is None or not key:
            problems.append(ConfigProblem(name, None, "This names no key. Two underscores stand for the dot of a key."))
            continue
        _drop_other_form(table, key)
        table[_same_key(table, key)] = EnvText(value)


def _descend(tree: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    for name in names:
        tree = tree.setdefault(_same_key(tree, name), {})
        if not isinstance(tree, dict):
            return None
    return tree


def _same_key(table: Mapping[str, Any], key: str) -> str:
    """The key as the file spells it: `team_lead` and `TeamLead` cannot be told apart in the environment."""
    return next((known for known in table if known.lower().replace("_", "-") == key), key)


def _drop_other_form(table: dict[str, Any], key: str) -> None:
    """`password` in the environment replaces `password-file` of the file, and the other way round."""
    other = key.removesuffix("-file") if key.endswith("-file") else f"{key}-file"
    if not isinstance(table.get(other), EnvText):
        table.pop(other, None)


class Table:
    """One table that is being read. Keys that were never asked for are unknown."""

    def __init__(self, path: str, values: object, problems: list[ConfigProblem], source: Path) -> None:
        """source: the file, whether or not it is there; relative paths start at its folder."""
        self._path = path
        self._problems = problems
        self._source = source
        self._folder = source.parent
        self._read: list[SettingView] = []
        self._asked: set[str] = set()
        self._has_secrets = False  # then a misspelt key may hold one
        self._children: list[Table] = []
        if not isinstance(values, dict):
            self.report("", None if isinstance(values, str) else values, f"Write a table: [{path}] and its keys below.")
            values = {}
        self._values: dict[str, Any] = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str, parse: Parser[T], default: D, *, mask: Callable[[object], object] | None = None) -> T | D:
        """The parsed value; the default when it is absent or wrong. mask: how a secret is shown in a problem."""
        self._asked.add(key)
        if key not in self._values:
            self._note(key, default, is_default=True, is_secret=mask is not None)
            return default
        value = self._values[key]
        self._note(key, mask(value) if mask else value, is_secret=mask is not None)
        try:
            return parse(value)
        except InvalidValue as wrong:
            self.report(key, mask(value) if mask else value, str(wrong))
            return default

    def get_secret(
        self, key: str, parse: Parser[T], default: D, *, mask: Callable[[object], object] = lambda _: MASK
    ) -> T | D:
        """Like get, from the value or from the file that `…-file` names; never shown."""
        name = f"{key}-file"
        self._asked |= {key, name}
        self._has_secrets = True
        if name not in self._values:
            return self.get(key, parse, default, mask=mask)
        if key in self._values:
            self.report(name, self._values[name], f"{key} is given, too. Keep one of them.")
            return default
        self._note(name, self._values[name])
        try:
            content = EnvText((self._folder / str(self._values[name])).read_text(encoding="utf-8").rstrip("\r\n"))
            return parse(content)
        except (OSError, UnicodeDecodeError) as error:
            words = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.report(name, self._values[name], f"The file cannot be read: {words}. Check path and permissions.")
        except InvalidValue as wrong:
            self.report(name, self._values[name], f"What the file holds cannot be used. {wrong}")
        return default

    def table(self, key: str) -> "Table":
        """A table below this one, empty if absent."""
        self._asked.add(key)
        child = Table(self._join(key), self._values.get(key, {}), self._problems, self._source)
        self._children.append(child)
        return child

    def tables(self) -> Iterator[tuple[str, "Table"]]:
        """Every entry as a table: for tables whose keys the operator chooses."""
        for key in self._values:
            yield key, self.table(key)

    def open_text(self, key: str) -> None:
        """Turn an entry that the environment holds as TOML text into the table it means."""
        value = self._values.get(key)
        if isinstance(value, EnvText):
            try:
                self._values[key] = tomllib.loads(f"value = {value}")["value"]
            except tomllib.TOMLDecodeError:
                return  # reading it as a table will say what is wrong

    def settings(self) -> Iterator[SettingView]:
        """Every value that was read from this table and those below, in the order of reading. No secrets."""
        yield from self._read
        for child in self._children:
            yield from child.settings()

    def _note(self, key: str, value: object, *, is_default: bool = False, is_secret: bool = False) -> None:
        name = self._join(key)
        if is_default:
            source, where = SettingSource.DEFAULT, ""
        elif isinstance(self._values[key], EnvText):
            source, where = SettingSource.ENVIRONMENT, _variable(name)
        else:
            source, where = SettingSource.FILE, str(self._source)
        self._read.append(SettingView(name, _readable(value), source, where, is_secret))

    def report(self, key: str, value: object, remedy: str) -> None:
        """Note a problem with a key of this table."""
        self._problems.append(ConfigProblem(self._join(key), shown(value), remedy))

    def report_unknown(self) -> None:
        """Note every key that nobody asked for, in this table and all below."""
        for key, value in self._values.items():
            if key not in self._asked:
                self.report(key, self._showable(key, value), self._unknown_remedy(key))
        for child in self._children:
            child.report_unknown()

    def _showable(self, key: str, value: object) -> object:
        """The value of an unknown key, unless it may be, or hold, a secret whose name was misspelt."""
        if isinstance(value, dict | list):
            return None
        return MASK if self._has_secrets or _LIKE_A_SECRET.search(key) else value

    def _unknown_remedy(self, key: str) -> str:
        close = difflib.get_close_matches(key.lower().replace("_", "-"), sorted(self._asked), n=1, cutoff=0.6)
        if close:
            return f"There is no such key. Did you mean {self._join(close[0])}?"
        known = ", ".join(sorted(self._asked)) or "none"
        return f"There is no such key. Remove it. Known here: {known}."

    def _join(self, key: str) -> str:
        return ".".join(part for part in (self._path, key) if part)


def shown(value: object) -> str | None:
    """A value as a problem shows it: one line, cut."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _variable(key: str) -> str:
    """The variable that stands for a key."""
    return PREFIX + key.replace(".", "__").replace("-", "_").upper()


def _readable(value: object) -> str | None:
    """A value as the settings show it: as the file would have it, without the quotes of a text."""
    if value is None or value == "":
        return None
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(_readable(item)) for item in value) or None
    return str(value) if isinstance(value, str | float) else json.dumps(value, ensure_ascii=False, default=str)
