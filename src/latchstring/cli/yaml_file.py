"""Reading YAML as plain data that knows its lines: no objects, no aliases, no key twice.

Values are read by YAML 1.2: `no` is a language, not a falsehood, and dates stay text. Aliases are refused: a file of a
few lines could unfold to gigabytes with them, and what repeats is a template's to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

DEEPEST = 64  # as for JSON in the contract
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class YamlRefused(ValueError):
    """The file cannot be read. The text says what to mend; line counts from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class YamlNode:
    """A value with the line it begins on. value: text, a list of nodes, or nodes by key.

    is_plain: text without quotes, which may mean a number, a truth or nothing.
    """

    line: int
    value: "str | list[YamlNode] | dict[str, YamlNode]"
    is_plain: bool = False

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.value in _WORDS and _WORDS[str(self.value)] is None

    def plain(self) -> Any:
        """The data below as JSON would hold them."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return _scalar(self.value) if self.is_plain else self.value

    def texts(self) -> Any:
        """The data below with every value as the text it was written as, None where nothing is written."""
        if isinstance(self.value, list):
            return [node.texts() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.texts() for key, node in self.value.items()}
        return None if self.is_null else self.value


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def read_yaml(data: bytes) -> YamlNode:
    """The one document of a file. Raises YamlRefused."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # five times as fast where it was built with it
    try:
        return _document(yaml.parse(data, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(filter(None, [error.context, error.problem]))
        raise YamlRefused(mark.line + 1 if mark else 1, f"This is not YAML: {words}.") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise YamlRefused(1, f"This is not text: {error}") from None


def _document(events: Iterator[Any]) -> YamlNode:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            break
    else:
        raise YamlRefused(1, "The file is empty.")
    node = _node(next(events), events, 0)
    next(events)
    if not isinstance(after := next(events), yaml.StreamEndEvent):
        raise YamlRefused(_line(after), "A second document begins here. Keep one in a file.")
    return node


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _node(event: Any, events: Iterator[Any], depth: int) -> YamlNode:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise YamlRefused(line, "Anchors and aliases (& and *) are not read. A template says once what repeats.")
    if event.tag is not None and event.tag != "!":
        raise YamlRefused(line, f"The tag {event.tag} is not read. Write plain values.")
    if depth > DEEPEST:
        raise YamlRefused(line, "This is nested too deeply.")
    if isinstance(event, yaml.ScalarEvent):
        return YamlNode(line, event.value, is_plain=bool(event.implicit[0]))
    if isinstance(event, yaml.SequenceStartEvent):
        return YamlNode(line, list(_items(events, depth)))
    return YamlNode(line, _pairs(events, depth))


def _items(events: Iterator[Any], depth: int) -> Iterator[YamlNode]:
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        yield _node(event, events, depth + 1)


def _pairs(events: Iterator[Any], depth: int) -> dict[str, YamlNode]:
    found: dict[str, YamlNode] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, depth + 1)
        if not isinstance(key.value, str):
            _refuse_key(key)
        if key.value in found:
            raise YamlRefused(key.line, f"{key.value} stands here twice; first on line {found[key.value].line}.")
        found[key.value] = _node(next(events), events, depth + 1)
    return found


def _refuse_key(key: YamlNode) -> NoReturn:
    raise YamlRefused(key.line, "A key is a word.")
