"""Language tags (BCP 47, RFC 5646)."""

import re

MAX_LANGUAGE_TAG_LENGTH = 35  # RFC 5646 section 4.4.1: the length that every implementation supports
_LANGUAGE_TAG = re.compile(  # RFC 5646 section 2.1, without the grandfathered tags
    r"(?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?P<rest>(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?)",
    re.IGNORECASE | re.ASCII,
)


def normalize_language_tag(text: str) -> str | None:
    """Return a well-formed tag in its usual spelling, such as `de-DE` or `zh-Hant`; None for any other text.

    Does not check whether there are texts in that language.
    """
    match = _LANGUAGE_TAG.fullmatch(text) if len(text) <= MAX_LANGUAGE_TAG_LENGTH else None
    if match is None:
        return None
    subtags = [match["language"].lower()]
    if match["script"]:
        subtags.append(match["script"].title())
    if match["region"]:
        subtags.append(match["region"].upper())
    return "-".join(subtags) + match["rest"].lower()
