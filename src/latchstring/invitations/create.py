"""Creating an invitation: look up what the draft names, validate it, build the invitation, store it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, InvalidFields, NotFound
from latchstring.domain.idempotency import Once
from latchstring.domain.invitation import InvitationDetails
from latchstring.domain.principal import Principal
from latchstring.invitations.build import (
    ResolvedTargets,
    build_bundle,
    build_invitation,
    build_mail,
    created_event,
    object_names_of,
)
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.permissions import READ, WRITE
from latchstring.invitations.read import redact_for
from latchstring.invitations.templates import InvitationTemplates
from latchstring.invitations.validate import find_problems, require_delivery_channel
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.create import InvitationInsert, insert_invitation
from latchstring.users.grant_limits import check_grant

MOST_GROUPS_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class InvitationCreator:
    """Creates single invitations."""

    deps: InvitationDependencies
    checks: GrantChecks
    templates: InvitationTemplates
    # Ids of groups by key, as last read. The statement that stores an invitation checks that they are still there.
    group_ids: dict[str, UUID] = field(default_factory=dict)

    async def create(
        self,
        draft: Draft,
        *,
        by: Principal,
        once: Once | None = None,
        problems: tuple[FieldProblem, ...] = (),
        as_maintainer: bool = False,
    ) -> InvitationDetails:
        """Store an invitation and queue its mail.

        problems: of fields that could not be read, to be reported together with the rules that are broken.
        as_maintainer: maintaining the objects is enough, no permission is needed. A draft without problems counts for
        the limits of its inviter and its recipient, even if it is refused later.

        Raises NotAllowed, TooManyRequests, InvalidFields, GrantNotAllowed, GroupNotFound, ContentNotFound,
        MailDisabled, AlreadyInvited, AlreadyMember, AnswerStored.
        """
        if not as_maintainer:
            by.require(WRITE)
        if not problems:
            self.deps.limiter.check_inviter(by.id)
            self.deps.limiter.check_invited(draft.email_key, by=by.actor)
        draft, unknown_template = await self.templates.expand(draft)
        all_problems = find_problems(draft, (*problems, *unknown_template), self.deps)
        if all_problems:
            raise InvalidFields(all_problems)
        require_delivery_channel(by, self.deps.mail_rules)
        try:
            created = await self._store(draft, by=by, once=once)
        except NotFound:
            if not self.group_ids.keys() & set(draft.groups):
                raise
            self.group_ids.clear()  # a group was deleted; another one may have its key now
            created = await self._store(draft, by=by, once=once)
        self.deps.wake_worker()
        return created

    async def _store(self, draft: Draft, *, by: Principal, once: Once | None) -> InvitationDetails:
        deps, now = self.deps, self.deps.clock()

        # by keys alone, before any lookup: a refusal must not reveal which groups exist
        check_grant(by, deps.roles, role=draft.role, groups=draft.groups)
        groups = await self._find_group_ids(draft.groups)
        objects, levels = await self.checks.look_up(object_names_of(draft, deps.content_rules), by)
        bundle = build_bundle(draft, ResolvedTargets(groups, objects, levels), by=by, deps=deps)
        has_all_content = not bundle.content or await self.checks.has_all_content(draft.email_key, bundle)

        invitation = build_invitation(draft, bundle, by=by, deps=deps, now=now)
        delivery = await self.checks.first_delivery(invitation)
        # built before it is stored, because the answer is stored in the same statement
        details = redact_for(InvitationDetails(invitation, delivery, by.name, by.name), by, deps.content_rules)
        may_list = by.can(READ) or bundle.is_content_only  # maintainers of an object see the invitations to it
        new = InvitationInsert(
            invitation,
            created_event(invitation, now=now),
            build_mail(invitation, delivery, now=now),
            may_reveal_membership=may_list and has_all_content,
            may_reveal_conflict=may_list,
            stored_answer=None if once is None else (once.claim, once.answer(details)),
        )
        await insert_invitation(deps.db, new, now=now)
        return details

    async def _find_group_ids(self, keys: Sequence[str]) -> dict[str, UUID]:
        if any(key not in self.group_ids for key in keys):
            if len(self.group_ids) > MOST_GROUPS_CACHED:
                self.group_ids.clear()
            groups = await find_groups(self.deps.db, keys)
            self.group_ids.update({key: group.id for key, group in groups.items()})
        return self.group_ids
