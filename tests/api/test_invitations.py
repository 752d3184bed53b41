"""Invitations over HTTP: rate limits, languages and counted lookups."""

from typing import Any
from uuid import UUID

import pytest
from tests.support.api_client import Api

from latchstring.domain.invitation import Channel
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.storage.engine.tables import outbox
from latchstring.storage.invitations.link_views import list_link_views
from latchstring.storage.outbox.outbox import OutboxRow


async def invite(api: Api, email: str = "ada@people.test", **terms: Any) -> dict[str, Any]:
    invitation = await api.post("/invitations", {"inviteEmail": email, "role": "team", **terms}, api.key)
    assert invitation.status_code == 201, invitation.text
    return invitation.json()  # type: ignore[no-any-return]


async def test_a_resend_counts_for_the_limit_of_the_recipient(limited_api: Api) -> None:
    invitation = await invite(limited_api)
    path = f"/invitations/{invitation['id']}/resend"
    assert (await limited_api.post(path, None, limited_api.key)).status_code == 202
    refused = await limited_api.post(path, None, limited_api.key)
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
    assert int(refused.headers["retry-after"]) > 0
    after = await limited_api.get(f"/invitations/{invitation['id']}", limited_api.key)
    assert after.json()["generation"] == 2


@pytest.mark.parametrize(
    ("query", "header", "invitation_locale", "expected_locale"),
    [
        ("", {}, None, "en"),
        ("", {"Accept-Language": "sw, de-AT;q=0.8"}, None, "de"),
        ("", {"Accept-Language": "en"}, "de", "de"),
        ("?locale=en", {"Accept-Language": "de"}, "de", "en"),
    ],
)
async def test_a_lookup_answers_in_the_language_of_the_reader(
    api: Api, query: str, header: dict[str, str], invitation_locale: str | None, expected_locale: str
) -> None:
    group = {"key": "g", "name": "Gardeners", "translations": {"de": {"name": "Gärtner"}}}
    assert (await api.post("/groups", group, api.key)).status_code == 201
    invitation = await invite(api, groups=["g"], locale=invitation_locale)
    token = await make_token(api, invitation["id"])
    preview = (await api.post(f"/invitations/lookup{query}", {"token": token}, None, **header)).json()
    assert (preview["locale"], preview["groups"][0]["name"]) == (
        expected_locale,
        {"en": "Gardeners", "de": "Gärtner"}[expected_locale],
    )


async def test_lookups_are_counted_and_failed_ones_are_not(api: Api) -> None:
    invitation = await invite(api)
    token = await make_token(api, invitation["id"])
    for sent in (token, token, f"{token[:-4]}AAAA"):
        await api.post("/invitations/lookup", {"token": sent})
    await api.services.link_views.flush()
    views = await list_link_views(api.services.db, UUID(invitation["id"]))
    assert [(view.generation, view.times) for view in views] == [(1, 2)]


async def make_token(api: Api, invitation_id: str) -> str:
    details = await api.services.invitations.get(UUID(invitation_id), by=OPERATOR_PRINCIPAL)
    return api.services.invitations.links.token_of(details.invitation, Channel.MAILED)


@pytest.mark.parametrize(("invitation_locale", "expected_locale"), [(None, "de"), ("en", "en")])
async def test_a_mail_uses_the_language_of_the_account_unless_the_invitation_has_one(
    api: Api, invitation_locale: str | None, expected_locale: str
) -> None:
    user = await api.user("customer", locale="de")
    await invite(api, user["email"], locale=invitation_locale)
    row = (await api.services.db.fetch(outbox.select()))[-1]
    mail = OutboxRow(row.id, MailKind.INVITATION, row.subject_id, row.generation, row.locale, row.state, 0)
    message = await api.services.invitations.mail_loaders[MailKind.INVITATION](mail)
    assert message is not None
    assert message.locale == expected_locale
