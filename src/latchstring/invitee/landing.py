"""Where the link of an invitation leads: register, sign in, or accept at once. Opening is not accepting."""

from dataclasses import replace

from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import User
from latchstring.domain.errors import (
    FieldProblem,
    InvalidCredentials,
    InvalidFields,
    InvitationMismatch,
    LinkEnded,
    SignInRequired,
    TermsRequired,
    UserNotFound,
    WrongAccount,
    WrongState,
)
from latchstring.formats.field_types import Line, Secret
from latchstring.http.authentication import Caller
from latchstring.http.problems import describe_problem
from latchstring.http.responses import Answer
from latchstring.invitations.commands import Profile
from latchstring.invitations.results import Accepted
from latchstring.invitee.context import InviteePage
from latchstring.invitee.objects import find_items, names_of, with_held
from latchstring.invitee.previews import LANDING, LandingContext, find_offer, show_end_of, visit_offer
from latchstring.invitee.routing import get, post
from latchstring.invitee.signed_in import member_of, sign_out, signed_in
from latchstring.pages.forms import FormState, PageForm, SentForm, Tick

ARRIVED = "/invitation/arrived"
UNSIGNED = "unsigned"


class AcceptForm(PageForm):
    """Saying yes: with a profile for a new account, with a password to sign in, or with nothing but the button.

    how: `unsigned` for somebody with an account who does not want to sign in now.
    """

    first_name: Line | None = None
    last_name: Line | None = None
    password: Secret | None = None
    accept_terms: Tick = False
    how: str = ""


@get(LANDING)
async def show_landing(page: InviteePage) -> Answer:
    """What the invitation gives, and the way in that fits who looks."""
    found = await visit_offer(page)
    return await _show_way_in(found) if isinstance(found, LandingContext) else found


@get("/content/{content_type:str}/{content_key:str}/accept-invitation")
async def show_content_landing(page: InviteePage) -> Answer:
    """The same for an object, if the invitation leads to it. Raises ContentNotFound for a type that is not declared."""
    named = page.request.path_params
    declared = page.services.content.get_type(named["content_type"])
    found = await visit_offer(page)
    if not isinstance(found, LandingContext):
        return found
    if not found.leads_to(declared.key, named["content_key"]):
        problem = describe_problem(InvitationMismatch())
        return found.page.show(
            "mismatch.html", status=problem.status, code=problem.code, offer=found.offer, token=found.token
        )
    return await _show_way_in(found)


async def _show_way_in(
    found: LandingContext, *, form: FormState | None = None, status: int = 200, code: str = ""
) -> Answer:
    page, user = found.page, found.page.user
    if user is not None and user.email_key != found.opened.invitation.email_key:
        return await _show_wrong_account(found, user)
    if found.is_closed_to_strangers:
        return _show_members_only(found)
    if user is not None:
        held = await with_held(page, found.offer.content)
        found = replace(found, offer=replace(found.offer, content=held))
    common = {"offer": found.offer, "token": found.token, "mailed": found.is_mailed}
    if not found.account_exists:
        named = form or FormState({"firstName": found.offer.first_name, "lastName": _last_name(found)})
        return page.show("register.html", status=status, code=code, form=named, unconfirmed=user is not None, **common)
    if user is not None:
        return page.show(
            "accept.html",
            status=status,
            code=code,
            form=form,
            user=await member_of(page, user),
            first_name=user.first_name,
            **common,
        )
    return page.show(
        "sign_in_to_accept.html", status=status, code=code, form=form, first_name=found.offer.first_name, **common
    )


def _last_name(found: LandingContext) -> str:
    return found.opened.invitation.last_name or ""


async def _show_wrong_account(found: LandingContext, user: User) -> Answer:
    page, code = found.page, WrongAccount.code
    member = await member_of(page, user)
    return page.show("wrong_account.html", status=409, code=code, offer=found.offer, token=found.token, user=member)


def _show_members_only(found: LandingContext) -> Answer:
    """Only somebody with an account may say yes. Whoever is signed in has one whose address nobody has confirmed."""
    problem = describe_problem(UserNotFound())
    return found.page.show(
        "members_only.html",
        status=problem.status,
        code=problem.code,
        offer=found.offer,
        token=found.token,
        unconfirmed=found.page.user is not None,
    )


@post("/invitation/accept")
async def accept(page: InviteePage) -> Answer:
    """Say yes. Everything is checked again, for the page may have been open for days."""
    page, sent = await page.read(AcceptForm)
    found = await find_offer(page.with_url(LANDING, token=sent.token), sent.token)
    if not isinstance(found, LandingContext):
        return found
    found = found.at_home()
    if page.user is None and found.account_exists and sent.get("how") != UNSIGNED:
        return await _sign_in_and_accept(found, sent)
    return await _accept(found, sent)


