"""Every error code has a status, a title and a documentation page, and there are no other pages."""

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


def list_raised_errors(error: type[LatchstringError] = LatchstringError) -> list[type[LatchstringError]]:
    """List the errors that are raised: those with a code of their own."""
    errors_below = [error_class for child in error.__subclasses__() for error_class in list_raised_errors(child)]
    return [*errors_below, error] if "code" in vars(error) else errors_below


@pytest.mark.parametrize("error", list_raised_errors(), ids=lambda error: error.__name__)
def test_every_error_has_a_status_and_a_page(error: type[LatchstringError]) -> None:
    assert problem_type(error).status >= 400
    assert read_problem_page(error.code)


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_code_has_a_page_with_its_sections(code: str) -> None:
    text = (problem_pages() / f"{code}.md").read_text()
    assert text.startswith(f"# {PROBLEMS[code].title}\n`{code}` · status {PROBLEMS[code].status}")
    page = read_problem_page(code)
    assert re.findall("<h2>(.*)</h2>", page) == ["What happened", "What to do"]
    assert page.endswith("</ul>\n")


def test_every_page_has_a_code() -> None:
    assert {page.name.removesuffix(".md") for page in problem_pages().iterdir()} == set(PROBLEMS)


def test_titles_are_unique() -> None:
    titles = [problem_type.title for problem_type in PROBLEMS.values()]
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
def test_each_branch_of_the_tree_has_one_status(root: type[LatchstringError], status: int) -> None:
    assert {problem_type(error).status for error in list_raised_errors(root)} == {status}


def test_terms_required_has_two_statuses() -> None:
    assert TermsOutdated.code == errors.TermsRequired.code
    assert issubclass(errors.TermsRequired, InvalidFields)
    assert (problem_type(errors.TermsRequired).status, problem_type(TermsOutdated).status) == (422, 403)
