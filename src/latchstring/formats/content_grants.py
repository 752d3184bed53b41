"""Rights on content objects as text: `type/key:ROLE`."""

from typing import Literal, get_args

ContentRoleName = Literal["VIEWER", "EDITOR", "MAINTAINER"]  # the names of domain.grant.ContentRole
CONTENT_ROLE_NAMES: tuple[ContentRoleName, ...] = get_args(ContentRoleName)


def split_content_grant(text: str) -> tuple[str, str, str] | None:
    """Split into type, key and role, without checking them. The role is upper-cased, blanks around each are removed.

    Returns None if a separator is missing.
    """
    name, colon, role = text.rpartition(":")
    type_, slash, key = name.partition("/")
    if not (colon and slash):
        return None
    return type_.strip(), key.strip(), role.strip().upper()


def parse_content_grant(text: str) -> tuple[str, str, str] | None:
    """Parse type, key and role; the role in upper case. Returns None for blanks, an unknown role or another form."""
    grant = split_content_grant(text)
    if grant is None or any(character.isspace() for character in text):
        return None
    type_, key, role = grant
    has_parts = type_ and key and not {"/", ":"}.intersection(type_ + key)
    return grant if has_parts and role in CONTENT_ROLE_NAMES else None


def format_content_grant(type_: str, key: str, role: str) -> str:
    """Format a grant as the text that `parse_content_grant` reads."""
    return f"{type_}/{key}:{role}"


def split_content_name(name: str) -> tuple[str, str]:
    """Split `type/key` into type and key, without checking them. The key is empty without a slash."""
    type_, _, key = name.partition("/")
    return type_, key
