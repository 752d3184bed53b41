"""Names follow the glossary: docs/glossary.md has the terms, and the words below are the ones that they replaced.

Each number is how often a word may still occur. It may only fall. Words that ordinary sentences need as well, such as
`left` and `order`, cannot be told from the replaced ones and are not here.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE, TESTS, DOCS = ROOT / "src" / "latchstring", ROOT / "tests", ROOT / "docs"

# Anywhere in a name: `leaf` is in `LeafLink` and in `leaf_of`.
WORDS: dict[str, int] = {
    "stretch": 0,
    "stride": 0,
    "leaf": 5,
    "leafing": 0,
    "shelf": 0,
    "shelves": 0,
    "finder": 2,
    "lane": 0,
    "lanes": 1,
    "strand": 0,
    "strands": 0,
    "knot": 12,
    "knots": 6,
    "weave": 0,
    "deed": 17,
    "deeds": 1,
    "verdict": 14,
    "verdicts": 11,
    "judge": 6,
    "judged": 9,
    "judging": 1,
    "twin": 1,
    "twins": 5,
    "believing": 0,
    "fate": 1,
    "fates": 0,
    "untried": 0,
    "bell": 2,
    "bells": 0,
    "stranger": 39,
    "strangers": 15,
    "veiled": 0,
    "heir": 24,
    "heirs": 3,
    "elsewhere": 8,
    "gate": 6,
    "anybody": 5,
    "standing": 32,
    "standings": 4,
    "keeping": 1,
    "recognise": 0,
    "speaking": 0,
    "house": 4,
    "houses": 0,
    "door": 3,
    "doors": 0,
    "desk": 0,
    "desks": 0,
    "office": 0,
    "offices": 0,
    "city": 0,
    "cities": 0,
    "stage": 20,
}

# Only as the whole name: `is_void` is fine, `void` is not.
WHOLE_NAMES: dict[str, int] = {
    "place": 29,
    "places": 4,
    "position": 0,
    "positions": 0,
    "sorting": 0,
    "along": 0,
    "beginning": 0,
    "walk": 0,
    "walked": 0,
    "walks": 0,
    "cut": 2,
    "cuts": 1,
    "cut_at": 0,
    "act": 7,
    "ring": 2,
    "hear": 1,
    "wake": 19,
    "past": 12,
    "left_over": 1,
    "opened": 19,
    "offer": 2,
    "offers": 0,
    "found": 354,
    "one": 447,
    "said": 24,
    "told": 29,
    "may_reveal_membership": 1,
    "asked": 38,
    "wanted": 79,
    "shown": 94,
    "held": 51,
    "kept": 42,
    "made": 359,
    "void": 5,
    "acts": 3,
    "shows": 0,
    "looks": 2,
    "looked": 4,
    "standing_at": 0,
    "seen_by": 0,
    "within_sight": 0,
    "require_a_way": 0,
    "is_closed_to_strangers": 1,
    "open_page": 1,
    "at_dot": 0,
    "not_let_in": 1,
    "keep_house": 0,
    "noop": 1,
    "parts": 35,
    "world": 1,
    "visit": 70,
    "visits": 13,
    "he": 0,
    "his": 0,
    "him": 0,
}

PHRASES: dict[str, int] = {
    "This credential is not good": 0,
    "This is no link of ours": 0,
    "A key stands twice in one object": 0,
    "Some fields need another look": 0,
    "Nothing left to give": 1,
    "Something broke on our side": 0,
    "The link has run out": 0,
    "There is nothing here": 0,
    "That were many invitations in a short time": 0,
    "Nothing was changed. Everything was so already.": 0,
    "The first link no longer opens the door": 0,
    "Around it": 0,
    "How it is": 1,
    "Look on": 1,
    "{% trans %}About{% endtrans %}": 0,
    "whoever looks after users": 1,
    "Somebody said no": 0,
}


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(sorted([*SOURCE.rglob("*.py"), *TESTS.rglob("*.py")]))


def names_of(path: Path) -> Iterator[str]:
    """Every name that a file gives: its own, and those of classes, functions, parameters and variables."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.alias(asname=str() as name):
                yield name


def words_of(name: str) -> str:
    """The name in small letters with `_` between its words."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub("_+", "_", spaced).strip("_").lower()


@cache
def given_names() -> Counter[str]:
    """How often each name is given, in small letters."""
    return Counter(words_of(name) for path in python_files() for name in names_of(path))


@cache
def count_words() -> Counter[str]:
    """How often each word is part of a name, once for each name."""
    counts: Counter[str] = Counter()
    for name, count in given_names().items():
        for word in set(name.split("_")):
            counts[word] += count
    return counts


@cache
def readable_text() -> str:
    """Templates, sources and docs as one text without line breaks. The glossary and the records are not in it."""
    pages = [path for kind in ("html", "txt", "mjml", "py") for path in SOURCE.rglob(f"*.{kind}")]
    guides = [*DOCS.glob("*.md"), *(DOCS / "problems").glob("*.md"), ROOT / "README.md"]
    texts = (path.read_text(encoding="utf-8") for path in [*pages, *guides] if path.name != "glossary.md")
    return re.sub(r"\s+", " ", " ".join(texts))


def test_no_class_name_is_used_twice() -> None:
    classes = Counter(
        node.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("word", WORDS)
def test_no_name_has_a_replaced_word_in_it(word: str) -> None:
    assert count_words()[word] <= WORDS[word]


@pytest.mark.parametrize("name", WHOLE_NAMES)
def test_no_name_is_a_replaced_one(name: str) -> None:
    assert given_names()[name] <= WHOLE_NAMES[name]


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_has_a_replaced_phrase_in_it(phrase: str) -> None:
    assert readable_text().count(phrase) <= PHRASES[phrase]
