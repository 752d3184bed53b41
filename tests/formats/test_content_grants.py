"""Content grants as text: `type/key:ROLE`."""

import pytest

from latchstring.domain.grant import ContentRole
from latchstring.formats.content_grants import (
    CONTENT_ROLE_NAMES,
    format_content_grant,
    parse_content_grant,
    split_content_grant,
)


def test_the_role_may_be_in_lower_case() -> None:
    assert parse_content_grant("articles/welcome:editor") == ("articles", "welcome", "EDITOR")


@pytest.mark.parametrize("role", CONTENT_ROLE_NAMES)
def test_a_formatted_grant_can_be_parsed(role: str) -> None:
    assert parse_content_grant(format_content_grant("articles", "welcome", role)) == ("articles", "welcome", role)


@pytest.mark.parametrize(
    "text",
    ["", "articles", "articles/welcome", "welcome:EDITOR", "/welcome:EDITOR", "articles/:EDITOR", "a/b/c:EDITOR",
     "a/b:c:EDITOR", "a:b/c:EDITOR", "articles/welcome:OWNER", "articles/welcome:", " articles/welcome:EDITOR",
     "articles/welcome: EDITOR"],
)  # fmt: skip
def test_other_text_is_refused_as_a_grant(text: str) -> None:
    assert parse_content_grant(text) is None


def test_a_cell_may_have_blanks_and_is_checked_later() -> None:
    assert split_content_grant(" articles / wel come : owner ") == ("articles", "wel come", "OWNER")
    assert split_content_grant("articles:EDITOR") is None


def test_the_role_names_are_those_of_the_enum() -> None:
    assert tuple(ContentRole.__members__) == CONTENT_ROLE_NAMES
