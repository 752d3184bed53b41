"""Health: what `latchstring doctor` checks, asked from here."""

from latchstring.admin.context import Panel
from latchstring.admin.routing import get
from latchstring.domain.panel import SETTINGS_READ
from latchstring.domain.views.health import Health
from latchstring.http.responses import Answer

_ORDER = (Health.BAD, Health.DOUBTFUL, Health.GOOD)


@get("/admin/health", needs=SETTINGS_READ)
async def show_health(panel: Panel) -> Answer:
    found = await panel.services.check_health()
    worst_first = sorted(found.findings, key=lambda finding: _ORDER.index(finding.health))
    return panel.show(
        "system/health.html",
        findings=worst_first,
        at=found.checked_at,
        doubts=sum(finding.health is not Health.GOOD for finding in found.findings),
    )


routes = [show_health]
