"""Tests of a running installation through its public interfaces only: HTTP, SMTP and the command line."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as slow: each needs a running installation."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
