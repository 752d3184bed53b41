"""Reads YAML as plain data with line numbers. Tags, aliases and duplicate keys are rejected.

Values are read as YAML 1.2: `no` is text (a language), not false, and dates stay text. Aliases are rejected because a
file of a few lines could expand to gigabytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

MAX_DEPTH = 64  # as for JSON in the contract
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class YamlRefused(ValueError):
    """The file is invalid. detail: the message; line: counted from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class YamlNode:
    """A value with its line. value: text, a list of nodes, or nodes by key.

    is_plain: the text is unquoted, so that it may mean a number, a boolean or null.
    """

    line: int
    value: "str | list[YamlNode] | dict[str, YamlNode]"
    is_plain: bool = False

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.value in _CONSTANTS and _CONSTANTS[str(self.value)] is None

    def to_json(self) -> Any:
        """The data of this node as JSON types."""
        if isinstance(self.value, list):
            return [node.to_json() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.to_json() for key, node in self.value.items()}
        return _scalar(self.value) if self.is_plain else self.value

    def to_texts(self) -> Any:
        """The data of this node with every value as its text in the file, None for null."""
        if isinstance(self.value, list):
            return [node.to_texts() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.to_texts() for key, node in self.value.items()}
        return None if self.is_null else self.value


def _scalar(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def read_yaml(data: bytes) -> YamlNode:
    """The one document of a file. Raises YamlRefused."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # five times as fast, if PyYAML was built with it
    try:
        return _document(yaml.parse(data, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(filter(None, [error.context, error.problem]))
        raise YamlRefused(mark.line + 1 if mark else 1, f"This is not YAML: {message}.") from None
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
        raise YamlRefused(_line(after), "A second document begins here. A file may have one only.")
    return node


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _node(event: Any, events: Iterator[Any], depth: int) -> YamlNode:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise YamlRefused(line, "Anchors and aliases (& and *) are not supported. Use a template for repeated values.")
    if event.tag is not None and event.tag != "!":
        raise YamlRefused(line, f"The tag {event.tag} is not supported. Write plain values.")
    if depth > MAX_DEPTH:
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
    nodes: dict[str, YamlNode] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, depth + 1)
        if not isinstance(key.value, str):
            _refuse_key(key)
        if key.value in nodes:
            raise YamlRefused(key.line, f"Duplicate key {key.value}; first on line {nodes[key.value].line}.")
        nodes[key.value] = _node(next(events), events, depth + 1)
    return nodes


def _refuse_key(key: YamlNode) -> NoReturn:
    raise YamlRefused(key.line, "A key has to be text.")
