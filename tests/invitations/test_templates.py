"""Invitation templates: expansion, changes, permissions and the ceiling."""

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
COLLEAGUE = InvitationTemplate(key="colleague", name="Colleague", role="team", expires_in=timedelta(days=2))


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    content = ContentRules({"articles": ContentType("articles", "Articles", "article")})
    return build_invitation_env(service_env, templates={CONFIGURED.key: CONFIGURED}, content=content)


@pytest.fixture
def templates(invitation_env: InvitationEnv) -> InvitationTemplates:
    return invitation_env.invitations.templates


def new_principal(*permissions: str) -> Principal:
    return Principal(ActorType.ADMIN, uuid4(), "Ada", frozenset(permissions), frozenset({"*"}), frozenset({"*"}))


def draft(**stated: Any) -> Draft:
    return Draft(email="ada@people.test", email_key="ada@people.test", template="new-customer", **stated)


# ---- expansion -------------------------------------------------------------------------------------------------------


def test_a_template_fills_missing_fields() -> None:
    expanded = expand(draft(), CONFIGURED)
    assert (expanded.role, expanded.groups, expanded.message, expanded.locale) == (
        "customer",
        ("early",),
        "Welcome.",
        "de",
    )
    assert (expanded.expires_in, expanded.content, expanded.template) == (timedelta(days=3), (), None)


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
def test_stated_fields_replace_those_of_the_template(stated: dict[str, Any]) -> None:
    expanded, plain = expand(draft(**stated), CONFIGURED), expand(draft(), CONFIGURED)
    assert expanded == replace(plain, **stated)


def test_fields_emptied_on_purpose_stay_empty() -> None:
    expanded = expand(draft(emptied=frozenset({"groups", "message"}), message=""), CONFIGURED)
    assert (expanded.role, expanded.groups, expanded.message) == ("customer", (), "")


def test_an_unknown_template_is_reported_with_the_known_keys() -> None:
    unchanged, (problem,) = expand_from(replace(draft(), template="new-custmer"), {CONFIGURED.key: CONFIGURED})
    assert (problem.pointer, problem.code) == ("/template", "unknown-template")
    assert "Did you mean new-customer? Known: new-customer." in problem.detail
    assert unchanged.template == "new-custmer"
    assert expand_from(replace(draft(), template=None), {}) == (replace(draft(), template=None), [])


# ---- use -------------------------------------------------------------------------------------------------------------


