"""Rows of a JSON array are parsed from chunks of any size, and invalid JSON is refused early."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchstring.domain.errors import Unreadable
from latchstring.formats.json_rows import JsonRows
from latchstring.formats.uploads import MAX_ROW_BYTES

DOCUMENTS = [
    '[{"email": "a@b.test", "groups": ["x", "y"], "n": -12.5e+3}, {}, [], "x", 1]',
    "[ 1.5 , -2e+10,0.25,-0, 12345678901234567890 ,true,false,null]",
    r'["\u00e4\ud83d\ude00\\", "\"[{", "]", "ä😀", "\\\\\""]',
    '[[[1], {"a": {"b": [null]}}],\n\t"",\r\n{"": ""}]',
    "[]",
    "[0]",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aä"\\[]{},:😀'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"', max_size=2), inner, max_size=3),
    max_leaves=8,
)


def read_chunks(*chunks: bytes) -> list[Any]:
    parser, rows = JsonRows(), list[Any]()
    for chunk in chunks:
        rows += parser.feed(chunk)
    return rows + parser.feed(b"", final=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_rows_do_not_depend_on_the_size_of_the_chunks(document: str, size: int) -> None:
    body = document.encode()
    assert read_chunks(*(body[offset : offset + size] for offset in range(0, len(body), size))) == json.loads(document)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_body_may_be_split_anywhere_but_not_truncated(document: str) -> None:
    body = document.encode()
    for end in range(1, len(body)):
        parser = JsonRows()
        rows = parser.feed(body[:end])
        assert rows + parser.feed(body[end:]) + parser.feed(b"", final=True) == json.loads(document)
        with pytest.raises(Unreadable) as caught:
            read_chunks(body[:end])
        assert caught.value.code == "unreadable"


@given(
    st.lists(VALUES, max_size=4), st.lists(st.integers(0, 400), max_size=5), st.booleans(), st.sampled_from([None, 1])
)
def test_any_array_is_read_from_chunks_of_any_size(
    rows: list[Any],
    offsets: list[int],
    escaped: bool,  # noqa: FBT001  # hypothesis passes it by position
    indent: int | None,
) -> None:
    body = json.dumps(rows, ensure_ascii=escaped, indent=indent).encode()
    boundaries = sorted({0, len(body), *(offset for offset in offsets if offset < len(body))})
    assert read_chunks(*(body[start:end] for start, end in pairwise(boundaries))) == rows


@pytest.mark.parametrize(
    "broken",
    [
        b'[{"a" 1}', b'[{"a": 1, {"b": 2}, ', b'[{"a": nope, "b": 2', b"[{'a': 1", b"[tru]", b"[1 2", b"[}", b"[,",
        b'["a\nb', b'["\\x", ', b'[{"a": 1,}, ', b"[1.]", b"[01]", b"[-]", b"[{]}", b"{", b"[] []", b'["a" "b"',
    ],
)  # fmt: skip
def test_invalid_json_is_refused_before_the_body_ends(broken: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        JsonRows().feed(broken)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'[{"a": 1, "a": 2}]', "duplicate-key"),
        (b'[1, {"a": {"b": 1, "b": 1}}]', "duplicate-key"),
        (b"[" * 66 + b"]" * 66, "nested-too-deep"),
        (b"[" * 100_000, "nested-too-deep"),
        (b'["\\ud800"]', "unreadable"),
        (b"[NaN]", "unreadable"),
        (b"[-Infinity]", "unreadable"),
        (b"[1e999]", "unreadable"),
        (b"[" + b"9" * 5000 + b"]", "unreadable"),
        (b'["\xff"]', "unreadable"),
        (b"", "unreadable"),
    ],
)
@pytest.mark.parametrize("size", [1, 64 * 1024])
def test_ambiguous_json_is_refused(body: bytes, code: str, size: int) -> None:
    if size == 1 and len(body) > 10_000:
        size = 1000
    with pytest.raises(Unreadable) as caught:
        read_chunks(*(body[offset : offset + size] for offset in range(0, len(body), size)))
    assert caught.value.code == code


@pytest.mark.parametrize("opening", [b'"', b'{"a": "', b'{"a": [1, "', b'[{}, {"a'])
def test_an_unclosed_item_is_refused_once_it_is_too_large(opening: bytes) -> None:
    parser = JsonRows()
    parser.feed(b"[1, " + opening)
    with pytest.raises(Unreadable) as caught:
        feed_often(parser, b"12" * 30_000, times=2 * MAX_ROW_BYTES // 60_000)
    assert caught.value.code == "body-too-large"


def feed_often(parser: JsonRows, chunk: bytes, *, times: int) -> None:
    for _ in range(times):
        parser.feed(chunk)


def test_integers_and_decimals_keep_their_type() -> None:
    (integer, decimal) = read_chunks(b"[1, 1.0]")
    assert isinstance(integer, int)
    assert isinstance(decimal, float)
    assert math.isclose(decimal, 1)
