"""Health: the checks of `latchstring doctor`."""

from latchstring.admin.context import Panel
from latchstring.admin.routing import get
from latchstring.domain.panel import SETTINGS_READ
from latchstring.domain.views.health import Health
from latchstring.http.responses import Answer

_ORDER = (Health.FAILED, Health.WARNING, Health.PASSED)


@get("/admin/health", needs=SETTINGS_READ)
async def show_health(panel: Panel) -> Answer:
    report = await panel.services.check_health()
    worst_first = sorted(report.findings, key=lambda finding: _ORDER.index(finding.health))
    return panel.show(
        "system/health.html",
        findings=worst_first,
        at=report.checked_at,
        problem_count=sum(finding.health is not Health.PASSED for finding in report.findings),
    )


routes = [show_health]
