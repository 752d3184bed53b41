"""Validating many rows by the rules of a single create (`../validate.py`, `../build.py`), with the same few queries.

A row that breaks a rule is REFUSED with the reason; it never stops the others. Whether an invitation with the same
terms is pending is known in the transaction only (`run_batch.py`); a dry run looks it up (`jobs.py`).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft
from latchstring.domain.errors import AlreadyMember, FieldProblem, LatchstringError, TooManyRequests
from latchstring.domain.event import Event
from latchstring.domain.grant import Bundle, terms_digest
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation
from latchstring.domain.job import JobRow, RowStatus
from latchstring.domain.mail import MailPriority
from latchstring.domain.principal import Principal
from latchstring.domain.template import TemplatesByKey
from latchstring.formats.durations import format_in_words
from latchstring.formats.invitation_input import read_row
from latchstring.invitations.build import (
    ResolvedTargets,
    build_bundle,
    build_invitation,
    build_mail,
    created_event,
    first_delivery,
    object_names_of,
)
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.permissions import READ
from latchstring.invitations.templates import InvitationTemplates, expand_from
from latchstring.invitations.validate import find_problems
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.bulk_insert import Person, count_recent, find_people
from latchstring.storage.invitations.create import InvitationInsert

ROWS_BETWEEN_PAUSES = 25  # about a millisecond of work before other tasks of the process may run
DUPLICATE_ROW = "duplicate-row"
Options = Mapping[str, object]


@dataclass(slots=True)
class ValidatedRow:
    """One row and its result so far. new: the invitation to store, unless the row is refused.

    duplicate_of: an earlier row of the batch with the same terms. duplicate_row: its number, if this row is refused as
    its duplicate. blocker_id: the pending invitation with the same terms, if the caller may know.
    """

    row: int
    source: object
    draft: Draft | None = None
    email: str | None = None
    status: RowStatus = RowStatus.REFUSED
    code: str | None = None
    detail: str | None = None
    new: InvitationInsert | None = None
    terms_key: UUID | None = None
    duplicate_of: "ValidatedRow | None" = None
    blocker_id: UUID | None = None
    duplicate_row: int | None = None

    @property
    def email_key(self) -> str | None:
        return None if self.draft is None else self.draft.email_key or None

    def refuse(self, code: str, detail: str, status: RowStatus = RowStatus.REFUSED) -> None:
        """Mark the row as refused."""
        self.status, self.code, self.detail, self.new = status, code, detail, None

    def refuse_as_duplicate(self, row: int) -> None:
        """Mark the row as refused, because an earlier one has the same terms."""
        self.duplicate_row = row
        self.refuse(DUPLICATE_ROW, f"Duplicate of row {row}.", RowStatus.DUPLICATE)

    def result(self) -> JobRow:
        """The row result of the report."""
        is_created = self.status is RowStatus.CREATE and self.new is not None
        return JobRow(
            row=self.row,
            status=self.status.value,
            code=self.code,
            detail=self.detail,
            email=self.email,
            email_key=self.email_key,
            invitation_id=self.new.invitation.id if is_created and self.new else self.blocker_id,
            source=self.source if self.status is RowStatus.REFUSED else None,
            duplicate_of=self.duplicate_row,
        )

    def result_of_duplicate(self, first: JobRow) -> JobRow:
        """The row result if it repeats an earlier row. Only an earlier row that is created makes it a duplicate."""
        if first.status == RowStatus.CREATE:
            self.refuse_as_duplicate(first.row)
            return self.result()
        source = self.source if first.status == RowStatus.REFUSED else None
        return replace(first, row=self.row, email=self.email, invitation_id=None, source=source)


@dataclass(slots=True)
class _Terms:
    """The grants of rows with the same role, groups and content, resolved once."""

    bundle: Bundle = field(default_factory=lambda: Bundle(None))
    refusal: LatchstringError | None = None
    event_data: dict[timedelta, Mapping[str, object]] = field(default_factory=dict)  # by lifetime


class _CooperativeYield:
    """Lets other tasks of the process run every few rows."""

    def __init__(self) -> None:
        self._rows = 0

    async def __call__(self) -> None:
        self._rows += 1
        if self._rows % ROWS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class RowValidator:
    """Validates rows."""

    deps: InvitationDependencies
    checks: GrantChecks
    templates: InvitationTemplates

    async def validate(
        self, sources: Sequence[object], *, first: int, options: Options, by: Principal, now: datetime, **facts: object
    ) -> list[ValidatedRow]:
        """The rows in their order, numbered from `first`. Those with the status CREATE have the invitation to store.

        facts: more data for the event of each.
        """
        pause = _CooperativeYield()
        rows = [ValidatedRow(first + offset, source) for offset, source in enumerate(sources)]
        await self._read(rows, options, pause)
        drafts = [(row, row.draft) for row in rows if row.code is None and row.draft is not None]

        targets, terms = await self._find_targets([draft for _, draft in drafts], by), dict[object, _Terms]()
        for row, draft in drafts:
            refusal = self._terms_of(draft, terms, targets, by).refusal
            if refusal is not None:
                row.refuse(refusal.code, refusal.detail)
            await pause()

        drafts = [(row, draft) for row, draft in drafts if row.code is None]
        email_keys = {draft.email_key for _, draft in drafts}
        people = await find_people(self.deps.db, email_keys, set(targets.groups.values()))
        rates = await self._find_rates(email_keys, by, now)
        rows_by_terms: dict[UUID, ValidatedRow] = {}
        for row, draft in drafts:
            new = await self._build(draft, self._terms_of(draft, terms, targets, by), people, by, now, facts)
            if isinstance(new, AlreadyMember):
                row.refuse(new.code, new.detail, RowStatus.MEMBER)
            else:
                row.new, row.status = new, RowStatus.CREATE
                row.terms_key = terms_digest(draft.email_key, new.invitation.bundle)
                row.duplicate_of = rows_by_terms.get(row.terms_key)
                rows_by_terms.setdefault(row.terms_key, row)
                if row.duplicate_of is None:
                    rates.check(row, draft.email_key)
            await pause()
        return rows

    async def _read(self, rows: Sequence[ValidatedRow], options: Options, pause: _CooperativeYield) -> None:
        """Read the fields, and refuse rows with problems."""
        templates: TemplatesByKey | None = None
        for row in rows:
            read = read_row(row.source, options)
            row.email = read.email
            problems = read.problems
            if read.draft is not None:
                if read.draft.template is not None and templates is None:
                    templates = await self.templates.find_all_in_use()
                row.draft, unknown_template = expand_from(read.draft, templates or {})
                problems = tuple(find_problems(row.draft, (*problems, *unknown_template), self.deps))
            if problems:
                row.refuse(problems[0].code, in_sentences(problems))
            await pause()

    async def _find_targets(self, drafts: Sequence[Draft], by: Principal) -> ResolvedTargets:
        """All targets of the rows, read together."""
        keys = {key for draft in drafts for key in draft.groups}
        names = {name for draft in drafts if draft.content for name in object_names_of(draft, self.deps.content_rules)}
        groups = await find_groups(self.deps.db, sorted(keys))
        objects, levels = await self.checks.look_up(names, by)
        return ResolvedTargets({key: group.id for key, group in groups.items()}, objects, levels)

    def _terms_of(self, draft: Draft, known: dict[object, _Terms], targets: ResolvedTargets, by: Principal) -> _Terms:
        words = (draft.role, draft.groups, draft.content)
        terms = known.get(words)
        if terms is None:
            terms = known[words] = _Terms()
            try:
                terms.bundle = build_bundle(draft, targets, by=by, deps=self.deps)
            except LatchstringError as refusal:
                terms.refusal = refusal
        return terms

    async def _build(  # noqa: PLR0917  # everything that a row is built from
        self,
        draft: Draft,
        terms: _Terms,
        people: Mapping[str, Person],
        by: Principal,
        now: datetime,
        facts: Mapping[str, object],
    ) -> InvitationInsert | AlreadyMember:
        """The invitation to store, or AlreadyMember if the caller may know that the person has everything."""
        bundle, person = terms.bundle, people.get(draft.email_key)
        may_list = by.can(READ) or bundle.is_content_only
        if may_list and person is not None and await self._has_everything(draft, bundle, person):
            return AlreadyMember("This person already has everything the invitation would give.")
        invitation = build_invitation(draft, bundle, by=by, deps=self.deps, now=now)
        delivery = first_delivery(bundle, is_registered=person is not None, deps=self.deps)
        return InvitationInsert(
            invitation,
            _event_of(invitation, terms, now, facts),
            build_mail(invitation, delivery, now=now, priority=MailPriority.BULK),
            may_reveal_membership=may_list,
            may_reveal_conflict=may_list,
        )

    async def _has_everything(self, draft: Draft, bundle: Bundle, person: Person) -> bool:
        if bundle.role is not None and bundle.role != person.role:
            return False
        if not person.group_ids >= {grant.target_id for grant in bundle.groups}:
            return False
        return not bundle.content or await self.checks.has_all_content(draft.email_key, bundle)

    async def _find_rates(self, email_keys: set[str], by: Principal, now: datetime) -> "_RecipientRates":
        if by.type is ActorType.OPERATOR:
            return _RecipientRates([])
        return _RecipientRates(
            [
                (most, span, Counter(await count_recent(self.deps.db, email_keys, since=now - span)))
                for most, span in self.deps.recipient_rates
            ]
        )


class _RecipientRates:
    """How often each address was invited lately, including the rows that were validated before."""

    def __init__(self, rates: list[tuple[int, timedelta, Counter[str]]]) -> None:
        self._rates = rates

    def check(self, row: ValidatedRow, email_key: str) -> None:
        for most, span, counts in self._rates:
            if counts[email_key] >= most:
                detail = (
                    f"This address gets {most} invitations in {format_in_words(span)} at most. Send this one later."
                )
                row.refuse(TooManyRequests.code, detail)
                return
            counts[email_key] += 1


def _event_of(invitation: Invitation, terms: _Terms, now: datetime, facts: Mapping[str, object]) -> Event:
    """The event of a new invitation. Events of the same terms share their data, so that it is encoded once."""
    shared = terms.event_data.get(invitation.lifetime)
    if shared is None:
        event = created_event(invitation, now=now, **facts)
        terms.event_data[invitation.lifetime] = event.data
        return event
    return Event(new_id(now), invitation.id, "invitation.created", invitation.inviter, shared)


def in_sentences(problems: Sequence[FieldProblem]) -> str:
    """All problems of a row as text, each with its field."""
    sentences = (f"{problem.pointer.lstrip('/')}: {problem.detail}".removeprefix(": ") for problem in problems)
    return " ".join(sentences).replace("\x00", "\ufffd")  # PostgreSQL cannot store NUL


def copy_rows(rows: Sequence[ValidatedRow]) -> list[ValidatedRow]:
    """Copies of the rows that can be changed without changing these."""
    copies = {row.row: copy(row) for row in rows}
    for row in copies.values():
        row.duplicate_of = copies[row.duplicate_of.row] if row.duplicate_of is not None else None
    return list(copies.values())