async def test_templates_of_both_sources_are_used(
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
    await templates.create_template(COLLEAGUE, by=new_principal("templates:write"))
    second = (await invitation_env.invite(template="colleague", role="customer")).invitation
    assert (second.bundle.role, second.lifetime) == ("customer", timedelta(days=2))


async def test_an_unknown_template_is_reported_with_other_problems(invitation_env: InvitationEnv) -> None:
    with pytest.raises(InvalidFields) as refused:
        await invitation_env.invite(template="unknown", expires_in=timedelta(days=1000))
    assert [problem.code for problem in refused.value.errors] == ["unknown-template", "out-of-bounds"]


async def test_the_ceiling_applies_to_grants_of_a_template(
    invitation_env: InvitationEnv, templates: InvitationTemplates
) -> None:
    await templates.create_template(replace(COLLEAGUE, role="admin"), by=OPERATOR_PRINCIPAL)
    inviter = Principal(
        ActorType.API_KEY, uuid4(), "key", frozenset({"invitations:write"}), frozenset({"customer"}), frozenset()
    )
    with pytest.raises(GrantNotAllowed, match="admin"):
        await invitation_env.invite(template="colleague", by=inviter)
    with pytest.raises(GrantNotAllowed, match="early"):
        await invitation_env.invite(template="new-customer", by=inviter)


async def test_targets_of_a_template_are_resolved_when_it_is_used(invitation_env: InvitationEnv) -> None:
    with pytest.raises(GroupNotFound, match="early"):
        await invitation_env.invite(template="new-customer")


# ---- changes ---------------------------------------------------------------------------------------------------------


async def test_templates_are_created_changed_and_deleted(
    invitation_env: InvitationEnv, templates: InvitationTemplates
) -> None:
    admin = new_principal("templates:write", "invitations:read")
    complete = replace(
        COLLEAGUE,
        groups=("early",),
        content=(("articles", "a", "EDITOR"),),
        message="Hi.",
        locale="de",
        redirect_url="https://invite.example.org/in",
    )
    await templates.create_template(complete, by=admin)
    assert await templates.get_template("colleague", by=admin) == complete
    assert [template.key for template in await templates.list_templates(by=admin)] == ["new-customer", "colleague"]
    await templates.replace_template(replace(complete, role="customer", message=None), by=admin)
    assert (await templates.find_all_in_use())["colleague"].role == "customer"
    await templates.delete_template("colleague", by=admin)
    assert await templates.find_template("colleague") is None
    for change in (templates.replace_template(complete, by=admin), templates.delete_template("colleague", by=admin)):
        with pytest.raises(TemplateNotFound):
            await change
    assert await invitation_env.service_env.events() == [
        f"invitation_template.{name}" for name in ("created", "updated", "deleted")
    ]


async def test_configured_templates_cannot_be_changed(
    invitation_env: InvitationEnv, templates: InvitationTemplates
) -> None:
    by = OPERATOR_PRINCIPAL
    template = replace(COLLEAGUE, key="new-customer")
    with pytest.raises(TemplateKeyTaken):
        await templates.create_template(template, by=by)
    with pytest.raises(TemplateConfigured):
        await templates.replace_template(template, by=by)
    with pytest.raises(TemplateConfigured):
        await templates.delete_template("new-customer", by=by)


async def test_a_template_shadowed_by_configuration_can_be_deleted(invitation_env: InvitationEnv) -> None:
    by, before = OPERATOR_PRINCIPAL, build_invitation_env(invitation_env.service_env).invitations.templates
    await before.create_template(replace(COLLEAGUE, key="new-customer"), by=by)
    templates = invitation_env.invitations.templates
    assert await templates.get_template("new-customer", by=by) == CONFIGURED
    assert [template.source for template in await templates.list_templates(by=by)] == [TemplateSource.CONFIG]
    assert [template.shadowed for template in await templates.list_templates(by=by, shadowed=True)] == [False, True]
    await templates.delete_template("new-customer", by=by)
    assert await before.find_template("new-customer") is None


async def test_of_equal_keys_at_once_one_is_created(templates: InvitationTemplates) -> None:
    results = await asyncio.gather(
        *(templates.create_template(COLLEAGUE, by=OPERATOR_PRINCIPAL) for _ in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [TemplateKeyTaken] * 3


async def test_all_problems_of_a_template_are_reported_at_once(templates: InvitationTemplates) -> None:
    broken = replace(
        COLLEAGUE,
        role="boss",
        groups=("a", "a"),
        content=(("films", "a", "VIEWER"),),
        expires_in=timedelta(days=1000),
        redirect_url="https://other.test/",
    )
    with pytest.raises(InvalidFields) as refused:
        await templates.create_template(broken, by=OPERATOR_PRINCIPAL)
    pointers = [problem.pointer for problem in refused.value.errors]
    assert pointers == ["/role", "/groups", "/content", "/expiresIn", "/redirectUrl"]


async def test_reading_and_changing_require_their_permissions(templates: InvitationTemplates) -> None:
    nobody, reader, writer = new_principal(), new_principal("invitations:read"), new_principal("invitations:write")
    assert await templates.list_templates(by=reader) == await templates.list_templates(by=writer)
    with pytest.raises(NotAllowed):
        await templates.list_templates(by=nobody)
    with pytest.raises(NotAllowed):
        await templates.get_template("new-customer", by=nobody)
    for change in (
        templates.create_template(COLLEAGUE, by=writer),
        templates.replace_template(COLLEAGUE, by=writer),
        templates.delete_template("colleague", by=writer),
    ):
        with pytest.raises(NotAllowed):
            await change
