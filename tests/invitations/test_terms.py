"""Optional terms survive a create, an import and a template; erasing a person removes the personal ones.

The values are made from the fields of `domain/terms.py`, so that a new field is tested without a change here.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints
from uuid import uuid4

import pytest
from tests.invitations.bulk.test_jobs import carried_out, rows
from tests.support.invitation_env import InvitationEnv, build_invitation_env
from tests.support.service_env import ServiceEnv

from latchstring.domain.invitation import Invitation
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.settings import InvitationRules
from latchstring.domain.template import InvitationTemplate
from latchstring.domain.terms import IMPERSONAL_TERM_NAMES, SharedTerms, Terms, shared_terms_of, terms_of
from latchstring.formats.camel_case import to_camel_case
from latchstring.storage.invitations.cascade import erase_person
from latchstring.storage.invitations.read import find_invitation

ORIGIN = "https://app.example.org"
KNOWN = {"locale": "de", "redirect_url": f"{ORIGIN}/welcome"}


@pytest.fixture
def invitation_env(service_env: ServiceEnv) -> InvitationEnv:
    return build_invitation_env(service_env, rules=InvitationRules(redirect_origins=(ORIGIN,)))


def example_terms(declared: type[SharedTerms]) -> dict[str, Any]:
    """A value of its own for each term."""
    types = get_type_hints(declared)
    return {
        name: KNOWN.get(name) or ({"app": name} if types[name] == Mapping[str, object] | None else f"Some {name}")
        for name in (field.name for field in fields(declared))
    }


async def read_back(invitation_env: InvitationEnv, invitation_id: Any) -> Invitation:
    details = await find_invitation(invitation_env.service_env.db, invitation_id)
    assert details is not None
    return details.invitation


async def test_a_create_keeps_every_term(invitation_env: InvitationEnv) -> None:
    terms = example_terms(Terms)
    created = await invitation_env.invite(role="customer", **terms)
    assert terms_of(created.invitation) == terms
    assert terms_of(await read_back(invitation_env, created.invitation.id)) == terms


async def test_an_import_keeps_every_term(invitation_env: InvitationEnv) -> None:
    terms = example_terms(Terms)
    row = {"inviteEmail": "ada@people.test", "role": "customer"} | {to_camel_case(n): v for n, v in terms.items()}
    (result,) = await carried_out(invitation_env, rows(row))
    assert terms_of(await read_back(invitation_env, result.invitation_id)) == terms


async def test_erasing_a_person_keeps_the_impersonal_terms_only(invitation_env: InvitationEnv) -> None:
    terms = example_terms(Terms)
    created = await invitation_env.invite("ada@people.test", role="customer", **terms)
    clock, by = invitation_env.service_env.clock, OPERATOR_PRINCIPAL.actor
    await invitation_env.service_env.db.transact(lambda: erase_person(uuid4(), "ada@people.test", by=by, now=clock()))
    remaining = terms_of(await read_back(invitation_env, created.invitation.id))
    assert remaining == {name: value if name in IMPERSONAL_TERM_NAMES else None for name, value in terms.items()}


async def test_a_template_keeps_every_shared_term_and_gives_it(invitation_env: InvitationEnv) -> None:
    shared = example_terms(SharedTerms)
    templates = invitation_env.invitations.templates
    template = InvitationTemplate(key="new", name="New", role="customer", **shared)
    await templates.create_template(template, by=OPERATOR_PRINCIPAL)
    assert await templates.find_template("new") == template
    created = await invitation_env.invite(template="new")
    assert shared_terms_of(await read_back(invitation_env, created.invitation.id)) == shared
