"""The form of a new invitation: choices, kept input, refusals and sending."""

import html
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.support.page_client import NOON, PageClient, PageResponse

from latchstring.domain.errors import StorageBusy
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Invitation
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.template import InvitationTemplate

NEW = "/admin/invitations/new"
WEEK = {"expiresIn": "604800"}
EVIL = '"><img src=x onerror=alert(1)>'


async def send(page_client: PageClient, **fields: Any) -> PageResponse:
    """Submit the form of the page with these fields."""
    known = {"inviteEmail": "jonas@people.test", "role": "team", **WEEK, "do": "save"}
    return await page_client.send(NEW, {**known, **fields}, page=NEW)


async def stored(page_client: PageClient, sent: PageResponse) -> Invitation:
    assert sent.status == 303, sent.words
    id_ = UUID(sent.target.rpartition("/")[2])
    return (await page_client.services.invitations.get(id_, by=OPERATOR_PRINCIPAL)).invitation


async def count(page_client: PageClient) -> int:
    return len((await page_client.dump())["invitations"])


async def create_groups_and_objects(page_client: PageClient) -> None:
    """Create two groups and three objects."""
    await page_client.group()
    await page_client.group("autumn", "Autumn cohort")
    owner = await page_client.inviter()
    await page_client.object("Tide tables", owner=owner, key="tides")
    await page_client.object("Tide songs", owner=owner, key="songs")
    await page_client.object("Harbour handbook", owner=owner, key="harbour")


def value(seen: PageResponse, name: str) -> str:
    """The value of a field of the form."""
    match = re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', seen.html)
    return html.unescape(match[1]) if match else ""


