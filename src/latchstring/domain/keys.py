"""Keys: the names of roles, groups, content objects, templates and lists in URLs and files."""

import re

MAX_KEY_LENGTH = 200
KEY_PATTERN = (
    f"^[A-Za-z0-9][A-Za-z0-9._~-]{{0,{MAX_KEY_LENGTH - 1}}}$"  # part of the API contract; no comma, no semicolon
)
_KEY = re.compile(KEY_PATTERN[1:-1])


def is_key(text: str) -> bool:
    """Whether the text is a valid key."""
    return _KEY.fullmatch(text) is not None
