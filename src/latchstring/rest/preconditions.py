"""`If-Match` and `If-None-Match` (RFC 9110, sections 13.1.1 and 13.1.2)."""

import re
from dataclasses import dataclass

from starlette.types import Scope

from latchstring.http.scope import list_header

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)|\s*,')


@dataclass(frozen=True, slots=True)
class Tags:
    """The entity tags of a header, without quotes. is_any: the header is `*`."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    is_any: bool = False


def read_tags(scope: Scope, name: bytes) -> Tags | None:
    """Parse the tags of all headers of this name, None without one. A malformed header has no tags."""
    lines = list_header(scope, name)
    if not lines:
        return None
    text = b",".join(lines).decode("latin-1").strip()
    if text == "*":
        return Tags(is_any=True)
    strong_and_weak: tuple[set[str], set[str]] = (set(), set())
    offset = 0
    while offset < len(text):
        tag = _TAG.match(text, offset)
        if tag is None:
            return Tags()
        if tag[2] is not None:
            strong_and_weak[bool(tag[1])].add(tag[2])
        offset = tag.end()
    return Tags(frozenset(strong_and_weak[0]), frozenset(strong_and_weak[1]))
