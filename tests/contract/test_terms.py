"""An optional term of an invitation is declared in `domain/terms.py`. These tests find modules that omit one.

`tests/invitations/test_terms.py` tests that values survive storage, imports and erasure.
"""

import re
from pathlib import Path
from typing import get_type_hints

import pytest

from latchstring.admin.imports import columns
from latchstring.admin.invitations.form import TERMS_WITHOUT_A_FIELD, InvitationForm
from latchstring.admin.invitations.templates import TemplateForm
from latchstring.api.invitation_templates import TemplateView
from latchstring.api.invitation_views import InvitationView
from latchstring.domain.terms import IMPERSONAL_TERM_NAMES, SHARED_TERM_NAMES, TERM_NAMES
from latchstring.formats.camel_case import to_camel_case
from latchstring.formats.invitation_input import NewInvitation
from latchstring.storage.engine.tables import invitations

INPUT_TYPES = get_type_hints(NewInvitation, include_extras=True)
PANEL = Path(__file__).parents[2] / "src/latchstring/admin/templates/panel"
PAGE = (PANEL / "invitations/entry.html").read_text(encoding="utf-8")
FORM = (PANEL / "invitations/new.html").read_text(encoding="utf-8")
LABELS = (PANEL / "imports/macros.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TERM_NAMES)
def test_every_term_is_stored_sent_and_answered(name: str) -> None:
    assert name in invitations.c
    assert name in INPUT_TYPES
    assert name in InvitationView.__struct_fields__


@pytest.mark.parametrize("name", TERM_NAMES)
def test_every_term_can_be_a_column_of_an_import(name: str) -> None:
    heading = to_camel_case(name)
    assert columns.is_field(heading)
    assert columns.guess_field(heading) == heading
    assert f'field == "{heading}"' in LABELS


@pytest.mark.parametrize("name", TERM_NAMES)
def test_the_form_of_an_invitation_has_every_term_or_lists_it_as_missing(name: str) -> None:
    types = get_type_hints(InvitationForm, include_extras=True)
    if name in TERMS_WITHOUT_A_FIELD:
        assert name not in types
    else:
        assert types[name] == INPUT_TYPES[name]
        assert f'"{to_camel_case(name)}"' in FORM


@pytest.mark.parametrize("name", SHARED_TERM_NAMES)
def test_a_template_has_every_shared_term(name: str) -> None:
    assert get_type_hints(TemplateForm, include_extras=True)[name] == INPUT_TYPES[name]
    assert name in TemplateView.__struct_fields__


def test_only_terms_can_remain_when_a_person_is_erased() -> None:
    assert set(TERM_NAMES) >= IMPERSONAL_TERM_NAMES


@pytest.mark.parametrize("name", TERM_NAMES)
def test_the_page_of_an_invitation_shows_every_term(name: str) -> None:
    field = "name" if name in {"first_name", "last_name"} else name  # the page shows the full name
    assert re.search(rf"{{{{[^}}]*\.{field}\b", PAGE)
