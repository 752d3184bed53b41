"""What a supervisor, a load balancer and a metrics collector ask."""

import asyncio

from litestar import MediaType, Response, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_LATEST

from latchstring.domain.errors import StorageUnreachable
from latchstring.storage.revision import is_at_head
from latchstring.web.metrics import EventCounts, exposition
from latchstring.web.services import Services

PATIENCE_SECONDS = 5  # whoever asks whether we are ready does not wait longer
EVENT_COUNTS = "event_counts"  # where the application's state keeps them


@get("/healthz", include_in_schema=False)
async def show_health() -> dict[str, str]:
    """The process runs and answers."""
    return {"status": "ok"}


@get("/readyz", include_in_schema=False)
async def show_readiness(services: Services) -> dict[str, str]:
    """The database answers and is at head; else 503. Then a load balancer may send people here."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            at_head = await is_at_head(services.db)
    except TimeoutError:
        raise StorageUnreachable("The database does not answer in time.") from None
    if not at_head:
        raise StorageUnreachable("The database is not at the schema this version needs. Run `latchstring migrate`.")
    return {"status": "ready"}


@get("/metrics", include_in_schema=False, media_type=MediaType.TEXT)
async def show_metrics(services: Services, state: State) -> Response[bytes]:
    """Figures in Prometheus' text format. They name no person; keep them inside your network all the same."""
    counts: EventCounts = state[EVENT_COUNTS]
    return Response(await exposition(services.db, counts, services.clock()), media_type=CONTENT_TYPE_LATEST)


routes = [show_health, show_readiness, show_metrics]
