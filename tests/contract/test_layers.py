"""No layer reaches what it may not import by way of another module's import. import-linter sees the direct imports."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
FORBIDDEN = [
    *[(face, "latchstring.storage") for face in ("api", "admin", "invitee", "devmail")],
    *[(layer, "latchstring.http") for layer in ("worker", "cli")],
]


@cache
def imports_of(module: str) -> dict[str, tuple[str, str]]:
    """Where each imported name of a module comes from: name -> (module, name there)."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("latchstring")
        for alias in node.names
    }


def origin_of(module: str, name: str) -> str:
    """The module that defines a name, followed through every module that only passes it on."""
    while name in imports_of(module):
        before = module, name
        module, name = imports_of(module)[name]
        if is_module(f"{module}.{name}"):
            return f"{module}.{name}"
        assert (module, name) != before
    return module


def is_module(dotted: str) -> bool:
    return (SOURCE / Path(*dotted.split("."))).is_dir() or (SOURCE / Path(*dotted.split("."))).with_suffix(
        ".py"
    ).exists()


def imported_from(layer: str) -> Iterator[tuple[str, str, str]]:
    """Every import of a layer: importing module, name, defining module."""
    for path in sorted((SOURCE / "latchstring" / layer).rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for name in imports_of(module):
            yield module, name, origin_of(module, name)


@pytest.mark.parametrize(("layer", "forbidden"), FORBIDDEN)
def test_a_layer_reaches_nothing_forbidden_through_a_re_export(layer: str, forbidden: str) -> None:
    reached = [
        f"{module}: {name} is defined in {origin}"
        for module, name, origin in imported_from(layer)
        if origin == forbidden or origin.startswith(f"{forbidden}.")
    ]
    assert reached == []
