"""Every permission in the code exists. With a typo in its name, a page or a route would refuse everybody."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from latchstring.domain.panel import ADMINS_WRITE, PANEL_PERMISSIONS, SETTINGS_READ
from latchstring.domain.principal import is_permission

SOURCE = Path(__file__).parents[2] / "src" / "latchstring"
SUPER_ADMINS_ONLY = {ADMINS_WRITE, SETTINGS_READ}
OF_THE_PANEL = SUPER_ADMINS_ONLY.union(*PANEL_PERMISSIONS.values())
LOOKS_LIKE_ONE = re.compile(r"[a-z][a-z-]*:[a-z][a-z-]*")


def permissions_in(path: Path) -> Iterator[str]:
    """The texts of a file that look like a permission, `noun:verb`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and LOOKS_LIKE_ONE.fullmatch(node.value):
            yield node.value


def test_every_permission_in_the_code_is_known() -> None:
    unknown = {
        (path.relative_to(SOURCE).as_posix(), text)
        for path in SOURCE.rglob("*.py")
        for text in permissions_in(path)
        if not is_permission(text) and text not in OF_THE_PANEL
    }
    assert unknown == set()
