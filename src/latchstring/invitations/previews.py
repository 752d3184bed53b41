"""Preview of the mail of an invitation that does not exist yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from latchstring.domain.draft import Draft
from latchstring.domain.grant import ContentRole
from latchstring.domain.principal import Principal
from latchstring.domain.views.targets import ObjectChoice
from latchstring.i18n.negotiation import negotiate
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.respond import PEOPLE
from latchstring.mail.messages import InvitationMail
from latchstring.storage.events.actor_names import find_name
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.target_search import find_object_choices
from latchstring.storage.users.users import find_user_by_email_key

SAMPLE_ADDRESS = "name@example.org"  # until an address is entered
SAMPLE_TOKEN = "this-is-a-preview"  # noqa: S105  # cannot be a real token: those begin with ey


@dataclass(frozen=True, slots=True)
class Previews:
    """Composes the mail of a draft. Nothing is stored, and the link in it does not work."""

    deps: InvitationDependencies

    async def message_of(self, draft: Draft, *, by: Principal) -> InvitationMail:
        """The message of a draft in the draft's language, else the recipient's, else the default.

        Targets that do not exist are left out. Callers without `users:read` see the mail for an address without an
        account.
        """
        user = await find_user_by_email_key(self.deps.db, draft.email_key) if by.can("users:read") else None
        account = user if user is not None and user.email_verified else None
        locale = negotiate([draft.locale, account.locale if account else None], self.deps.app.default_locale)
        role = self.deps.roles.get(draft.role or "")
        objects = await find_object_choices(self.deps.db, [(type_, key) for type_, key, _ in draft.content])
        return InvitationMail(
            to=draft.email or SAMPLE_ADDRESS,
            locale=locale,
            app_name=self.deps.app.name,
            first_name=draft.first_name,
            inviter_name=await find_name(self.deps.db, by.actor) if by.type in PEOPLE else None,
            message=draft.message,
            role_name=role.name if role else None,
            group_names=await self._group_names(draft, locale),
            content=_titles(draft, objects),
            account_exists=account is not None,
            link_url=self._sample_link(),
            expires_at=self.deps.clock() + self.lifetime_of(draft),
        )

    def lifetime_of(self, draft: Draft) -> timedelta:
        """How long the link would work. A lifetime out of bounds would be refused; the default is shown instead."""
        rules, requested = self.deps.rules, draft.expires_in
        if requested is not None and rules.is_allowed_lifetime(requested):
            return requested
        only_content = bool(draft.content) and not draft.role and not draft.groups
        return self.deps.content_rules.lifetime if only_content else rules.lifetime

    async def _group_names(self, draft: Draft, locale: str) -> tuple[str, ...]:
        groups_by_key = await find_groups(self.deps.db, draft.groups)
        names = []
        for key in sorted(groups_by_key):
            group = groups_by_key[key]
            translation = group.translations.get(locale) or group.translations.get(locale.partition("-")[0])
            names.append(translation.name if translation else group.name)
        return tuple(names)

    def _sample_link(self) -> str:
        page = self.deps.rules.accept_url.replace("{publicUrl}", self.deps.app.public_url)
        return f"{page}{'&' if '?' in page else '?'}token={SAMPLE_TOKEN}"


def _titles(draft: Draft, objects: Mapping[tuple[str, str], ObjectChoice]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (ContentRole[role].name, objects[type_, key].title)
        for type_, key, role in draft.content
        if (type_, key) in objects
    )
