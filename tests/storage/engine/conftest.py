"""Tests of the schema change it, so each has its own PostgreSQL database."""

import pytest
from sqlalchemy.engine import URL


@pytest.fixture
def postgres_url(new_postgres_url: URL) -> URL:
    return new_postgres_url
