"""Flash messages: every key in the code has a message, and every message is used."""

import re
from pathlib import Path

import latchstring.admin

PANEL = Path(latchstring.admin.__file__).parent
KEYS = set(re.findall(r'\bkey == "([a-z-]+)"', (PANEL / "templates" / "panel" / "flash.html").read_text()))


def test_every_message_has_a_key_that_the_code_names() -> None:
    code = "".join(path.read_text() for path in PANEL.rglob("*.py"))
    assert len(KEYS) > 80
    assert [key for key in sorted(KEYS) if f'"{key}"' not in code] == []


def test_every_key_that_the_code_names_has_a_message() -> None:
    code = "".join(path.read_text() for path in PANEL.rglob("*.py"))
    named = set(re.findall(r'\bflash\(\s*\w+,\s*"([^"]+)"', code))
    named |= set(re.findall(r'\bmessage = "([a-z-]+)"', code))
    assert len(named) > 40
    assert named - KEYS == set()
