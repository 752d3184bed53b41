"""The profile: names, language, consent to new terms, and the way out."""

from typing import Any

from latchstring.domain.account import User
from latchstring.domain.errors import FieldProblem, InvalidFields, TermsRequired
from latchstring.formats.field_types import Line, Locale
from latchstring.http.authentication import has_outdated_terms
from latchstring.http.responses import Answer
from latchstring.i18n.negotiation import available_locales
from latchstring.invitee.context import InviteePage
from latchstring.invitee.routing import get, post
from latchstring.invitee.signed_in import member_of
from latchstring.pages.forms import FormProblem, FormState, PageForm, SentForm, Tick
from latchstring.users.accounts import UserChanges

PROFILE = "/profile"


class ProfileForm(PageForm, kw_only=True):
    """What people change of themselves. language: empty for whatever the browser asks for."""

    first_name: Line
    last_name: Line
    language: Locale | None = None


class ConsentForm(PageForm):
    """The tick under new terms."""

    accept_terms: Tick = False


@get(PROFILE)
async def show_profile(page: InviteePage) -> Answer:
    """What is known of whoever is signed in."""
    return page.redirect("/login", next=PROFILE) if page.user is None else await _show(page, page.user)


async def _show(page: InviteePage, user: User, **how: Any) -> Answer:
    shown = {"form": FormState(_typed(user))} | how
    return page.show(
        "profile.html",
        user=await member_of(page, user),
        terms_asked=has_outdated_terms(user, page.services.app),
        spoken=available_locales(),
        **shown,
    )


def _typed(user: User) -> dict[str, str]:
    return {"firstName": user.first_name, "lastName": user.last_name, "language": user.locale or ""}


@post(PROFILE)
async def change_profile(page: InviteePage) -> Answer:
    """Keep names and language."""
    page, sent = await page.read(ProfileForm)
    user = page.user
    if user is None:
        return page.redirect("/login", next=PROFILE)
    try:
        changes = _changes(sent)
    except InvalidFields as error:
        there = page.with_url(PROFILE)
        return await _show(there, user, status=422, code=error.code, form=sent.refused(error))
    await page.services.users.change_profile(user.id, changes)
    return page.redirect(PROFILE, done="saved")


def _changes(sent: SentForm[ProfileForm]) -> UserChanges:
    form = sent.finish()
    if form.language is not None and form.language not in available_locales():
        raise InvalidFields([FieldProblem("/language", "not-one-of", "Choose one of the languages.")])
    return UserChanges(first_name=form.first_name, last_name=form.last_name, locale=form.language)


@post("/profile/terms")
async def accept_terms(page: InviteePage) -> Answer:
    """Consent to the present terms."""
    page, sent = await page.read(ConsentForm)
    user = page.user
    if user is None:
        return page.redirect("/login", next=PROFILE)
    if not sent.get("accept_terms"):
        form = FormState(_typed(user), (FormProblem("acceptTerms", TermsRequired.code),))
        return await _show(page.with_url(PROFILE), user, status=422, code=TermsRequired.code, form=form)
    await page.services.users.change_profile(user.id, UserChanges(accept_terms=True))
    return page.redirect(PROFILE, done="saved")