async def _sign_in_and_accept(found: LandingContext, sent: SentForm[AcceptForm]) -> Answer:
    services = found.page.services
    email_key = found.opened.invitation.email_key
    services.limiter.check_login(email_key, found.page.client_network)
    try:
        user, tokens = await services.users.sessions.login(email_key, sent.get("password") or "")
    except InvalidCredentials as error:
        return await _show_way_in(
            found, form=sent.with_problem("password", "wrong-password"), status=401, code=error.code
        )
    caller = Caller(services.users.principal_of(user), user)
    answer = await _accept(replace(found, page=found.page.as_user(caller)), sent)
    if answer.status != 303:  # noqa: PLR2004  # signed in, yet not accepted: the landing page tells why
        answer = found.page.redirect(found.offer.home, token=found.token)
    return signed_in(found.page, answer, tokens)


async def _accept(found: LandingContext, sent: SentForm[AcceptForm]) -> Answer:
    page = found.page
    try:
        profile = _profile(found, sent)
        accepted = await page.services.invitations.acceptance.accept(found.token, profile, by=page.user)
    except InvalidFields as error:
        return await _show_way_in(found, form=sent.refused(error), status=422, code=error.code)
    except SignInRequired as error:
        return await _show_way_in(found, form=sent.with_problem("password", "required"), status=409, code=error.code)
    except WrongAccount:
        return await _show_way_in(found)
    except UserNotFound:
        return _show_members_only(found)
    except (LinkEnded, WrongState) as error:
        return show_end_of(found, error)
    return _arrive(found, accepted)


def _profile(found: LandingContext, sent: SentForm[AcceptForm]) -> Profile:
    """What was typed. Raises InvalidFields: a name that was emptied is missing, whatever the inviter wrote there."""
    problems = list(sent.reading.problems)
    if not found.account_exists:
        empty = [name for name in ("firstName", "lastName") if not sent.typed.get(name, "").strip()]
        problems += [FieldProblem(f"/{name}", "required", "Enter this name.") for name in empty]
    if problems:
        raise InvalidFields([*problems, *_other_problems(found, sent)])
    return Profile(
        first_name=sent.get("first_name"),
        last_name=sent.get("last_name"),
        password=sent.get("password"),
        accepts_terms=bool(sent.get("accept_terms")),
        locale=found.page.locale,
    )


def _other_problems(found: LandingContext, sent: SentForm[AcceptForm]) -> list[FieldProblem]:
    """What the service would find next, so that everything is told at once."""
    rules, email = found.page.services.account_rules, found.offer.email
    problems = check_policy(sent.get("password") or "", rules, email=email)
    if found.page.requires_terms and not sent.get("accept_terms"):
        problems.append(FieldProblem("/acceptTerms", TermsRequired.code, "Joining needs your consent to the terms."))
    return problems


def _arrive(found: LandingContext, accepted: Accepted) -> Answer:
    page, applied = found.page, accepted.applied
    onward = accepted.invitation.redirect_url or (found.offer.only and found.offer.only.onward)
    if onward:
        answer = page.redirect_to(onward)
    else:
        kept = "yes" if applied.kept_role else ""
        answer = page.redirect(ARRIVED, how=_how(page, accepted), kept=kept, to=names_of(applied.content))
    return signed_in(page, answer, accepted.tokens) if accepted.tokens else answer


def _how(page: InviteePage, accepted: Accepted) -> str:
    if accepted.tokens:
        return "joined"
    return "added" if page.user else UNSIGNED


@get(ARRIVED)
async def show_arrived(page: InviteePage) -> Answer:
    """The door stands open: what the person has now."""
    how = page.query_value("how")
    if page.user is None and how != UNSIGNED:
        return page.redirect("/login")
    to = page.query_value("to")
    if page.user is None:
        # the objects are shown to whoever signs in, because only then it is known what they may view
        onward = page.link(ARRIVED, how="added", to=to) if to else ""
        return page.show("arrived.html", user=None, onward=onward)
    return page.show(
        "arrived.html",
        user=await member_of(page, page.user),
        items=await find_items(page, to),
        joined=how == "joined",
        kept=page.query_value("kept") == "yes",
    )


@post("/invitation/switch")
async def switch_account(page: InviteePage) -> Answer:
    """Sign out and look at the invitation as nobody."""
    page, sent = await page.read(PageForm)
    return await sign_out(page, page.redirect(LANDING, token=sent.token))
