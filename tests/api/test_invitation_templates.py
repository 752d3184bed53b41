"""Invitation templates over HTTP: listing them, and inviting with one."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.api_client import SETTINGS, Api

from latchstring.config import Config, load_config
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.template import InvitationTemplate

TEMPLATES = """
[content.types.articles]
name = "Articles"
[templates.new-customer]
name = "New customer"
role = "customer"
groups = ["early"]
message = "Welcome."
lifetime = "P3D"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    file = tmp_path / "latchstring.toml"
    file.write_text(SETTINGS + TEMPLATES)
    return load_config(file, {})


async def invite(api: Api, token: str | None = None, **body: Any) -> Any:
    sent = {"inviteEmail": "ada@people.test", **body}
    return await api.post("/invitations", sent, token or api.key)


async def test_templates_are_listed_with_their_source(api: Api) -> None:
    template = InvitationTemplate(key="reader", name="Reader", content=(("articles", "a", "VIEWER"),), locale="de")
    await api.services.invitations.templates.create_template(template, by=OPERATOR_PRINCIPAL)
    listed = (await api.get("/invitation-templates", api.key)).json()
    assert (listed["nextCursor"], listed["total"]) == (None, 2)
    assert listed["items"] == [
        {
            "key": "new-customer", "name": "New customer", "role": "customer", "groups": ["early"], "content": [],
            "message": "Welcome.", "locale": None, "expiresIn": "P3D", "redirectUrl": None, "source": "CONFIG",
        },
        {
            "key": "reader", "name": "Reader", "role": None, "groups": [],
            "content": [{"contentType": "articles", "key": "a", "role": "VIEWER"}],
            "message": None, "locale": "de", "expiresIn": None, "redirectUrl": None, "source": "PANEL",
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "status"), [("invitations:read", 200), ("invitations:write", 200), ("users:read", 403)]
)
async def test_listing_requires_a_permission_for_invitations(api: Api, scope: str, status: int) -> None:
    assert (await api.get("/invitation-templates", await api.api_key(scope))).status_code == status
    assert (await api.get("/invitation-templates")).status_code == 401


async def test_an_invitation_takes_its_terms_from_a_template(api: Api) -> None:
    await api.post("/groups", {"key": "early", "name": "Early birds"}, api.key)
    invitation = (await invite(api, template="new-customer")).json()
    assert (invitation["role"], invitation["groups"], invitation["message"]) == ("customer", ["early"], "Welcome.")
    again = await invite(api, template="new-customer")
    assert (again.status_code, again.json()["code"]) == (409, "already-invited")


async def test_an_empty_list_overrides_the_template_and_null_does_not(api: Api) -> None:
    response = await invite(api, template="new-customer", groups=[], message=None, role="team")
    assert (response.status_code, response.json()["groups"]) == (201, [])
    assert (response.json()["message"], response.json()["role"]) == ("Welcome.", "team")


async def test_an_unknown_template_is_reported_with_the_other_fields(api: Api) -> None:
    refused = await invite(api, template="nobody", firstName="\u0007")
    assert refused.status_code == 422
    assert {error["pointer"]: error["code"] for error in refused.json()["errors"]} == {
        "/firstName": "control-characters",
        "/template": "unknown-template",
    }
    assert "new-customer" in refused.text


async def test_a_template_does_not_extend_the_rights_of_the_caller(api: Api) -> None:
    await api.post("/groups", {"key": "early", "name": "Early birds"}, api.key)
    key = await api.api_key("invitations:write", may_grant=["team"])
    refused = await invite(api, key, template="new-customer")
    assert (refused.status_code, refused.json()["code"]) == (403, "grant-not-allowed")
