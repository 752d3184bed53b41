"""Health, readiness and metrics endpoints, and the access log."""

import io
import json
from dataclasses import replace

import httpx2
import pytest
from sqlalchemy.engine import URL
from tests.http.conftest import open_client

from latchstring.bootstrap.application import build_app
from latchstring.config import Config
from latchstring.http.access_log import AccessLog, ObservedResponse
from latchstring.storage.engine import schema
from latchstring.storage.engine.database import Database
from latchstring.storage.overview.metrics_queries import OutboxDepth, measure_outbox


async def test_a_running_process_is_healthy_and_ready(server_client: httpx2.AsyncClient) -> None:
    assert (await server_client.get("/healthz")).json() == {"status": "ok"}
    assert (await server_client.get("/readyz")).json() == {"status": "ready"}


async def test_a_database_behind_head_is_not_ready(server_client: httpx2.AsyncClient, sqlite_url: URL) -> None:
    await schema.on_connection(sqlite_url, lambda connection: schema.downgrade(connection, "base"))
    answer = await server_client.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "latchstring migrate" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert (await server_client.get("/healthz")).status_code == 200


async def test_metrics_count_requests_by_route_and_never_by_path(server_client: httpx2.AsyncClient) -> None:
    await server_client.get("/api/users/01a1f85c-d9b6-70b7-aa07-931e86949893")
    await server_client.get("/nothing-here")
    text = (await server_client.get("/metrics")).text
    assert 'route="/api/users/{user_id}",status="401"' in text
    assert 'method="",route="(none)",status="404"' in text
    assert "nothing-here" not in text
    assert "latchstring_outbox_depth 0.0" in text


async def test_an_empty_outbox_has_no_depth(database: Database) -> None:
    assert await measure_outbox(database) == OutboxDepth(0, None)


async def test_the_access_log_has_paths_without_queries(server_config: Config) -> None:
    stream = io.StringIO()
    app = build_app(server_config)
    log = AccessLog(stream, redact=lambda path: path)
    app.wrap(lambda inner: ObservedResponse(inner, log))
    async with open_client(app) as client:
        answer = await client.get("/invitation?token=ey.secret.secret")
        await client.get("/healthz")
    log.flush()
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/invitation", answer.status_code)
    assert line["request_id"] == answer.headers["x-request-id"]


def test_the_development_mailbox_exists_only_for_its_transport(server_config: Config) -> None:
    smtp_config = replace(server_config, mail=replace(server_config.mail, transport="smtp"))
    assert "/dev/mail" in list_paths(server_config)
    assert not any(path.startswith("/dev") for path in list_paths(smtp_config))


def list_paths(config: Config) -> set[str]:
    return {path for route in build_app(config).routes for path in route.paths}


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/healthz"])
async def test_probes_answer_head_without_a_body(server_client: httpx2.AsyncClient, path: str) -> None:
    answer = await server_client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
