"""Keys of objects, made from their titles."""

import secrets
from collections.abc import Iterator

from slugify import slugify

RESERVED = frozenset({"accept", "invitations"})  # `/content/{type}/invitations/accept` and the like are paths
LONGEST = 180  # of the 200 a key may have; the rest is for what tells equal titles apart
NUMBERED = 5
RANDOM = 3
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # without those that look like others


def list_candidates(title: str, *, otherwise: str) -> Iterator[str]:
    """Keys to try in this order: the slug itself, then numbered, then with 40 random bits.

    otherwise: begins the key of a title without a letter or digit in any script, such as one of emoji.
    """
    slug = slugify(title, max_length=LONGEST, word_boundary=True, save_order=True)
    if slug:
        if slug not in RESERVED:
            yield slug
        for number in range(2, NUMBERED + 1):
            yield f"{slug}-{number}"
    for _ in range(RANDOM):
        yield f"{slug or otherwise[:LONGEST]}-{''.join(secrets.choice(_LETTERS) for _ in range(8))}"
