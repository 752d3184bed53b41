"""Templates of invitations in the panel: viewers read, managers change, configured ones are read-only."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.support.page_client import PageClient, PageResponse

from latchstring.content.service import NewObject
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.template import InvitationTemplate
from latchstring.formats.email_address import parse_address
from latchstring.groups.service import GroupTexts
from latchstring.users.accounts import NewUser

LIST = "/admin/invitation-templates"
CONFIGURED = '[templates.from-file]\nname = "From the file"\nrole = "team"\nmessage = "Come in."\n\n[roles.team]'
pytestmark = pytest.mark.parametrize("page_client", [("[roles.team]", CONFIGURED)], indirect=True)
COLLEAGUE = InvitationTemplate(
    key="colleague", name="Colleague <b>", role="team", groups=("early",), message="Hello.", locale="de",
    expires_in=timedelta(days=2),
)  # fmt: skip


@pytest.fixture
async def page_client(page_client: PageClient) -> PageClient:
    """A client with a template of each source, and the session of a manager."""
    await page_client.services.groups.create("early", GroupTexts(name="Early birds"), by=OPERATOR_PRINCIPAL)
    await page_client.services.invitations.templates.create_template(COLLEAGUE, by=OPERATOR_PRINCIPAL)
    await page_client.sign_in_admin(role="manager")
    return page_client


async def load_template(page_client: PageClient, key: str) -> InvitationTemplate | None:
    return await page_client.services.invitations.templates.find_template(key)


async def send(page_client: PageClient, path: str, **fields: Any) -> PageResponse:
    return await page_client.send(path, {"do": "save", **fields}, page=LIST + "/new")


# ---- list and details ------------------------------------------------------------------------------------------------


async def test_the_list_shows_terms_and_sources(page_client: PageClient) -> None:
    seen = await page_client.get(LIST)
    assert seen.status == 200
    assert "Colleague &lt;b&gt;" in seen.html
    assert "Early birds" in seen.html
    assert seen.html.index("From the file") < seen.html.index("Colleague")
    assert (seen.html.count(">Configuration<"), seen.html.count(">Panel<")) == (1, 1)
    assert f"{LIST}/key/colleague/delete" in seen.html
    assert f"{LIST}/key/from-file/delete" not in seen.html


async def test_one_template_is_shown_with_all_its_terms(page_client: PageClient) -> None:
    seen = await page_client.get(f"{LIST}/key/colleague")
    for words in ("Early birds", "Hello.", "Deutsch", "2 days", "/admin/invitations/new?template=colleague"):
        assert words in seen.html
    assert "Declared in the configuration" in (await page_client.get(f"{LIST}/key/from-file")).html
    assert (await page_client.get(f"{LIST}/key/nobody")).status == 404


async def test_an_empty_list_of_templates_explains_them(page_client: PageClient) -> None:
    from dataclasses import replace  # noqa: PLC0415  # only here

    invitations = page_client.services.invitations
    await invitations.templates.delete_template("colleague", by=OPERATOR_PRINCIPAL)
    invitations.templates = replace(invitations.templates, configured={})
    assert 'data-testid="no-entries"' in (await page_client.get(LIST)).html


async def test_viewers_cannot_change_templates(page_client: PageClient) -> None:
    page_client.sign_out()
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    seen = await page_client.get(LIST)
    assert seen.status == 200
    assert f"{LIST}/new" not in seen.html
    assert "/edit" not in (await page_client.get(f"{LIST}/key/colleague")).html
    for path in (f"{LIST}/new", f"{LIST}/key/colleague/edit", f"{LIST}/key/colleague/delete"):
        assert (await page_client.get(path)).status == 403
        refused = await page_client.send(path, {"do": "save", "name": "X", "key": "x"}, page="/admin/account")
        assert refused.status == 403
    assert await load_template(page_client, "colleague") == COLLEAGUE


async def test_templates_without_a_session_redirect_to_sign_in(page_client: PageClient) -> None:
    page_client.sign_out()
    assert (await page_client.get(LIST)).target.startswith("/admin/login")


# ---- create and edit -------------------------------------------------------------------------------------------------


async def test_a_template_is_created(page_client: PageClient) -> None:
    seen = await send(
        page_client, f"{LIST}/new", name="New customer", key="new-customer", role="team", groups=["early"],
        message="Welcome.", locale="de", expiresIn="86400",
    )  # fmt: skip
    assert await page_client.flash(seen) == "template-saved"
    assert seen.target == f"{LIST}/key/new-customer"
    template = await load_template(page_client, "new-customer")
    assert template == InvitationTemplate(
        key="new-customer", name="New customer", role="team", groups=("early",), message="Welcome.", locale="de",
        expires_in=timedelta(days=1),
    )  # fmt: skip


async def test_a_template_is_changed_and_keeps_its_key(page_client: PageClient) -> None:
    form = await page_client.get(f"{LIST}/key/colleague/edit")
    assert re.search(r'name="name"[^>]*value="Colleague &lt;b&gt;"', form.html)
    assert re.search(r'value="early" checked', form.html)
    seen = await send(page_client, f"{LIST}/key/colleague/edit", name="Friend", key="other", expiresIn="")
    assert seen.status == 303
    assert await load_template(page_client, "colleague") == InvitationTemplate(key="colleague", name="Friend")
    assert await load_template(page_client, "other") is None


async def test_a_copy_starts_with_the_terms_of_another(page_client: PageClient) -> None:
    form = await page_client.get(f"{LIST}/new?like=from-file")
    assert "Come in." in form.html
    assert re.search(r'name="key"[^>]*value=""', form.html)


async def test_content_is_found_added_and_removed_without_a_script(page_client: PageClient) -> None:
    services, address = page_client.services, parse_address("owner@pages.test")
    owner = await services.users.create(NewUser(address=address, first_name="", last_name=""), by=OPERATOR_PRINCIPAL)
    await services.content.create(
        "articles", NewObject(title="Tide tables", key="tides", owner_id=owner.id), by=OPERATOR_PRINCIPAL
    )
    typed = {"name": "Reader", "key": "reader"}
    matches = await send(page_client, f"{LIST}/new", **typed, contentSearch="tide", do="look")
    assert 'value="add:articles/tides"' in matches.html
    assert 'value="Reader"' in matches.html
    added = await send(page_client, f"{LIST}/new", **typed, do="add:articles/tides")
    assert 'name="content" value="articles/tides"' in added.html
    chosen = {"content": ["articles/tides"], "contentRole": ["EDITOR"]}
    removed = await send(page_client, f"{LIST}/new", **typed, **chosen, do="remove:articles/tides")
    assert 'name="content" value' not in removed.html
    assert (await send(page_client, f"{LIST}/new", **typed, **chosen)).status == 303
    template = await load_template(page_client, "reader")
    assert template is not None
    assert template.content == (("articles", "tides", "EDITOR"),)
    assert "Tide tables" in (await page_client.get(LIST)).html
    uneven = await send(page_client, f"{LIST}/new", name="X", key="x", content=["articles/tides"])
    assert uneven.status == 422


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"name": "", "key": "x"}, "name", "required"),
        ({"name": "X", "key": ""}, "key", "required"),
        ({"name": "X", "key": "a b"}, "key", "invalid-key"),
        ({"name": "X", "key": "colleague"}, "key", "template-key-taken"),
        ({"name": "X", "key": "from-file"}, "key", "template-key-taken"),
        ({"name": "X", "key": "x", "role": "boss"}, "role", "unknown-role"),
        ({"name": "X", "key": "x", "expiresIn": "999999999"}, "expiresIn", "out-of-bounds"),
        ({"name": "X", "key": "x", "redirectUrl": "https://elsewhere.test/"}, "redirectUrl", "redirect-not-allowed"),
        ({"name": "X", "key": "x", "message": "\u0007"}, "message", "control-characters"),
    ],
)
async def test_problems_of_a_template_are_shown_at_their_fields(
    page_client: PageClient, fields: dict[str, str], field: str, problem: str
) -> None:
    seen = await send(page_client, f"{LIST}/new", **fields)
    assert seen.status in {409, 422}
    assert f'href="#{field}" data-problem="{problem}"' in seen.html
    assert f'id="{field}-error"' in seen.html
    assert [template.key for template in await load_templates(page_client)] == ["from-file", "colleague"]


async def load_templates(page_client: PageClient) -> list[InvitationTemplate]:
    return await page_client.services.invitations.templates.list_templates(by=OPERATOR_PRINCIPAL)


async def test_configured_templates_cannot_be_changed_or_deleted(page_client: PageClient) -> None:
    for what in ("edit", "delete"):
        seen = await page_client.get(f"{LIST}/key/from-file/{what}")
        assert (seen.status, seen.code) == (409, "template-configured")
        sent = await send(page_client, f"{LIST}/key/from-file/{what}", **({"name": "X"} if what == "edit" else {}))
        assert sent.status in {400, 409}


# ---- delete ----------------------------------------------------------------------------------------------------------


async def test_deleting_needs_a_confirmation(page_client: PageClient) -> None:
    path = f"{LIST}/key/colleague/delete"
    assert "Delete template" in (await page_client.get(path)).html
    assert await load_template(page_client, "colleague") == COLLEAGUE
    seen = await page_client.send(path, page=path)
    assert await page_client.flash(seen) == "template-deleted"
    assert await load_template(page_client, "colleague") is None
    assert (await page_client.send(path, page=LIST + "/new")).status == 404


@pytest.mark.parametrize("path", ["/new", "/key/colleague/edit", "/key/colleague/delete"])
async def test_every_form_needs_a_csrf_token(page_client: PageClient, path: str) -> None:
    refused = PageResponse(await page_client.browser.post(LIST + path, data={"csrf": "0" * 64}))
    assert (refused.status, refused.code) == (403, "csrf-token-invalid")
    assert await load_template(page_client, "colleague") == COLLEAGUE
