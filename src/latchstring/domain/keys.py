"""Keys: the names of roles, groups, content objects, templates and lists in addresses and files."""

import re

LONGEST_KEY = 200
KEY_PATTERN = f"^[A-Za-z0-9][A-Za-z0-9._~-]{{0,{LONGEST_KEY - 1}}}$"  # the contract's; no comma, no semicolon
_KEY = re.compile(KEY_PATTERN[1:-1])


def is_key(text: str) -> bool:
    """Whether this can be a key."""
    return _KEY.fullmatch(text) is not None
