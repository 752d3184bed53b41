"""Loads the fixtures of tests/support, and keeps the files of tests in memory where there is enough of it."""

import os
import shutil
import sys
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  # a file system in memory; every name below it is chosen by tempfile or pytest
FREE_BYTES = 4 << 30

pytest_plugins = [  # a module stands before those that import it
    "tests.support.applications",
    "tests.support.databases",
    "tests.support.api_client",
    "tests.support.browser",
    "tests.support.installations",
    "tests.support.page_client",
    "tests.support.sample_app",
    "tests.support.service_env",
    "tests.support.worker_env",
]

# Compiling every module again costs each process that a test starts two seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > FREE_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
