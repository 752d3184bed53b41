"""Inviting over HTTP: what only shows with limits switched on, and which language is spoken."""

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
    made = await api.post("/invitations", {"inviteEmail": email, "role": "team", **terms}, api.key)
    assert made.status_code == 201, made.text
    return made.json()  # type: ignore[no-any-return]


async def test_sending_again_counts_for_the_recipient(limited_api: Api) -> None:
    made = await invite(limited_api)
    path = f"/invitations/{made['id']}/resend"
    assert (await limited_api.post(path, None, limited_api.key)).status_code == 202
    refused = await limited_api.post(path, None, limited_api.key)
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
    assert int(refused.headers["retry-after"]) > 0
    after = await limited_api.get(f"/invitations/{made['id']}", limited_api.key)
    assert after.json()["generation"] == 2


@pytest.mark.parametrize(
    ("query", "header", "of_invitation", "spoken"),
    [
        ("", {}, None, "en"),
        ("", {"Accept-Language": "sw, de-AT;q=0.8"}, None, "de"),
        ("", {"Accept-Language": "en"}, "de", "de"),
        ("?locale=en", {"Accept-Language": "de"}, "de", "en"),
    ],
)
async def test_a_link_is_looked_at_in_the_readers_language(
    api: Api, query: str, header: dict[str, str], of_invitation: str | None, spoken: str
) -> None:
    words = {"key": "g", "name": "Gardeners", "translations": {"de": {"name": "Gärtner"}}}
    assert (await api.post("/groups", words, api.key)).status_code == 201
    made = await invite(api, groups=["g"], locale=of_invitation)
    token = await token_of(api, made["id"])
    got = (await api.post(f"/invitations/lookup{query}", {"token": token}, None, **header)).json()
    assert (got["locale"], got["groups"][0]["name"]) == (spoken, {"en": "Gardeners", "de": "Gärtner"}[spoken])


async def test_looking_is_counted_and_a_refusal_is_not(api: Api) -> None:
    made = await invite(api)
    token = await token_of(api, made["id"])
    for sent in (token, token, f"{token[:-4]}AAAA"):
        await api.post("/invitations/lookup", {"token": sent})
    await api.services.visits.flush()
    found = await list_link_views(api.services.db, UUID(made["id"]))
    assert [(one.generation, one.times) for one in found] == [(1, 2)]


async def token_of(api: Api, invitation_id: str) -> str:
    standing = await api.services.invitations.get(UUID(invitation_id), by=OPERATOR_PRINCIPAL)
    return api.services.invitations.links.token_of(standing.invitation, Channel.MAILED)


@pytest.mark.parametrize(("chosen", "spoken"), [(None, "de"), ("en", "en")])
async def test_a_mail_speaks_the_language_of_the_account_unless_the_inviter_chose(
    api: Api, chosen: str | None, spoken: str
) -> None:
    user = await api.user("customer", locale="de")
    await invite(api, user["email"], locale=chosen)
    row = (await api.services.db.fetch(outbox.select()))[-1]
    mail = OutboxRow(row.id, MailKind.INVITATION, row.subject_id, row.generation, row.locale, row.state, 0)
    message = await api.services.invitations.mail_loaders[MailKind.INVITATION](mail)
    assert message is not None
    assert message.locale == spoken
