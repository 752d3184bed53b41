"""The rules that are tested are the rules that run: state changes of invitations are decided by the domain."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import latchstring

PACKAGE = Path(latchstring.__file__).parent
RULES = {"accept", "decline", "revoke", "expire", "resend", "renew"}
# functions that store a change, with the position of the argument that must be the result of a rule
STORING = {"end_invitation": 0, "replace_link": 1}


def _list_modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("domain/"):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def _find_aliases(module: ast.Module) -> set[str]:
    """The names under which a module imports `latchstring.domain.invitation`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "latchstring.domain"
        for alias in node.names
        if alias.name == "invitation"
    }


def _find_rule(node: ast.AST, aliases: set[str]) -> str | None:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=alias), attr=name)) if alias in aliases and name in RULES:
            return name
    return None


def _find_decisions(module: ast.Module) -> dict[str, str]:
    """Map each variable that is assigned the result of a rule to the name of the rule."""
    aliases = _find_aliases(module)
    decisions = {}
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(id=variable)], value=value) if rule := _find_rule(value, aliases):
                decisions[variable] = rule
    return decisions


def _list_stored(module: ast.Module) -> Iterator[str]:
    """Yield the arguments that a module passes to the functions that store a change."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id=function), args=arguments) if function in STORING:
                yield ast.unparse(arguments[STORING[function]])


def test_every_rule_is_called_by_the_product() -> None:
    assert {rule for _, module in _list_modules() for rule in _find_decisions(module).values()} == RULES


@pytest.mark.parametrize(("name", "module"), [pair for pair in _list_modules() if any(_list_stored(pair[1]))])
def test_only_results_of_rules_are_stored(name: str, module: ast.Module) -> None:
    decided = _find_decisions(module)
    assert [argument for argument in _list_stored(module) if argument not in decided] == [], name
