"""Names follow the glossary: docs/glossary.md has the terms, and the words below are the ones that they replaced.

Words that ordinary names need as well, such as `left` and `order`, are not here: a test cannot tell which is meant.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE, TESTS, DOCS = ROOT / "src" / "latchstring", ROOT / "tests", ROOT / "docs"

# Anywhere in a name: `leaf` is in `LeafLink` and in `leaf_of`.
WORDS = [
    "stretch",
    "stride",
    "leaf",
    "leafing",
    "shelf",
    "shelves",
    "finder",
    "lane",
    "lanes",
    "strand",
    "strands",
    "knot",
    "knots",
    "weave",
    "deed",
    "deeds",
    "verdict",
    "verdicts",
    "judge",
    "judged",
    "judging",
    "twin",
    "twins",
    "believing",
    "fate",
    "fates",
    "untried",
    "bell",
    "bells",
    "stranger",
    "strangers",
    "veiled",
    "heir",
    "heirs",
    "elsewhere",
    "gate",
    "anybody",
    "standing",
    "standings",
    "keeping",
    "recognise",
    "speaking",
    "house",
    "houses",
    "door",
    "doors",
    "desk",
    "desks",
    "office",
    "offices",
    "city",
    "cities",
    "stage",
]

# Only as the whole name: `is_void` is fine, `void` is not.
WHOLE_NAMES = [
    "place",
    "places",
    "position",
    "positions",
    "sorting",
    "along",
    "beginning",
    "walk",
    "walked",
    "walks",
    "cut",
    "cuts",
    "cut_at",
    "act",
    "ring",
    "hear",
    "wake",
    "past",
    "left_over",
    "opened",
    "offer",
    "offers",
    "found",
    "one",
    "said",
    "told",
    "told_members",
    "asked",
    "wanted",
    "shown",
    "held",
    "kept",
    "made",
    "void",
    "acts",
    "shows",
    "looks",
    "looked",
    "standing_at",
    "seen_by",
    "within_sight",
    "require_a_way",
    "is_closed_to_strangers",
    "open_page",
    "at_dot",
    "not_let_in",
    "keep_house",
    "parts",
    "visit",
    "visits",
    "he",
    "his",
    "him",
]

# Names that stay, each with its reason.
EXCEPTIONS = {
    ("void", "api/invitation_views.py"),  # a field of the API: a grant whose target is gone
    ("kept", "api/invitation_views.py"),  # a field of the API: what an acceptance did not change
}

PHRASES = [
    "This credential is not good",
    "This is no link of ours",
    "A key stands twice in one object",
    "Some fields need another look",
    "Nothing left to give",
    "Something broke on our side",
    "The link has run out",
    "There is nothing here",
    "That were many invitations in a short time",
    "Nothing was changed. Everything was so already.",
    "The first link no longer opens the door",
    "Around it",
    "How it is",
    "Look on",
    "{% trans %}About{% endtrans %}",
    "whoever looks after users",
    "Somebody said no",
    "has run out",
    "one of ours",
    "given up",
]


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
def files_by_name() -> Mapping[str, set[str]]:
    """The files that give each name, in small letters."""
    files: defaultdict[str, set[str]] = defaultdict(set)
    for path in python_files():
        root = SOURCE if path.is_relative_to(SOURCE) else ROOT
        for name in names_of(path):
            files[words_of(name)].add(path.relative_to(root).as_posix())
    return files


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
    assert {name: files for name, files in files_by_name().items() if word in name.split("_")} == {}


@pytest.mark.parametrize("name", WHOLE_NAMES)
def test_no_name_is_a_replaced_one(name: str) -> None:
    assert {file for file in files_by_name().get(name, ()) if (name, file) not in EXCEPTIONS} == set()


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_has_a_replaced_phrase_in_it(phrase: str) -> None:
    assert phrase not in readable_text()
