"""The landing page of an invitation: register, sign in, or accept. Opening it does not accept."""

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
from latchstring.invitee.objects import find_items, format_references, with_current_access
from latchstring.invitee.previews import LANDING, LandingContext, find_landing_context, open_link, show_ended_invitation
from latchstring.invitee.routing import get, post
from latchstring.invitee.signed_in import member_of, sign_out, signed_in
from latchstring.pages.forms import FormState, PageForm, SentForm, Tick

ARRIVED = "/invitation/arrived"
NOT_SIGNED_IN = "unsigned"


class AcceptForm(PageForm):
    """The form that accepts: with a profile for a new account, with a password to sign in, or without fields.

    how: `unsigned` to accept for an existing account without signing in.
    """

    first_name: Line | None = None
    last_name: Line | None = None
    password: Secret | None = None
    accept_terms: Tick = False
    how: str = ""


@get(LANDING)
async def show_landing(page: InviteePage) -> Answer:
    """The grants of the invitation, and the form that fits the visitor."""
    context = await open_link(page)
    return await _show_landing_page(context) if isinstance(context, LandingContext) else context


@get("/content/{content_type:str}/{content_key:str}/accept-invitation")
async def show_content_landing(page: InviteePage) -> Answer:
    """The landing page of an object, if the invitation includes it. Raises ContentNotFound for an undeclared type."""
    parameters = page.request.path_params
    content_type = page.services.content.get_type(parameters["content_type"])
    context = await open_link(page)
    if not isinstance(context, LandingContext):
        return context
    if not context.includes_object(content_type.key, parameters["content_key"]):
        problem = describe_problem(InvitationMismatch())
        return context.page.show(
            "mismatch.html", status=problem.status, code=problem.code, summary=context.summary, token=context.token
        )
    return await _show_landing_page(context)


async def _show_landing_page(
    context: LandingContext, *, form: FormState | None = None, status: int = 200, code: str = ""
) -> Answer:
    page, user = context.page, context.page.user
    if user is not None and user.email_key != context.link.invitation.email_key:
        return await _show_wrong_account(context, user)
    if context.requires_existing_account:
        return _show_account_required(context)
    if user is not None:
        items = await with_current_access(page, context.summary.content)
        context = replace(context, summary=replace(context.summary, content=items))
    values = {"summary": context.summary, "token": context.token, "mailed": context.is_mailed}
    if not context.account_exists:
        form = form or FormState({"firstName": context.summary.first_name, "lastName": _last_name(context)})
        return page.show("register.html", status=status, code=code, form=form, unconfirmed=user is not None, **values)
    if user is not None:
        return page.show(
            "accept.html",
            status=status,
            code=code,
            form=form,
            user=await member_of(page, user),
            first_name=user.first_name,
            **values,
        )
    return page.show(
        "sign_in_to_accept.html", status=status, code=code, form=form, first_name=context.summary.first_name, **values
    )


def _last_name(context: LandingContext) -> str:
    return context.link.invitation.last_name or ""


async def _show_wrong_account(context: LandingContext, user: User) -> Answer:
    page, code = context.page, WrongAccount.code
    member = await member_of(page, user)
    return page.show(
        "wrong_account.html", status=409, code=code, summary=context.summary, token=context.token, user=member
    )


def _show_account_required(context: LandingContext) -> Answer:
    """Accepting requires a confirmed account. A user who is signed in here has an unconfirmed address."""
    problem = describe_problem(UserNotFound())
    return context.page.show(
        "members_only.html",
        status=problem.status,
        code=problem.code,
        summary=context.summary,
        token=context.token,
        unconfirmed=context.page.user is not None,
    )


@post("/invitation/accept")
async def accept(page: InviteePage) -> Answer:
    """Accept the invitation. Everything is checked again, as the page may have been open for days."""
    page, sent = await page.read(AcceptForm)
    context = await find_landing_context(page.with_url(LANDING, token=sent.token), sent.token)
    if not isinstance(context, LandingContext):
        return context
    context = context.at_landing_page()
    if page.user is None and context.account_exists and sent.get("how") != NOT_SIGNED_IN:
        return await _sign_in_and_accept(context, sent)
    return await _accept(context, sent)


