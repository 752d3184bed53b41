"""Settings without secrets, and the findings of the health checks."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.page_client import PageClient

from latchstring.bootstrap.doctor import Doctor
from latchstring.config import Config, load_config
from latchstring.domain.views.health import Finding, HealthReport, failed, passed

SMTP_PASSWORD = "hunter2-very-secret"
WITH_SECRETS = (
    "[mail]",
    f'[database]\nurl = "sqlite+aiosqlite:///x.db"\n[mail.smtp]\nusername = "u"\npassword = "{SMTP_PASSWORD}"\n[mail]',
)


@pytest.mark.parametrize("page_client", [WITH_SECRETS], indirect=True)
async def test_every_value_has_its_source_and_no_secret_is_shown(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get("/admin/settings")
    assert SMTP_PASSWORD not in seen.html
    assert 'data-testid="hidden-value"' in seen.html
    assert "[mail.smtp]" in seen.words
    assert "password-minimum" in seen.words
    assert "latchstring.toml" in seen.words
    only_set = (await page_client.get("/admin/settings?only=set")).words
    assert "transport" in only_set
    assert "password-minimum" not in only_set


@pytest.mark.parametrize("path", ["/admin/settings", "/admin/health"])
@pytest.mark.parametrize("role", ["manager", "viewer"])
async def test_only_super_admins_see_settings_and_health(page_client: PageClient, path: str, role: str) -> None:
    await page_client.sign_in_admin(f"{role}@panel.test", role=role)
    assert (await page_client.get(path)).status == 403


async def test_health_shows_bad_findings_first_with_advice(page_client: PageClient) -> None:
    await page_client.sign_in_admin()

    async def check_health_stub() -> HealthReport:
        return HealthReport(
            [passed("database", "Answers."), failed("mail", "Nothing <answers>.", "Mend it.")],
            page_client.services.clock(),
        )

    application = page_client.browser._transport.app  # type: ignore[attr-defined]
    application.state.services = replace(page_client.services, check_health=check_health_stub)
    seen = await page_client.get("/admin/health")
    assert seen.status == 200
    assert seen.words.index("Nothing <answers>.") < seen.words.index("Answers.")
    assert "Nothing &lt;answers&gt;." in seen.html
    assert "Mend it." in seen.words
    assert 'data-testid="findings" data-problems="1"' in seen.html


async def test_concurrent_requests_run_the_checks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(None, {})
    calls = 0

    async def examine(_config: Config) -> list[Finding]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return []

    monkeypatch.setattr("latchstring.bootstrap.doctor.check_everything", examine)
    now = [datetime(2026, 11, 20, tzinfo=UTC)]
    doctor = Doctor(config, lambda: now[0])
    await asyncio.gather(*(doctor() for _ in range(5)))
    await doctor()
    assert calls == 1
    now[0] += timedelta(seconds=11)
    await doctor()
    assert calls == 2
