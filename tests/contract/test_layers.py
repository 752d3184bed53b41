"""No layer imports a forbidden name through a re-export. import-linter checks only direct imports."""

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
def list_imports(module: str) -> dict[str, tuple[str, str]]:
    """Map each imported name of a module to its origin: name -> (module, name there)."""
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


def find_origin(module: str, name: str) -> str:
    """Find the module that defines a name, through all modules that only re-export it."""
    while name in list_imports(module):
        before = module, name
        module, name = list_imports(module)[name]
        if is_module(f"{module}.{name}"):
            return f"{module}.{name}"
        assert (module, name) != before
    return module


def is_module(dotted: str) -> bool:
    return (SOURCE / Path(*dotted.split("."))).is_dir() or (SOURCE / Path(*dotted.split("."))).with_suffix(
        ".py"
    ).exists()


def list_layer_imports(layer: str) -> Iterator[tuple[str, str, str]]:
    """Yield every import of a layer: importing module, name, defining module."""
    for path in sorted((SOURCE / "latchstring" / layer).rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for name in list_imports(module):
            yield module, name, find_origin(module, name)


@pytest.mark.parametrize(("layer", "forbidden"), FORBIDDEN)
def test_a_layer_reaches_nothing_forbidden_through_a_re_export(layer: str, forbidden: str) -> None:
    reached = [
        f"{module}: {name} is defined in {origin}"
        for module, name, origin in list_layer_imports(layer)
        if origin == forbidden or origin.startswith(f"{forbidden}.")
    ]
    assert reached == []
