"""Field names: snake_case here, camelCase in JSON."""


def to_camel_case(name: str) -> str:
    """`redirectUrl` for `redirect_url`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
