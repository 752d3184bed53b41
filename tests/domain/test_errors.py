"""The tree in the docstring of domain/errors.py equals the tree of its classes."""

import re
from collections.abc import Iterator

from latchstring.domain import errors
from latchstring.domain.errors import LatchstringError

NAME = re.compile(r"[A-Z][A-Za-z]+")


def list_classes_in_docstring(text: str) -> Iterator[tuple[str, str]]:
    """Return class and base of every name in the tree. Names on one line are siblings; other words are comments."""
    path = [LatchstringError.__name__]
    for line in text.splitlines():
        branch = re.match(r"    ([│ ]*)[├└]── (.*)", line)
        if branch is not None:
            depth = len(branch[1]) // 4 + 1
            names = [word for word in re.split(r"\s{2,}", branch[2]) if NAME.fullmatch(word)]
            yield from ((name, path[depth - 1]) for name in names)
            path[depth:] = names[-1:]


def list_defined_classes() -> Iterator[tuple[str, str]]:
    """Return class and base of every error that the module defines."""
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, LatchstringError) and value is not LatchstringError:
            yield value.__name__, value.__bases__[0].__name__


def test_the_tree_in_the_docstring_has_every_error_below_its_base() -> None:
    assert sorted(list_classes_in_docstring(errors.__doc__ or "")) == sorted(list_defined_classes())
