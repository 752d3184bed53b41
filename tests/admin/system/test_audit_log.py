"""The audit log in the panel: permissions, filters, pages and the export."""

import csv
import io

import pytest
from tests.admin.system.test_overview import record_all
from tests.support.page_client import PageClient

from latchstring.admin.system import audit_log as page
from latchstring.domain.account import Admin
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import new_event
from latchstring.domain.ids import new_id
from latchstring.events.catalogue import CATALOGUE


async def sign_in_and_record_events(page_client: PageClient) -> Admin:
    admin = await page_client.sign_in_admin()
    await page_client.group("spring", "Spring <b>cohort</b>")
    await page_client.invite("ada@people.test")
    return admin


async def test_entries_have_actor_event_and_subject(page_client: PageClient) -> None:
    await sign_in_and_record_events(page_client)
    seen = await page_client.get("/admin/audit")
    assert seen.status == 200
    assert "<code>invitation.created</code>" in seen.html
    assert "ada @people.test" in seen.words or "ada@people.test" in seen.words
    assert "Spring &lt;b&gt;cohort&lt;/b&gt;" in seen.html


async def test_every_event_of_the_catalogue_has_a_name(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    html = (await page_client.get("/admin/audit")).html
    for name in CATALOGUE:
        assert f'<option value="{name}">{name}</option>' not in html, name
        assert f'<option value="{name}">' in html


@pytest.mark.parametrize(
    ("query", "is_match"),
    [
        ("object=spring", True),
        ("object=ada@people.test", False),
        ("action=group.created", True),
        ("action=group.deleted", False),
        ("action=%27+OR+1", True),
        ("kind=OPERATOR", True),
        ("kind=USER", False),
        ("since=2020-01-01&until=9999-12-31", True),
        ("until=2020-01-01", False),
        ("since=yesterday&before=x&after=y", True),
        ("object=%00", True),
        ("actor=nobody@people.test", False),
    ],
)
async def test_filters_select_entries(page_client: PageClient, query: str, is_match: bool) -> None:  # noqa: FBT001
    await sign_in_and_record_events(page_client)
    seen = await page_client.get(f"/admin/audit?{query}")
    assert seen.status == 200
    assert ("<code>group.created</code>" in seen.html) is is_match


async def test_unknown_actors_and_subjects_are_reported(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert 'data-testid="unknown-actor"' in (await page_client.get("/admin/audit?actor=nobody@people.test")).html
    assert 'data-testid="unknown-subject"' in (await page_client.get("/admin/audit?object=nothing")).html


async def test_pages_are_linked(page_client: PageClient) -> None:
    admin = await page_client.sign_in_admin()
    by = Actor(ActorType.ADMIN, admin.id)
    now = page_client.services.clock()
    await record_all(page_client, *(new_event("group.updated", new_id(now), by=by, now=now) for _ in range(120)))
    first = await page_client.get("/admin/audit?action=group.updated")
    assert "Older" in first.words
    assert "Newer" not in first.words
    following = first.html.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await page_client.get(following)
    assert second.html.count("<code>group.updated</code>") == 50
    assert "Newer" in second.words


async def test_the_export_has_all_entries_and_escapes_formulas(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.group("spring", "=HYPERLINK(1)")
    await page_client.invite("ada@people.test")
    answer = await page_client.browser.get("/admin/audit/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="audit-' in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert rows[0][:2] == ["at", "action"]
    assert {row[1] for row in rows[1:]} >= {"group.created", "invitation.created"}
    assert "'=HYPERLINK(1)" in answer.text
    assert not any(cell.startswith(("=", "@", "+")) for row in rows for cell in row)


async def test_the_export_is_filtered(page_client: PageClient) -> None:
    await sign_in_and_record_events(page_client)
    answer = await page_client.browser.get("/admin/audit/export?action=group.created")
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert [row[1] for row in rows] == ["action", "group.created"]


async def test_event_data_are_formatted() -> None:
    assert page._facts({"fields": ["a", "b"], "none": None, "n": 3, "x": {"<": 1}}) == [
        ("fields", "a, b"),
        ("n", "3"),
        ("x", '{"<": 1}'),
    ]


async def test_viewers_may_read_it_but_not_without_a_session(page_client: PageClient) -> None:
    assert (await page_client.get("/admin/audit")).status == 303
    assert (await page_client.get("/admin/audit/export")).status == 303
    await page_client.sign_in_admin("v@panel.test", role="viewer")
    assert (await page_client.get("/admin/audit")).status == 200
    assert (await page_client.get("/admin/audit/export")).status == 200
