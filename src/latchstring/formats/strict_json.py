"""JSON read strictly: what two readers could understand differently is refused.

Refused are broken JSON, invalid UTF-8, duplicate keys at any depth (RFC 8259 section 4 leaves their meaning open),
nesting over 64, lone surrogates, NaN and Infinity, and numbers no double holds.
"""

import json
import math
import re
from typing import Any, NoReturn

from latchstring.domain.errors import Unreadable

DEEPEST = 64
# Matches from every quote on, closed or not, and never backtracks: a body of escaped quotes must not cost its square.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Unreadable for everything this module's head names."""
    check_depth(body)
    try:
        value = DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):  # an integer of more than 4300 digits; brackets are counted above
        raise Unreadable("The body has a number that is too long.") from None
    if _SURROGATE.search(body):
        check_surrogates(value)
    return value


def check_depth(body: bytes, deepest: int = DEEPEST) -> None:
    """Count brackets outside strings before parsing: the parser recurses, and an attacker chooses how deep."""
    if body.count(b"[") + body.count(b"{") <= deepest:
        return
    depth = 0
    for bracket in _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > deepest:
            raise Unreadable(f"The body is nested deeper than {DEEPEST} levels.", code="nested-too-deep")


def check_surrogates(value: object) -> None:
    """Raise Unreadable for text that cannot be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable("The body has half of a surrogate pair, which is no character.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("The body has the same key twice in one object.", code="duplicate-key")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Unreadable("The body has a number that is too large.")
    return value


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