def ticked(seen: PageResponse, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([^"]*)" checked', seen.html)


def rows(seen: PageResponse) -> list[tuple[str, str]]:
    """The chosen objects with their roles."""
    names = re.findall(r'name="content" value="([^"]*)"', seen.html)
    roles = re.findall(r'name="contentRole".*?<option value="(\w+)" selected', seen.html, re.DOTALL)
    return list(zip(names, roles, strict=True))


# ---- send ------------------------------------------------------------------------------------------------------------


async def test_the_invitation_has_all_fields_of_the_form(page_client: PageClient) -> None:
    admin = await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    sent = await send(
        page_client,
        firstName="Jonas",
        lastName="Keller",
        groups=["autumn", "spring"],
        content=["articles/tides", "articles/harbour"],
        contentRole=["EDITOR", "VIEWER"],
        message="Come on\r\nTuesday.",
        locale="de",
        expiresIn="2592000",
    )
    invitation = await stored(page_client, sent)
    assert (invitation.email, invitation.first_name, invitation.last_name) == ("jonas@people.test", "Jonas", "Keller")
    assert (invitation.message, invitation.locale, invitation.lifetime) == (
        "Come on\nTuesday.",
        "de",
        timedelta(days=30),
    )
    assert invitation.bundle.role == "team"
    assert [grant.target_key for grant in invitation.bundle.groups] == ["autumn", "spring"]
    assert {grant.target_key: grant.role for grant in invitation.bundle.content} == {
        "tides": ContentRole.EDITOR,
        "harbour": ContentRole.VIEWER,
    }
    assert invitation.inviter.id == admin.id
    assert await page_client.flash(sent) == "invitation-sent"


async def test_a_link_can_expire_at_the_end_of_a_day(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await stored(page_client, await send(page_client, expiresIn="until", until="2026-03-05"))
    assert invitation.link.expires_at == NOON.replace(day=6, hour=0)


@pytest.mark.parametrize("page_client", [('transport = "mailbox"', 'transport = "off"')], indirect=True)
async def test_without_mail_the_page_shows_a_notice(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert 'data-testid="mail-off"' in (await page_client.get(NEW)).html
    sent = await send(page_client)
    assert await page_client.flash(sent) == "invitation-saved-without-mail"
    assert 'data-event="mail.mail_off"' in (await page_client.get(sent.target)).html


# ---- changing the form without sending -------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["", "look", "add", "remove:articles/none", "template", "nonsense"])
async def test_other_buttons_keep_all_input_and_send_nothing(page_client: PageClient, do: str) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    seen = await send(
        page_client,
        do=do,
        inviteEmail="not yet",
        firstName="Jonas",
        lastName="Keller",
        groups=["spring"],
        groupSearch="aut",
        content=["articles/tides"],
        contentRole=["EDITOR"],
        message="Come on Tuesday.",
        locale="de",
        expiresIn="86400",
    )
    assert seen.status == 200
    assert await count(page_client) == 0
    typed = {"inviteEmail": "not yet", "firstName": "Jonas", "lastName": "Keller", "groupSearch": "aut"}
    assert {name: value(seen, name) for name in typed} == typed
    assert "Come on Tuesday.</textarea>" in seen.html
    assert 'value="de" lang="de" selected' in seen.html
    assert (ticked(seen, "role"), ticked(seen, "groups"), ticked(seen, "expiresIn")) == (
        ["team"],
        ["spring"],
        ["86400"],
    )
    assert rows(seen) == [("articles/tides", "EDITOR")]
    assert form_problems(seen) == []


def form_problems(seen: PageResponse) -> list[str]:
    return re.findall(r'data-problem="([^"]+)"', seen.html)


async def test_enter_in_a_field_sends_nothing(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    form = (await page_client.get(NEW)).html.partition('<form class="form"')[2]
    first = re.search(r'<button[^>]*name="do" value="([^"]*)"', form)
    assert first is not None
    assert first[1] == "look"


async def test_selected_groups_stay_during_a_search(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    seen = await page_client.get(f"{NEW}/choices/groups?groups=spring&groupSearch=AUT")
    assert re.findall(r'name="groups" value="(\w+)"( checked)?', seen.html) == [("spring", " checked"), ("autumn", "")]


async def test_content_is_searched_by_prefix_of_the_title(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    seen = await page_client.get(f"{NEW}/choices/content?content=articles/songs&contentSearch=tide")
    assert re.findall(r'value="add:([^"]*)"', seen.html) == ["articles/tides"]


async def test_the_only_match_is_added_immediately(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    seen = await send(page_client, do="add", contentSearch="harb")
    assert rows(seen) == [("articles/harbour", "VIEWER")]
    assert value(seen, "contentSearch") == ""


async def test_one_of_several_matches_is_added_by_its_own_button(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    seen = await send(page_client, do="add", contentSearch="tide")
    assert rows(seen) == []
    assert re.findall(r'value="add:([^"]*)"', seen.html) == ["articles/songs", "articles/tides"]
    seen = await send(page_client, do="add:articles/tides", contentSearch="tide")
    assert rows(seen) == [("articles/tides", "VIEWER")]


async def test_content_that_does_not_exist_is_not_added(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    seen = await send(page_client, do="add", contentSearch="Kites")
    assert rows(seen) == []
    assert 'data-testid="no-objects-found"' in seen.html


async def test_a_row_can_be_removed(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    chosen = {"content": ["articles/tides", "articles/harbour"], "contentRole": ["EDITOR", "MAINTAINER"]}
    assert rows(await send(page_client, do="remove:articles/tides", **chosen)) == [("articles/harbour", "MAINTAINER")]


# ---- duplicates and templates ----------------------------------------------------------------------------------------


async def test_a_duplicate_starts_with_the_same_terms(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    invitation = await stored(
        page_client,
        await send(
            page_client,
            firstName="Jonas",
            groups=["spring"],
            content=["articles/tides"],
            contentRole=["EDITOR"],
            message="Come.",
            locale="de",
            expiresIn="86400",
        ),
    )
    seen = await page_client.get(f"{NEW}?like={invitation.id}")
    assert (value(seen, "inviteEmail"), value(seen, "firstName")) == ("jonas@people.test", "Jonas")
    assert (ticked(seen, "role"), ticked(seen, "groups"), ticked(seen, "expiresIn")) == (
        ["team"],
        ["spring"],
        ["86400"],
    )
    assert rows(seen) == [("articles/tides", "EDITOR")]
    assert "Come.</textarea>" in seen.html
    assert 'value="de" lang="de" selected' in seen.html


@pytest.mark.parametrize("like", ["019cae6b-6600-7425-a289-6361e8d66c0e", "nonsense", "%00", ""])
async def test_an_unknown_source_gives_an_empty_form(page_client: PageClient, like: str) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(f"{NEW}?like={like}")
    assert (seen.status, value(seen, "inviteEmail")) == (200, "")


async def test_a_template_fills_in_terms_and_keeps_the_invitee(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await create_groups_and_objects(page_client)
    template = InvitationTemplate(
        key="new-customer", name="New customer", role="customer", groups=("spring",), message="Welcome."
    )
    await page_client.services.invitations.templates.create_template(template, by=OPERATOR_PRINCIPAL)
    seen = await send(page_client, do="template", template="new-customer", groups=["autumn"], message="")
    assert value(seen, "inviteEmail") == "jonas@people.test"
    assert (ticked(seen, "role"), ticked(seen, "groups")) == (["customer"], ["spring"])
    assert "Welcome.</textarea>" in seen.html
    assert ticked(await page_client.get(f"{NEW}?template=new-customer"), "role") == ["customer"]


async def test_a_selected_but_unused_template_needs_a_confirmation(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    template = InvitationTemplate(
        key="new-customer",
        name="New customer",
        role="customer",
        redirect_url="https://app.orchard.example/welcome",
        content=(("article", "tides", "EDITOR"),),
    )
    await create_groups_and_objects(page_client)
    await page_client.services.invitations.templates.create_template(template, by=OPERATOR_PRINCIPAL)
    seen = await send(page_client, template="new-customer")
    assert (seen.status, await count(page_client)) == (422, 0)
    assert form_problems(seen) == ["template-unused"]
    assert (ticked(seen, "role"), rows(seen)) == (["customer"], [("articles/tides", "EDITOR")])
    again = {"template": "new-customer", "used": seen.hidden["used"], "role": "customer", "groups": ["spring"]}
    invitation = await stored(page_client, await send(page_client, **again))
    assert (invitation.redirect_url, invitation.bundle.content) == (template.redirect_url, ())
    assert form_problems(await send(page_client, template="none")) == ["unknown-template"]


async def test_a_duplicate_keeps_redirect_and_metadata(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    onward = "https://app.orchard.example/welcome"
    source = await page_client.invite(role="customer", redirect_url=onward, metadata={"crm": 1})
    seen = await page_client.get(f"{NEW}?from={source.id}")
    invitation = await stored(page_client, await send(page_client, like=seen.hidden["like"]))
    assert (invitation.redirect_url, invitation.metadata, invitation.bundle.role) == (onward, {"crm": 1}, "team")


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status", "problem"),
    [
        ({"inviteEmail": ""}, 422, "invalid-email"),
        ({"inviteEmail": "jonas"}, 422, "invalid-email"),
        ({"role": ""}, 422, "grant-required"),
        ({"role": "boss"}, 422, "unknown-role"),
        ({"groups": ["none"]}, 404, "group-not-found"),
        ({"content": ["articles/none"], "contentRole": ["VIEWER"]}, 404, "content-not-found"),
        ({"content": ["articles/none"]}, 422, "unreadable"),
        ({"message": "x" * 1001}, 422, "too-long"),
        ({"locale": "!"}, 422, "invalid-locale"),
        ({"expiresIn": "until"}, 422, "required"),
        ({"expiresIn": "until", "until": "soon"}, 422, "invalid-date"),
        ({"expiresIn": "until", "until": "2026-03-01"}, 422, "out-of-bounds"),
        ({"expiresIn": "31536000"}, 422, "out-of-bounds"),
        ({"expiresIn": "x"}, 422, "invalid-duration"),
    ],
)
async def test_invalid_fields_are_refused_and_input_is_kept(
    page_client: PageClient, fields: dict[str, Any], status: int, problem: str
) -> None:
    await page_client.sign_in_admin()
    seen = await send(page_client, **{"firstName": "Jonas", "message": "Come.", **fields})
    assert (seen.status, form_problems(seen)) == (status, [problem])
    assert seen.code is not None
    assert value(seen, "firstName") == "Jonas"
    assert seen.title.startswith("Error: ")
    assert await count(page_client) == 0


async def test_an_equal_pending_invitation_is_refused_with_a_link(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    invitation = await stored(page_client, await send(page_client))
    seen = await send(page_client, firstName="Jonas")
    assert (seen.status, seen.code) == (409, "already-invited")
    assert f'<a href="/admin/invitations/{invitation.id}">Open that invitation</a>' in seen.html
    assert await count(page_client) == 1


async def test_existing_members_are_not_invited(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.user("jonas@people.test", role="team")
    seen = await send(page_client)
    assert (seen.status, seen.code) == (409, "already-member")
    assert form_problems(seen) == ["already-member"]


async def test_a_busy_database_keeps_the_input(page_client: PageClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await page_client.sign_in_admin()

    async def busy(*_: object, **__: object) -> None:
        raise StorageBusy

    monkeypatch.setattr(page_client.services.invitations, "create", busy)
    seen = await send(page_client, firstName="Jonas")
    assert (seen.status, value(seen, "firstName")) == (503, "Jonas")
    assert form_problems(seen) == ["storage-busy"]


@pytest.mark.parametrize("page_client", [("[mail]", '[limits]\nper-recipient = "1/day"\n\n[mail]')], indirect=True)
async def test_too_many_invitations_to_one_address_are_refused(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await send(page_client)
    seen = await send(page_client, role="customer", firstName="Jonas")
    assert (seen.status, value(seen, "firstName")) == (429, "Jonas")
    assert form_problems(seen) == ["too-many-requests"]


# ---- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [NEW, f"{NEW}/choices/groups", f"{NEW}/choices/content", f"{NEW}/preview"])
async def test_inviting_needs_permission(page_client: PageClient, path: str) -> None:
    assert (await page_client.get(path)).target.startswith("/admin/login?next=")
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    assert (await page_client.get(path)).status == 403


async def test_a_viewer_cannot_submit_forms_of_managers(page_client: PageClient) -> None:
    await page_client.sign_in_admin("vera@panel.test", role="viewer")
    sent = await page_client.send(
        NEW, {"inviteEmail": "jonas@people.test", "role": "team", "do": "save"}, page="/admin/account"
    )
    assert (sent.status, sent.code) == (403, "not-allowed")
    assert await count(page_client) == 0


@pytest.mark.parametrize("path", [NEW, f"{NEW}/preview"])
async def test_a_form_of_another_site_is_refused(page_client: PageClient, path: str) -> None:
    await page_client.sign_in_admin()
    fields = {"inviteEmail": "jonas@people.test", "role": "team", "do": "save"}
    for proof in ({}, {"csrf": "0" * 32}):
        sent = PageResponse(await page_client.browser.post(path, data={**fields, **proof}))
        assert (sent.status, sent.code) == (403, "csrf-token-invalid")
    assert await count(page_client) == 0


@pytest.mark.parametrize("field", ["state", "inviterId", "metadata", "redirectUrl", "id", "acceptedAt", "generation"])
async def test_fields_outside_the_form_are_refused(page_client: PageClient, field: str) -> None:
    await page_client.sign_in_admin()
    sent = await send(page_client, **{field: "ACCEPTED"})
    assert (sent.status, sent.code) == (400, "unknown-field")
    assert await count(page_client) == 0


async def test_user_texts_are_escaped_on_all_pages(page_client: PageClient) -> None:
    await page_client.sign_in_admin(name=EVIL)
    await page_client.group("evil", EVIL)
    owner = await page_client.inviter()
    await page_client.object(EVIL, owner=owner, key="evil")
    chosen = {
        "firstName": EVIL,
        "lastName": EVIL,
        "message": EVIL,
        "groups": ["evil"],
        "content": ["articles/evil"],
        "contentRole": ["VIEWER"],
    }
    pages = [
        await send(page_client, do="look", inviteEmail=EVIL, groupSearch=EVIL, contentSearch=EVIL, **chosen),
        await send(page_client, inviteEmail=EVIL, until=EVIL, locale=EVIL, template=EVIL, **chosen),
        await page_client.get(f"{NEW}/choices/content?contentSearch=%22%3E%3Cimg"),
        await page_client.get(f"{NEW}/choices/groups?groupSearch={'%22%3E%3Cimg'}&groups=evil"),
    ]
    sent = await send(page_client, **chosen)
    pages += [await page_client.get(sent.target), await page_client.get(f"{NEW}?like={sent.target.rpartition('/')[2]}")]
    pages += [await page_client.get(f"{sent.target}/{page}") for page in ("revoke", "link")]
    for seen in pages:
        assert "<img" not in seen.html
        assert EVIL not in seen.html


async def test_only_the_form_page_allows_frames(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    policy = (await page_client.get(NEW)).response.headers["content-security-policy"]
    assert policy.endswith("; frame-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
