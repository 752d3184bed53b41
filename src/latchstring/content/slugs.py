"""Keys of objects, derived from their titles."""

import secrets
from collections.abc import Iterator

from slugify import slugify

RESERVED = frozenset({"accept", "invitations"})  # `/content/{type}/invitations/accept` and the like are paths
MAX_SLUG_LENGTH = 180  # of the 200 characters of a key; the rest is for suffixes
NUMBERED_CANDIDATES = 5
RANDOM_CANDIDATES = 3
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # without letters and digits that look alike


def list_candidates(title: str, *, fallback: str) -> Iterator[str]:
    """Keys to try, in this order: the slug, the slug with a number, the slug with 40 random bits.

    fallback: replaces the slug of a title without any letter or digit, such as one of emoji.
    """
    slug = slugify(title, max_length=MAX_SLUG_LENGTH, word_boundary=True, save_order=True)
    if slug:
        if slug not in RESERVED:
            yield slug
        for number in range(2, NUMBERED_CANDIDATES + 1):
            yield f"{slug}-{number}"
    for _ in range(RANDOM_CANDIDATES):
        yield f"{slug or fallback[:MAX_SLUG_LENGTH]}-{''.join(secrets.choice(_LETTERS) for _ in range(8))}"
