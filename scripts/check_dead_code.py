"""Finds unused code of the package. Code that only tests use counts as unused.

vulture compares names over the whole package. Two checks are added: templates count as users of names, and a name on
the top level of a module has to be used in that module or imported from it, so that a variable of the same name in
another module does not hide it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import vulture
from jinja2 import Environment

SOURCE = Path(__file__).parents[1] / "src" / "latchstring"
COMMANDS = ["@click.command", "@click.group", "@*.command"]  # the command line loads them by name
COMPILERS = ["@compiles"]  # SQLAlchemy calls them

ALLOWED = {
    "Alembic reads it": ["branch_labels", "depends_on", "down_revision"],
    "SQLAlchemy reads or calls it": [
        "cache_ok",
        "coltype",
        "impl",
        "inherit_cache",
        "process_result_value",
        "self_group",
    ],
    "click calls it": ["get_command", "list_commands"],
    "rich-click reads it": ["COMMAND_GROUPS", "TEXT_MARKUP"],
    "joserfc calls it": ["get_alg"],
    "limits reads or calls it": ["STORAGE_SCHEME", "base_exceptions", "incr"],
    "uvicorn calls it": ["capture_signals"],
    "logging reads it": ["handlers"],
    "__exit__ has it": ["trace"],
    "scripts/check_migrations.py calls it": ["differences"],
    "SQL queries replace it, and tests compare every query with it": ["compute_level"],
}


def find_dead_code() -> list[str]:
    """Every unused name with its location, and every exception that is no longer needed."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    texts = template_words() | {text for tree in trees.values() for text in texts_of(tree)}
    unused = [*find_by_vulture(texts), *find_on_top_level(trees, texts)]
    allowed = {name for names in ALLOWED.values() for name in names}
    unneeded = allowed - {name for name, _ in unused}
    return sorted(
        {f"{location}: {name} is not used" for name, location in unused if name not in allowed}
        | {f"{Path(__file__).name}: {name} needs no exception" for name in unneeded}
    )


def find_by_vulture(texts: set[str]) -> Iterator[tuple[str, str]]:
    """Names and locations from vulture, without members of responses and fields of forms."""
    analyzer = vulture.Vulture(ignore_decorators=[*COMMANDS, *COMPILERS])
    analyzer.scavenge([str(SOURCE)])
    for item in analyzer.get_unused_code():
        is_member = item.typ == "variable" and "api" in item.filename.relative_to(SOURCE).parts  # clients read it
        if not is_member and not {item.name, camel_case(item.name)} & texts:
            yield item.name, f"{item.filename.relative_to(SOURCE.parents[1])}:{item.first_lineno}"


def find_on_top_level(trees: dict[Path, ast.Module], texts: set[str]) -> Iterator[tuple[str, str]]:
    """Names and locations of functions, classes and constants that no module uses."""
    imported = {
        (node.module, alias.name)
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    attributes = {node.attr for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for path, tree in trees.items():
        module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        for name, node in top_level_names(tree):
            is_used = name in used | attributes | texts or (module, name) in imported or has_decorator(node)
            if not is_used and not name.startswith("__"):
                yield name, f"{path.relative_to(SOURCE.parents[1])}:{node.lineno}"


def top_level_names(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """The names that a module defines."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign():
                yield from (
                    (name.id, node)
                    for target in node.targets
                    for name in ast.walk(target)
                    if isinstance(name, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name() as name):
                yield name.id, node


def has_decorator(node: ast.stmt) -> bool:
    """Whether the function has a decorator, which registers it with a caller."""
    return bool(getattr(node, "decorator_list", [])) and not isinstance(node, ast.ClassDef)


def texts_of(tree: ast.Module) -> set[str]:
    """String constants that could be names."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and text.isidentifier()}


def template_words() -> set[str]:
    """Every name and every word of a string in the expressions of all templates."""
    environment = Environment(autoescape=True)
    words: set[str] = set()
    for path in SOURCE.rglob("templates/**/*.*"):
        tokens = environment.lex(path.read_text(encoding="utf-8"))
        words |= {
            word for _, kind, text in tokens if kind in {"name", "string"} for word in re.findall(r"[A-Za-z_]\w*", text)
        }
    return words


def camel_case(name: str) -> str:
    """The name of a field in requests and forms."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


if __name__ == "__main__":
    if findings := find_dead_code():
        sys.exit("\n".join(findings))
