"""The profile of the signed-in user."""

from msgspec import UNSET, UnsetType

from latchstring.api.user_views import MeView, me_view
from latchstring.domain.account import User
from latchstring.domain.errors import FieldProblem, NotAllowed
from latchstring.formats.field_types import Line, Locale
from latchstring.formats.fields import Body, Reading, sent_fields
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, json_answer
from latchstring.rest.route import operation
from latchstring.services import Services
from latchstring.users.accounts import UNCHANGED, UserChanges

TAG = "Users"


class MePatch(Body):
    """The fields to change. acceptTerms: true accepts the current version of the terms."""

    first_name: Line | UnsetType = UNSET
    last_name: Line | UnsetType = UNSET
    locale: Locale | UnsetType | None = UNSET
    accept_terms: bool | UnsetType = UNSET


def _require_user(caller: Caller) -> User:
    if caller.user is None:
        raise NotAllowed
    return caller.user


@operation("GET", "/api/users/me", "Show the signed-in user", tag=TAG, terms_exempt=True, answers={200: MeView})
async def get_me(services: Services, caller: Caller) -> Answer:
    """Not available for API keys."""
    return json_answer(me_view(_require_user(caller), services.roles, services.app))


@operation(
    "PATCH",
    "/api/users/me",
    "Change the profile of the signed-in user",
    tag=TAG,
    terms_exempt=True,
    answers={200: MeView},
)
async def change_me(services: Services, caller: Caller, reading: Reading[MePatch]) -> Answer:
    """Changes names and language, and accepts the terms."""
    user = _require_user(caller)
    if reading.get("accept_terms") is False:
        detail = "Accepted terms cannot be withdrawn here. Omit the field."
        reading.problems.append(FieldProblem("/acceptTerms", "not-true", detail))
    changes = sent_fields(reading.finish())
    changed = await services.users.change_profile(
        user.id,
        UserChanges(
            first_name=changes.get("first_name", UNCHANGED),
            last_name=changes.get("last_name", UNCHANGED),
            locale=changes.get("locale", UNCHANGED),
            accept_terms=changes.get("accept_terms", UNCHANGED),
        ),
    )
    return json_answer(me_view(changed, services.roles, services.app))


routes = [get_me, change_me]
