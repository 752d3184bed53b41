"""Log lines contain no secrets (promise 6)."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from tests.support.clock import min_cpu_seconds

from latchstring.telemetry.logging import REDACTED, configure_logging, redact, redact_text

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMWExZjg1Yy1kOWI2In0.3rEwmhf0Dcwbncj4HIXHn2cfxBcowbQfm8bBLAPkmoI"
API_KEY = "lsk_tWV7qHgd4QHbs9dEGl3yaQRTJXyQ2lA4JyVYZoMeORI1IDSLQ"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"GET /invitation?token={TOKEN}&x=1", TOKEN),
        (f"the link said {TOKEN}.", TOKEN),
        (f"key {API_KEY} refused", API_KEY),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("postgresql+asyncpg://latch:s3cret@host/db", "s3cret"),
        ("login with password=hunter22 failed", "hunter22"),
        ("reset ?token=abc123 used", "abc123"),
        ("hash $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA found", "aGFzaA"),
    ],
)
def test_secrets_in_text_are_redacted(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize("before", ["", "-", "x-", "/", "=", " ", "3D-"])
def test_a_token_is_found_after_any_prefix(before: str) -> None:
    assert TOKEN[-20:] not in redact_text(f"{before}{TOKEN}")


@pytest.mark.parametrize("run", ["ey-", "ey", "-ey", "ey-eyaaaaaa-", "token", "a.ey-"])
def test_hostile_input_is_searched_quickly(run: str) -> None:
    """A path with many starts of tokens once blocked the event loop for 150 ms."""
    text = run * (20_000 // len(run))
    assert min_cpu_seconds(lambda: redact_text(text)) < 0.05


def test_ordinary_text_is_unchanged() -> None:
    text = "they said: 550 5.1.1 no such user; see https://acme.example/keys?page=2 (eyes only)"
    assert redact_text(text) == text


def test_fields_are_redacted_by_name_at_any_depth() -> None:
    event = {
        "event": "x",
        "password": "a",
        "refresh_token": "b",
        "headers": {"Cookie": "c", "accept": "d"},
        "list": [f"?token={TOKEN}"],
        "count": 3,
        "master_key": b"e",
        "token": None,
    }
    assert redact(None, "info", event) == {
        "event": "x",
        "password": REDACTED,
        "refresh_token": REDACTED,
        "headers": {"Cookie": REDACTED, "accept": "d"},
        "list": [f"?token={REDACTED}"],
        "count": 3,
        "master_key": REDACTED,
        "token": None,
    }


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log output of the test. Restores the logging configuration afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    configure_logging(level="DEBUG", stream=stream, human=False)
    yield stream
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_tracebacks_are_redacted(lines: io.StringIO) -> None:
    try:
        int(f"{TOKEN} {API_KEY}")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    written = lines.getvalue()
    assert "ValueError" in written
    assert TOKEN not in written
    assert API_KEY not in written


def test_lines_of_libraries_are_redacted(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("sent %s", f"?token={TOKEN}")
    line = json.loads(lines.getvalue())
    assert line["event"] == f"sent ?token={REDACTED}"
    assert (line["level"], line["logger"]) == ("warning", "some.library")
