"""docs/architecture.md names files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "latchstring"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`([a-z_/]+/[a-z_/]*(?:\.(?:py|html|md|po))?)`", TEXT)))


@pytest.mark.parametrize("path", PATHS)
def test_a_named_file_or_folder_exists(path: str) -> None:
    assert (SOURCE / path).exists() or (ROOT / path).exists()
