"""Every refusal has its row in the table and its page in the documentation, and nothing else has."""

import re

import pytest

from latchstring.domain import errors
from latchstring.domain.errors import (
    InvalidFields,
    LatchstringError,
    NotFound,
    TermsOutdated,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    WrongState,
)
from latchstring.http.problems import PROBLEMS, problem_type
from latchstring.rest.docs_pages import problem_pages, read_problem_page


def leaves(error: type[LatchstringError] = LatchstringError) -> list[type[LatchstringError]]:
    """The errors of the tree that are raised: those with a code of their own."""
    found = [leaf for child in error.__subclasses__() for leaf in leaves(child)]
    return [*found, error] if "code" in vars(error) else found


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_every_leaf_of_the_tree_has_a_row_and_a_page(leaf: type[LatchstringError]) -> None:
    assert problem_type(leaf).status >= 400
    assert read_problem_page(leaf.code)


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_row_has_a_page_that_says_what_happened_and_what_to_do(code: str) -> None:
    text = (problem_pages() / f"{code}.md").read_text()
    assert text.startswith(f"# {PROBLEMS[code].title}\n`{code}` · status {PROBLEMS[code].status}")
    page = read_problem_page(code)
    assert re.findall("<h2>(.*)</h2>", page) == ["What happened", "What to do"]
    assert page.endswith("</ul>\n")


def test_no_page_is_left_over() -> None:
    assert {page.name.removesuffix(".md") for page in problem_pages().iterdir()} == set(PROBLEMS)


def test_titles_are_told_apart() -> None:
    titles = [kind.title for kind in PROBLEMS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("root", "status"),
    [
        (Unauthenticated, 401),
        (NotFound, 404),
        (WrongState, 409),
        (errors.LinkEnded, 410),
        (TooManyRequests, 429),
        (Unavailable, 503),
    ],
)
def test_a_branch_of_the_tree_has_one_status(root: type[LatchstringError], status: int) -> None:
    assert {problem_type(leaf).status for leaf in leaves(root)} == {status}


def test_missing_consent_is_a_field_and_outdated_consent_a_refusal() -> None:
    assert TermsOutdated.code == errors.TermsRequired.code
    assert issubclass(errors.TermsRequired, InvalidFields)
    assert (problem_type(errors.TermsRequired).status, problem_type(TermsOutdated).status) == (422, 403)
