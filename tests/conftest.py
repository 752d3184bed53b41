"""Load the fixtures of tests/support, and keep temporary files in memory if the machine has enough of it."""

import os
import shutil
import sys
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  # an in-memory file system; tempfile and pytest choose the names below it
MIN_FREE_BYTES = 4 << 30

pytest_plugins = [  # a module comes before those that import it
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

# Without cached bytecode each process that a test starts takes two seconds longer.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MIN_FREE_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
