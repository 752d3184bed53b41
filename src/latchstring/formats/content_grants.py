"""Rights on content objects as text: `type/key:ROLE`."""

from typing import Literal, get_args

ContentRoleName = Literal["VIEWER", "EDITOR", "MAINTAINER"]  # the names of domain.grant.ContentRole
CONTENT_ROLE_NAMES: tuple[ContentRoleName, ...] = get_args(ContentRoleName)


def split_content_grant(text: str) -> tuple[str, str, str] | None:
    """Type, key and role in capitals, without blanks around them; None where a separator is missing.

    The parts themselves are not checked.
    """
    name, colon, role = text.rpartition(":")
    type_, slash, key = name.partition("/")
    if not (colon and slash):
        return None
    return type_.strip(), key.strip(), role.strip().upper()


def parse_content_grant(text: str) -> tuple[str, str, str] | None:
    """Type, key and role of text without blanks and with a known role, in any case; None where it is something else."""
    grant = split_content_grant(text)
    if grant is None or any(character.isspace() for character in text):
        return None
    type_, key, role = grant
    has_parts = type_ and key and not {"/", ":"}.intersection(type_ + key)
    return grant if has_parts and role in CONTENT_ROLE_NAMES else None


def format_content_grant(type_: str, key: str, role: str) -> str:
    """The text that `parse_content_grant` reads."""
    return f"{type_}/{key}:{role}"


def split_content_name(name: str) -> tuple[str, str]:
    """Type and key of `type/key`, unchecked; the key is empty where there is no slash."""
    type_, _, key = name.partition("/")
    return type_, key
