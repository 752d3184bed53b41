"""The rules that are tested are the rules that run: what is stored of an invitation's life comes from the domain."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import latchstring

PACKAGE = Path(latchstring.__file__).parent
RULES = {"accept", "decline", "revoke", "expire", "resend", "renew"}
# functions that store a change, with the position of the argument that has to come from a rule
STORING = {"end_invitation": 0, "replace_link": 1}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("domain/"):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def _aliases(module: ast.Module) -> set[str]:
    """What a module calls `latchstring.domain.invitation`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "latchstring.domain"
        for alias in node.names
        if alias.name == "invitation"
    }


def _rule_called(node: ast.AST, aliases: set[str]) -> str | None:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=alias), attr=name)) if alias in aliases and name in RULES:
            return name
    return None


def _decided(module: ast.Module) -> dict[str, str]:
    """Variables that hold what a rule returned, with the name of the rule."""
    aliases = _aliases(module)
    found = {}
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(id=variable)], value=value) if rule := _rule_called(value, aliases):
                found[variable] = rule
    return found


def _stored(module: ast.Module) -> Iterator[str]:
    """What a module hands to the functions that store a change."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id=function), args=arguments) if function in STORING:
                yield ast.unparse(arguments[STORING[function]])


def test_every_rule_is_asked_by_the_product() -> None:
    assert {rule for _, module in _modules() for rule in _decided(module).values()} == RULES


@pytest.mark.parametrize(("name", "module"), [pair for pair in _modules() if any(_stored(pair[1]))])
def test_what_is_stored_is_what_a_rule_returned(name: str, module: ast.Module) -> None:
    decided = _decided(module)
    assert [argument for argument in _stored(module) if argument not in decided] == [], name
