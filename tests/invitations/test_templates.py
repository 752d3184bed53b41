"""Templates of invitations: what they add, who may change them, and that they give nobody more."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    GrantNotAllowed,
    GroupNotFound,
    InvalidFields,
    NotAllowed,
    TemplateConfigured,
    TemplateKeyTaken,
    TemplateNotFound,
)
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import ContentRules, ContentType
from latchstring.domain.template import InvitationTemplate, TemplateSource
from latchstring.invitations.templates import InvitationTemplates, expand, expand_from

CONFIGURED = InvitationTemplate(
    key="new-customer",
    name="New customer",
    role="customer",
    groups=("early",),
    message="Welcome.",
    locale="de",
    expires_in=timedelta(days=3),
    source=TemplateSource.CONFIG,
)
MADE = InvitationTemplate(key="colleague", name="Colleague", role="team", expires_in=timedelta(days=2))


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    content = ContentRules({"articles": ContentType("articles", "Articles", "article")})
    return build_invitation_env(service_env, templates={CONFIGURED.key: CONFIGURED}, content=content)


@pytest.fixture
def templates(invitation_env: InvitationEnv) -> InvitationTemplates:
    return invitation_env.invitations.templates


def somebody(*permissions: str) -> Principal:
    return Principal(ActorType.ADMIN, uuid4(), "Ada", frozenset(permissions), frozenset({"*"}), frozenset({"*"}))


def draft(**stated: Any) -> Draft:
    return Draft(email="ada@people.test", email_key="ada@people.test", template="new-customer", **stated)


# ---- expanding -------------------------------------------------------------------------------------------------------


def test_a_template_fills_what_nobody_stated() -> None:
    full = expand(draft(), CONFIGURED)
    assert (full.role, full.groups, full.message, full.locale) == ("customer", ("early",), "Welcome.", "de")
    assert (full.expires_in, full.content, full.template) == (timedelta(days=3), (), None)


@pytest.mark.parametrize(
    "stated",
    [
        {"role": "team"},
        {"groups": ("readers", "writers")},
        {"content": (("articles", "a", "VIEWER"),)},
        {"message": "Hello."},
        {"locale": "fr"},
        {"expires_in": timedelta(days=1)},
        {"redirect_url": "https://acme.test/"},
    ],
    ids=lambda stated: next(iter(stated)),
)
def test_what_is_stated_replaces_and_leaves_the_rest(stated: dict[str, Any]) -> None:
    full, plain = expand(draft(**stated), CONFIGURED), expand(draft(), CONFIGURED)
    assert full == replace(plain, **stated)


def test_what_is_empty_on_purpose_stays_empty() -> None:
    full = expand(draft(emptied=frozenset({"groups", "message"}), message=""), CONFIGURED)
    assert (full.role, full.groups, full.message) == ("customer", (), "")


def test_an_unknown_template_is_told_with_the_names_there_are() -> None:
    same, (problem,) = expand_from(replace(draft(), template="new-custmer"), {CONFIGURED.key: CONFIGURED})
    assert (problem.pointer, problem.code) == ("/template", "unknown-template")
    assert "Did you mean new-customer? Known: new-customer." in problem.detail
    assert same.template == "new-custmer"
    assert expand_from(replace(draft(), template=None), {}) == (replace(draft(), template=None), [])


# ---- using -----------------------------------------------------------------------------------------------------------


async def test_an_invitation_by_a_template_of_each_source(
    invitation_env: InvitationEnv, templates: InvitationTemplates
) -> None:
    await invitation_env.service_env.group("early")
    first = (await invitation_env.invite(template="new-customer")).invitation
    assert (first.bundle.role, [g.target_key for g in first.bundle.groups], first.locale) == (
        "customer",
        ["early"],
        "de",
    )
    assert (first.lifetime, first.message) == (timedelta(days=3), "Welcome.")
    await templates.create_template(MADE, by=somebody("templates:write"))
    second = (await invitation_env.invite(template="colleague", role="customer")).invitation
    assert (second.bundle.role, second.lifetime) == ("customer", timedelta(days=2))


async def test_an_unknown_template_is_one_of_the_fields(invitation_env: InvitationEnv) -> None:
    with pytest.raises(InvalidFields) as refused:
        await invitation_env.invite(template="nobody-knows", expires_in=timedelta(days=1000))
    assert [problem.code for problem in refused.value.errors] == ["unknown-template", "out-of-bounds"]


async def test_a_template_gives_nobody_more_than_he_may_grant(
    invitation_env: InvitationEnv, templates: InvitationTemplates
) -> None:
    await templates.create_template(replace(MADE, role="admin"), by=OPERATOR_PRINCIPAL)
    inviter = Principal(
        ActorType.API_KEY, uuid4(), "key", frozenset({"invitations:write"}), frozenset({"customer"}), frozenset()
    )
    with pytest.raises(GrantNotAllowed, match="admin"):
        await invitation_env.invite(template="colleague", by=inviter)
    with pytest.raises(GrantNotAllowed, match="early"):
        await invitation_env.invite(template="new-customer", by=inviter)


async def test_what_a_template_names_is_looked_up_when_it_is_used(invitation_env: InvitationEnv) -> None:
    with pytest.raises(GroupNotFound, match="early"):
        await invitation_env.invite(template="new-customer")


# ---- keeping ---------------------------------------------------------------------------------------------------------


async def test_templates_are_made_changed_and_removed(
    invitation_env: InvitationEnv, templates: InvitationTemplates
) -> None:
    admin = somebody("templates:write", "invitations:read")
    whole = replace(
        MADE,
        groups=("early",),
        content=(("articles", "a", "EDITOR"),),
        message="Hi.",
        locale="de",
        redirect_url="https://invite.example.org/in",
    )
    await templates.create_template(whole, by=admin)
    assert await templates.get_template("colleague", by=admin) == whole
    assert [one.key for one in await templates.list_templates(by=admin)] == ["new-customer", "colleague"]
    await templates.replace_template(replace(whole, role="customer", message=None), by=admin)
    assert (await templates.find_all_in_use())["colleague"].role == "customer"
    await templates.delete_template("colleague", by=admin)
    assert await templates.find_template("colleague") is None
    for change in (templates.replace_template(whole, by=admin), templates.delete_template("colleague", by=admin)):
        with pytest.raises(TemplateNotFound):
            await change
    assert await invitation_env.service_env.events() == [
        f"invitation_template.{what}" for what in ("created", "updated", "deleted")
    ]


async def test_configuration_wins_over_the_panel(invitation_env: InvitationEnv, templates: InvitationTemplates) -> None:
    by = OPERATOR_PRINCIPAL
    mine = replace(MADE, key="new-customer")
    with pytest.raises(TemplateKeyTaken):
        await templates.create_template(mine, by=by)
    with pytest.raises(TemplateConfigured):
        await templates.replace_template(mine, by=by)
    with pytest.raises(TemplateConfigured):
        await templates.delete_template("new-customer", by=by)


async def test_a_template_that_configuration_took_over_waits_and_can_be_removed(invitation_env: InvitationEnv) -> None:
    by, before = OPERATOR_PRINCIPAL, build_invitation_env(invitation_env.service_env).invitations.templates
    await before.create_template(replace(MADE, key="new-customer"), by=by)
    templates = invitation_env.invitations.templates
    assert await templates.get_template("new-customer", by=by) == CONFIGURED
    assert [one.source for one in await templates.list_templates(by=by)] == [TemplateSource.CONFIG]
    assert [one.shadowed for one in await templates.list_templates(by=by, shadowed=True)] == [False, True]
    await templates.delete_template("new-customer", by=by)
    assert await before.find_template("new-customer") is None


async def test_of_equal_keys_at_once_exactly_one_is_made(templates: InvitationTemplates) -> None:
    results = await asyncio.gather(
        *(templates.create_template(MADE, by=OPERATOR_PRINCIPAL) for _ in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [TemplateKeyTaken] * 3


async def test_every_rule_a_template_breaks_is_told_at_once(templates: InvitationTemplates) -> None:
    broken = replace(
        MADE,
        role="boss",
        groups=("a", "a"),
        content=(("films", "a", "VIEWER"),),
        expires_in=timedelta(days=1000),
        redirect_url="https://elsewhere.test/",
    )
    with pytest.raises(InvalidFields) as refused:
        await templates.create_template(broken, by=OPERATOR_PRINCIPAL)
    pointers = [problem.pointer for problem in refused.value.errors]
    assert pointers == ["/role", "/groups", "/content", "/expiresIn", "/redirectUrl"]


async def test_reading_and_changing_need_their_permissions(templates: InvitationTemplates) -> None:
    nobody, reader, writer = somebody(), somebody("invitations:read"), somebody("invitations:write")
    assert await templates.list_templates(by=reader) == await templates.list_templates(by=writer)
    with pytest.raises(NotAllowed):
        await templates.list_templates(by=nobody)
    with pytest.raises(NotAllowed):
        await templates.get_template("new-customer", by=nobody)
    for change in (
        templates.create_template(MADE, by=writer),
        templates.replace_template(MADE, by=writer),
        templates.delete_template("colleague", by=writer),
    ):
        with pytest.raises(NotAllowed):
            await change
