"""A strict JSON parser, which refuses everything that parsers interpret differently.

Refuses malformed JSON, invalid UTF-8, duplicate keys at any depth (RFC 8259 section 4 leaves their meaning open),
more than 64 levels of nesting, lone surrogates, NaN and Infinity, and numbers outside the range of a double.
"""

import json
import math
import re
from typing import Any, NoReturn

from latchstring.domain.errors import Unreadable

MAX_DEPTH = 64
# Matches from each quote, closed or not, and never backtracks: a body of escaped quotes must not take quadratic time.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> Any:
    """Parse a JSON text. Raises Unreadable for everything that the docstring of this module lists."""
    check_depth(body)
    try:
        value = DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):  # more than 4300 digits; nesting is checked above
        raise Unreadable("The body has a number that is too long.") from None
    if _SURROGATE.search(body):
        check_surrogates(value)
    return value


def check_depth(body: bytes, max_depth: int = MAX_DEPTH) -> None:
    """Count brackets outside strings before parsing, because the parser is recursive. Raises Unreadable."""
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    depth = 0
    for bracket in _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise Unreadable(f"The body is nested deeper than {MAX_DEPTH} levels.", code="nested-too-deep")


def check_surrogates(value: object) -> None:
    """Raise Unreadable for lone surrogates, which cannot be encoded as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable("The body has half of a surrogate pair, which is no character.") from None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("The body has the same key twice in one object.", code="duplicate-key")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON.")


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Unreadable("The body has a number that is too large.")
    return value


DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant, parse_float=_parse_finite
)
