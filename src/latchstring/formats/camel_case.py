"""Names of fields: snake_case in Python, camelCase in JSON."""


def to_camel_case(name: str) -> str:
    """Convert `redirect_url` to `redirectUrl`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
