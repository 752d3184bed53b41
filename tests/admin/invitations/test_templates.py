"""Templates of invitations in the panel: seen by all, changed by managers, and never those of configuration."""

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
MADE = InvitationTemplate(
    key="colleague", name="Colleague <b>", role="team", groups=("early",), message="Hello.", locale="de",
    expires_in=timedelta(days=2),
)  # fmt: skip


@pytest.fixture
async def page_client(page_client: PageClient) -> PageClient:
    """A desk with a template of each source, and a manager who has signed in."""
    await page_client.services.groups.create("early", GroupTexts(name="Early birds"), by=OPERATOR_PRINCIPAL)
    await page_client.services.invitations.templates.create_template(MADE, by=OPERATOR_PRINCIPAL)
    await page_client.sign_in_admin(role="manager")
    return page_client


async def kept(page_client: PageClient, key: str) -> InvitationTemplate | None:
    return await page_client.services.invitations.templates.find_template(key)


async def send(page_client: PageClient, path: str, **fields: Any) -> PageResponse:
    return await page_client.send(path, {"do": "save", **fields}, page=LIST + "/new")


# ---- looking ---------------------------------------------------------------------------------------------------------


async def test_the_list_tells_terms_and_sources(page_client: PageClient) -> None:
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


async def test_nothing_there_yet_invites_to_make_one(page_client: PageClient) -> None:
    from dataclasses import replace  # noqa: PLC0415  # only here

    invitations = page_client.services.invitations
    await invitations.templates.delete_template("colleague", by=OPERATOR_PRINCIPAL)
    invitations.templates = replace(invitations.templates, configured={})
    assert 'data-testid="no-entries"' in (await page_client.get(LIST)).html


async def test_viewers_see_and_change_nothing(page_client: PageClient) -> None:
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
    assert await kept(page_client, "colleague") == MADE


async def test_a_stranger_is_led_to_the_gate(page_client: PageClient) -> None:
    page_client.sign_out()
    assert (await page_client.get(LIST)).target.startswith("/admin/login")


# ---- making and changing ---------------------------------------------------------------------------------------------


async def test_a_template_is_made(page_client: PageClient) -> None:
    seen = await send(
        page_client, f"{LIST}/new", name="New customer", key="new-customer", role="team", groups=["early"],
        message="Welcome.", locale="de", expiresIn="86400",
    )  # fmt: skip
    assert await page_client.flash(seen) == "template-saved"
    assert seen.target == f"{LIST}/key/new-customer"
    made = await kept(page_client, "new-customer")
    assert made == InvitationTemplate(
        key="new-customer", name="New customer", role="team", groups=("early",), message="Welcome.", locale="de",
        expires_in=timedelta(days=1),
    )  # fmt: skip


async def test_a_template_is_changed_and_keeps_its_key(page_client: PageClient) -> None:
    shown = await page_client.get(f"{LIST}/key/colleague/edit")
    assert re.search(r'name="name"[^>]*value="Colleague &lt;b&gt;"', shown.html)
    assert re.search(r'value="early" checked', shown.html)
    seen = await send(page_client, f"{LIST}/key/colleague/edit", name="Friend", key="other", expiresIn="")
    assert seen.status == 303
    assert await kept(page_client, "colleague") == InvitationTemplate(key="colleague", name="Friend")
    assert await kept(page_client, "other") is None


async def test_a_copy_begins_with_the_terms_of_another(page_client: PageClient) -> None:
    shown = await page_client.get(f"{LIST}/new?like=from-file")
    assert "Come in." in shown.html
    assert re.search(r'name="key"[^>]*value=""', shown.html)


async def test_content_is_found_added_and_removed_without_a_script(page_client: PageClient) -> None:
    services, address = page_client.services, parse_address("owner@pages.test")
    owner = await services.users.create(NewUser(address=address, first_name="", last_name=""), by=OPERATOR_PRINCIPAL)
    await services.content.create(
        "articles", NewObject(title="Tide tables", key="tides", owner_id=owner.id), by=OPERATOR_PRINCIPAL
    )
    typed = {"name": "Reader", "key": "reader"}
    found = await send(page_client, f"{LIST}/new", **typed, contentSearch="tide", do="look")
    assert 'value="add:articles/tides"' in found.html
    assert 'value="Reader"' in found.html
    added = await send(page_client, f"{LIST}/new", **typed, do="add:articles/tides")
    assert 'name="content" value="articles/tides"' in added.html
    chosen = {"content": ["articles/tides"], "contentRole": ["EDITOR"]}
    removed = await send(page_client, f"{LIST}/new", **typed, **chosen, do="remove:articles/tides")
    assert 'name="content" value' not in removed.html
    assert (await send(page_client, f"{LIST}/new", **typed, **chosen)).status == 303
    made = await kept(page_client, "reader")
    assert made is not None
    assert made.content == (("articles", "tides", "EDITOR"),)
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
async def test_what_is_wrong_is_told_beside_its_field(
    page_client: PageClient, fields: dict[str, str], field: str, problem: str
) -> None:
    seen = await send(page_client, f"{LIST}/new", **fields)
    assert seen.status in {409, 422}
    assert f'href="#{field}" data-problem="{problem}"' in seen.html
    assert f'id="{field}-error"' in seen.html
    assert [one.key for one in await everything(page_client)] == ["from-file", "colleague"]


async def everything(page_client: PageClient) -> list[InvitationTemplate]:
    return await page_client.services.invitations.templates.list_templates(by=OPERATOR_PRINCIPAL)


async def test_those_of_configuration_cannot_be_changed_or_deleted(page_client: PageClient) -> None:
    for what in ("edit", "delete"):
        seen = await page_client.get(f"{LIST}/key/from-file/{what}")
        assert (seen.status, seen.code) == (409, "template-configured")
        sent = await send(page_client, f"{LIST}/key/from-file/{what}", **({"name": "X"} if what == "edit" else {}))
        assert sent.status in {400, 409}


# ---- removing --------------------------------------------------------------------------------------------------------


async def test_deleting_asks_first(page_client: PageClient) -> None:
    path = f"{LIST}/key/colleague/delete"
    assert "Delete template" in (await page_client.get(path)).html
    assert await kept(page_client, "colleague") == MADE
    seen = await page_client.send(path, page=path)
    assert await page_client.flash(seen) == "template-deleted"
    assert await kept(page_client, "colleague") is None
    assert (await page_client.send(path, page=LIST + "/new")).status == 404


@pytest.mark.parametrize("path", ["/new", "/key/colleague/edit", "/key/colleague/delete"])
async def test_every_form_needs_its_token(page_client: PageClient, path: str) -> None:
    refused = PageResponse(await page_client.browser.post(LIST + path, data={"csrf": "0" * 64}))
    assert (refused.status, refused.code) == (403, "csrf-token-invalid")
    assert await kept(page_client, "colleague") == MADE
