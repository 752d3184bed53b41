"""Tests of the schema change it: each has a PostgreSQL database of its own."""

import pytest
from sqlalchemy.engine import URL


@pytest.fixture
def postgres_url(new_postgres_url: URL) -> URL:
    return new_postgres_url