async def _sign_in_and_accept(context: LandingContext, sent: SentForm[AcceptForm]) -> Answer:
    services, email_key = context.page.services, context.link.invitation.email_key
    try:
        user, tokens = await services.users.sessions.login(
            email_key, sent.get("password") or "", network=context.page.client_network
        )
    except InvalidCredentials as error:
        return await _show_landing_page(
            context, form=sent.with_problem("password", "wrong-password"), status=401, code=error.code
        )
    caller = Caller(services.users.principal_of(user), user)
    answer = await _accept(replace(context, page=context.page.as_user(caller)), sent)
    if answer.status != 303:  # noqa: PLR2004  # signed in but not accepted: the landing page shows the reason
        answer = context.page.redirect(context.summary.landing_path, token=context.token)
    return signed_in(context.page, answer, tokens)


async def _accept(context: LandingContext, sent: SentForm[AcceptForm]) -> Answer:
    page = context.page
    try:
        profile = _profile(context, sent)
        accepted = await page.services.invitations.acceptance.accept(context.token, profile, by=page.user)
    except InvalidFields as error:
        return await _show_landing_page(context, form=sent.refused(error), status=422, code=error.code)
    except SignInRequired as error:
        return await _show_landing_page(
            context, form=sent.with_problem("password", "required"), status=409, code=error.code
        )
    except WrongAccount:
        return await _show_landing_page(context)
    except UserNotFound:
        return _show_account_required(context)
    except (LinkEnded, WrongState) as error:
        return show_ended_invitation(context, error)
    return _redirect_after_acceptance(context, accepted)


def _profile(context: LandingContext, sent: SentForm[AcceptForm]) -> Profile:
    """The profile from the form. Raises InvalidFields, also for a cleared name that the inviter had given."""
    problems = list(sent.reading.problems)
    if not context.account_exists:
        empty_fields = [name for name in ("firstName", "lastName") if not sent.typed.get(name, "").strip()]
        problems += [FieldProblem(f"/{name}", "required", "Enter this name.") for name in empty_fields]
    if problems:
        raise InvalidFields([*problems, *_further_problems(context, sent)])
    return Profile(
        first_name=sent.get("first_name"),
        last_name=sent.get("last_name"),
        password=sent.get("password"),
        accepts_terms=bool(sent.get("accept_terms")),
        locale=context.page.locale,
    )


def _further_problems(context: LandingContext, sent: SentForm[AcceptForm]) -> list[FieldProblem]:
    """The problems that the service would report next, so that all are shown together."""
    rules, email = context.page.services.account_rules, context.summary.email
    problems = check_policy(sent.get("password") or "", rules, email=email)
    if context.page.requires_terms and not sent.get("accept_terms"):
        problems.append(FieldProblem("/acceptTerms", TermsRequired.code, "Joining needs your consent to the terms."))
    return problems


def _redirect_after_acceptance(context: LandingContext, accepted: Accepted) -> Answer:
    page, applied = context.page, accepted.applied
    single_object = context.summary.single_object
    url = accepted.invitation.redirect_url or (single_object and single_object.trusted_url)
    if url:
        answer = page.redirect_to(url)
    else:
        kept_role = "yes" if applied.kept_role else ""
        to = format_references(applied.content)
        answer = page.redirect(ARRIVED, how=_arrival_kind(page, accepted), kept=kept_role, to=to)
    return signed_in(page, answer, accepted.tokens) if accepted.tokens else answer


def _arrival_kind(page: InviteePage, accepted: Accepted) -> str:
    if accepted.tokens:
        return "joined"
    return "added" if page.user else NOT_SIGNED_IN


@get(ARRIVED)
async def show_arrived(page: InviteePage) -> Answer:
    """The page after acceptance, with what the user has now."""
    how = page.query_value("how")
    if page.user is None and how != NOT_SIGNED_IN:
        return page.redirect("/login")
    to = page.query_value("to")
    if page.user is None:
        # objects are shown after signing in only, as what may be viewed depends on the user
        next_url = page.link(ARRIVED, how="added", to=to) if to else ""
        return page.show("arrived.html", user=None, next_url=next_url)
    return page.show(
        "arrived.html",
        user=await member_of(page, page.user),
        items=await find_items(page, to),
        joined=how == "joined",
        kept_role=page.query_value("kept") == "yes",
    )


@post("/invitation/switch")
async def switch_account(page: InviteePage) -> Answer:
    """Sign out and show the invitation again."""
    page, sent = await page.read(PageForm)
    return await sign_out(page, page.redirect(LANDING, token=sent.token))
