"""Health, readiness and metrics endpoints."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.domain.errors import StorageUnreachable
from latchstring.http.metrics import EventCounts, exposition
from latchstring.http.responses import json_answer, text_answer
from latchstring.http.routing import get
from latchstring.services import Services
from latchstring.storage.engine.revision import is_at_head

EVENT_COUNTS = "event_counts"  # their key in the state of the application
READINESS_TIMEOUT_SECONDS = 5  # load balancers do not wait longer


@get("/healthz")
async def show_health(_: Request) -> ASGIApp:
    """Answer 200 as long as the process runs."""
    return json_answer({"status": "ok"})


@get("/readyz")
async def show_readiness(request: Request) -> ASGIApp:
    """Answer 200 if the database is reachable and its schema is current, otherwise 503."""
    services: Services = request.app.state.services
    try:
        async with asyncio.timeout(READINESS_TIMEOUT_SECONDS):
            at_head = await is_at_head(services.db)
    except TimeoutError:
        raise StorageUnreachable("The database does not answer in time.") from None
    if not at_head:
        raise StorageUnreachable("The database is not at the schema this version needs. Run `latchstring migrate`.")
    return json_answer({"status": "ready"})


@get("/metrics")
async def show_metrics(request: Request) -> ASGIApp:
    """Metrics in the text format of Prometheus. They contain no personal data, but should not be public."""
    services: Services = request.app.state.services
    counts: EventCounts = request.app.state[EVENT_COUNTS]
    text = await exposition(services.db, counts, services.clock())
    return text_answer(text.decode(), media_type=CONTENT_TYPE_LATEST)


routes = [show_health, show_readiness, show_metrics]
