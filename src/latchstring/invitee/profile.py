"""The profile page: names, language, and consent to new terms."""

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
    """The fields of the profile. language: empty to use the language of the browser."""

    first_name: Line
    last_name: Line
    language: Locale | None = None


class ConsentForm(PageForm):
    """The form to accept new terms."""

    accept_terms: Tick = False


@get(PROFILE)
async def show_profile(page: InviteePage) -> Answer:
    """The profile of the signed-in user."""
    return page.redirect("/login", next=PROFILE) if page.user is None else await _show(page, page.user)


async def _show(page: InviteePage, user: User, **values: Any) -> Answer:
    values = {"form": FormState(_form_values(user))} | values
    return page.show(
        "profile.html",
        user=await member_of(page, user),
        requires_terms=has_outdated_terms(user, page.services.app),
        locales=available_locales(),
        **values,
    )


def _form_values(user: User) -> dict[str, str]:
    return {"firstName": user.first_name, "lastName": user.last_name, "language": user.locale or ""}


@post(PROFILE)
async def change_profile(page: InviteePage) -> Answer:
    """Save names and language."""
    page, sent = await page.read(ProfileForm)
    user = page.user
    if user is None:
        return page.redirect("/login", next=PROFILE)
    try:
        changes = _changes(sent)
    except InvalidFields as error:
        page = page.with_url(PROFILE)
        return await _show(page, user, status=422, code=error.code, form=sent.refused(error))
    await page.services.users.change_profile(user.id, changes)
    return page.redirect(PROFILE, done="saved")


def _changes(sent: SentForm[ProfileForm]) -> UserChanges:
    form = sent.finish()
    if form.language is not None and form.language not in available_locales():
        raise InvalidFields([FieldProblem("/language", "not-one-of", "Choose one of the languages.")])
    return UserChanges(first_name=form.first_name, last_name=form.last_name, locale=form.language)


@post("/profile/terms")
async def accept_terms(page: InviteePage) -> Answer:
    """Accept the current terms."""
    page, sent = await page.read(ConsentForm)
    user = page.user
    if user is None:
        return page.redirect("/login", next=PROFILE)
    if not sent.get("accept_terms"):
        form = FormState(_form_values(user), (FormProblem("acceptTerms", TermsRequired.code),))
        return await _show(page.with_url(PROFILE), user, status=422, code=TermsRequired.code, form=form)
    await page.services.users.change_profile(user.id, UserChanges(accept_terms=True))
    return page.redirect(PROFILE, done="saved")
