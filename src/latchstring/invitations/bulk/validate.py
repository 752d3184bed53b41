"""Judging rows of many: the rules of a single create (`composing.py`), met by each row, asked of the database at once.

A row that breaks a rule is REFUSED and says why; it never stops the others. What only the transaction can know, whether
an invitation with the same terms is pending, is settled there (`batches.py`), or looked up for a dry run (`bulk.py`).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft, ReadRow
from latchstring.domain.errors import AlreadyMember, FieldProblem, LatchstringError, TooManyRequests
from latchstring.domain.event import Event
from latchstring.domain.grant import Bundle, terms_digest
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation
from latchstring.domain.job import JobRow, RowStatus
from latchstring.domain.mail import MailPriority
from latchstring.domain.principal import Principal
from latchstring.domain.template import Templates as TemplateMap
from latchstring.formats.invitation_input import read_row
from latchstring.invitations.build import (
    Targets,
    bundle_of,
    check_named,
    compose,
    created_event,
    first_delivery,
    judge_draft,
    mail_for,
    names_of,
)
from latchstring.invitations.content_grants import Objects
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.templates import Templates, expand_from
from latchstring.invitations.validate import in_words
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.bulk_insert import Person, count_recent, find_people
from latchstring.storage.invitations.create import NewInvitation

SLICE = 25  # rows judged before others in the process have their turn: about a millisecond
READ = "invitations:read"
Options = Mapping[str, object]


@dataclass(slots=True)
class Judged:
    """One row on its way. new: the invitation to make, as long as nothing speaks against it."""

    row: int
    source: object
    draft: Draft | None = None
    email: str | None = None
    email_key: str | None = None
    status: RowStatus = RowStatus.REFUSED
    code: str | None = None
    detail: str | None = None
    new: NewInvitation | None = None
    terms_key: UUID | None = None
    twin: "Judged | None" = None  # an earlier row of the batch with the same terms
    blocker_id: UUID | None = None  # of the pending invitation in the way, for who may know it
    duplicate_of: int | None = None  # the number of an earlier row with the same terms

    def refuse(self, code: str, detail: str, status: RowStatus = RowStatus.REFUSED) -> None:
        """Nothing is made of this row."""
        self.status, self.code, self.detail, self.new = status, code, detail, None

    def verdict(self) -> JobRow:
        """What is told of it."""
        made = self.status is RowStatus.CREATE and self.new is not None
        return JobRow(
            row=self.row,
            status=self.status.value,
            code=self.code,
            detail=self.detail,
            email=self.email,
            email_key=self.email_key,
            invitation_id=self.new.invitation.id if made and self.new else self.blocker_id,
            source=self.source if self.status is RowStatus.REFUSED else None,
            duplicate_of=self.duplicate_of,
        )


@dataclass(slots=True)
class _Terms:
    """What rows with the same words lead to, judged once."""

    bundle: Bundle | None = None
    refusal: LatchstringError | None = None
    facts: dict[timedelta, Mapping[str, object]] = field(default_factory=dict)  # of the event, by lifetime


class _Pause:
    """Lets others in the process have their turn every few rows."""

    def __init__(self) -> None:
        self._rows = 0

    async def __call__(self) -> None:
        self._rows += 1
        if self._rows % SLICE == 0:
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Judge:
    """Says of rows what would become of them."""

    deps: InvitationDependencies
    objects: Objects
    templates: Templates

    async def judge(
        self, rows: Sequence[object], *, first: int, options: Options, by: Principal, at: datetime, **facts: object
    ) -> list[Judged]:
        """The rows in their order, counted from `first`, each with its verdict as far as it is known without a
        transaction: CREATE ones carry the invitation to make. facts: more for history to say of each.
        """
        pause = _Pause()
        found = [Judged(first + place, source) for place, source in enumerate(rows)]
        await self._read(found, options, pause)
        good = [one for one in found if one.draft is not None]
        targets, terms = await self._targets_of(good, by), dict[object, _Terms]()
        for one in good:
            self._give_terms(one, terms, targets, by)
            await pause()
        good = [one for one in good if one.code is None]
        people = await find_people(self.deps.db, {_key(one) for one in good}, set(targets.groups.values()))
        rates = await self._recent(good, by, at)
        twins: dict[UUID, Judged] = {}
        for one in good:
            await self._compose(one, terms, people, by, at, facts)
            self._meet_twin(one, twins)
            rates.check(one)
            await pause()
        return found

    # ---- fields ----------------------------------------------------------------------------------------------------

    async def _read(self, rows: Sequence[Judged], options: Options, pause: _Pause) -> None:
        templates: TemplateMap | None = None
        for one in rows:
            row = read_row(one.source, options)
            if row.draft is not None and row.draft.template is not None and templates is None:
                templates = await self.templates.all_in_use()
            self._judge_fields(one, row, templates or {})
            await pause()

    def _judge_fields(self, one: Judged, row: ReadRow, templates: TemplateMap) -> None:
        one.email = row.email
        if row.draft is None:
            one.refuse(row.problems[0].code, in_sentences(row.problems))
            return
        one.email_key = row.draft.email_key or None
        draft, unknown = expand_from(row.draft, templates)
        problems = judge_draft(draft, (*row.problems, *unknown), self.deps)
        if problems:
            one.refuse(problems[0].code, in_sentences(problems))
        else:
            one.draft = draft

    # ---- targets and ceiling ---------------------------------------------------------------------------------------

    async def _targets_of(self, rows: Sequence[Judged], by: Principal) -> Targets:
        drafts = [one.draft for one in rows if one.draft is not None]
        keys = {key for draft in drafts for key in draft.groups}
        names = {name for draft in drafts if draft.content for name in names_of(draft, self.deps.content_rules)}
        groups = await find_groups(self.deps.db, sorted(keys))
        objects, levels = await self.objects.look_up(names, by)
        return Targets({key: group.id for key, group in groups.items()}, objects, levels)

    def _give_terms(self, one: Judged, known: dict[object, _Terms], targets: Targets, by: Principal) -> None:
        draft = _draft(one)
        words = (draft.role, draft.groups, draft.content)
        terms = known.get(words)
        if terms is None:
            terms = known[words] = _Terms()
            try:
                check_named(draft, by)
                terms.bundle = bundle_of(draft, targets, by=by, rules=self.deps.content_rules)
            except LatchstringError as refusal:
                terms.refusal = refusal
        if terms.refusal is not None:
            one.refuse(terms.refusal.code, terms.refusal.detail)

    # ---- the invitation --------------------------------------------------------------------------------------------

    async def _compose(  # noqa: PLR0917  # all that one row is judged by
        self,
        one: Judged,
        known: Mapping[object, _Terms],
        people: Mapping[str, Person],
        by: Principal,
        at: datetime,
        facts: Mapping[str, object],
    ) -> None:
        draft = _draft(one)
        terms = known[draft.role, draft.groups, draft.content]
        bundle = terms.bundle or Bundle(None)
        person = people.get(draft.email_key)
        told = by.can(READ) or bundle.is_content_only
        if told and person is not None and await self._has_everything(draft, bundle, person):
            gone = AlreadyMember("This person already has everything the invitation would give.")
            one.refuse(gone.code, gone.detail, RowStatus.MEMBER)
            return
        invitation = compose(draft, bundle, by=by, deps=self.deps, at=at)
        delivery = first_delivery(bundle, is_registered=person is not None, deps=self.deps)
        event = _event_of(invitation, terms, at, facts)
        mail = mail_for(invitation, at=at, delivery=delivery, priority=MailPriority.BULK)
        one.status, one.terms_key = RowStatus.CREATE, terms_digest(draft.email_key, bundle)
        one.new = NewInvitation(invitation, event, mail, told_members=told, told_invitations=told)

    async def _has_everything(self, draft: Draft, bundle: Bundle, person: Person) -> bool:
        if bundle.role is not None and bundle.role != person.role:
            return False
        if not person.group_ids >= {grant.target_id for grant in bundle.groups}:
            return False
        return not bundle.content or await self.objects.has_all(draft.email_key, bundle)

    def _meet_twin(self, one: Judged, twins: dict[UUID, Judged]) -> None:
        if one.new is not None and one.terms_key is not None:
            one.twin = twins.get(one.terms_key)
            twins.setdefault(one.terms_key, one)

    async def _recent(self, rows: Sequence[Judged], by: Principal, at: datetime) -> "_Rates":
        if by.type is ActorType.OPERATOR:
            return _Rates([])
        keys = {_key(one) for one in rows}
        return _Rates(
            [
                (most, span, Counter(await count_recent(self.deps.db, keys, since=at - span)))
                for most, span in self.deps.recipient_rates
            ]
        )


class _Rates:
    """How often each address was invited lately, and is by the rows that were judged."""

    def __init__(self, rates: list[tuple[int, timedelta, Counter[str]]]) -> None:
        self._rates = rates

    def check(self, one: Judged) -> None:
        if one.new is None or one.twin is not None:
            return
        for most, span, counts in self._rates:
            if counts[_key(one)] >= most:
                said = f"This address gets {most} invitations in {in_words(span)} at most. Send this one later."
                one.refuse(TooManyRequests.code, said)
                return
            counts[_key(one)] += 1


def _draft(one: Judged) -> Draft:
    if one.draft is None:
        raise TypeError("a row without a draft is refused already")
    return one.draft


def _key(one: Judged) -> str:
    return _draft(one).email_key


def _event_of(invitation: Invitation, terms: _Terms, at: datetime, facts: Mapping[str, object]) -> Event:
    """The event of a new invitation. Those of the same terms share their facts, which are then written once."""
    shared = terms.facts.get(invitation.lifetime)
    if shared is None:
        made = created_event(invitation, at=at, **facts)
        terms.facts[invitation.lifetime] = made.data
        return made
    return Event(new_id(at), invitation.id, "invitation.created", invitation.inviter, shared)


def in_sentences(problems: Sequence[FieldProblem]) -> str:
    """Everything that is wrong with a row, each with the field it is about."""
    said = (f"{problem.pointer.lstrip('/')}: {problem.detail}".removeprefix(": ") for problem in problems)
    return " ".join(said).replace("\x00", "\ufffd")  # PostgreSQL keeps no NUL


def fresh(rows: Sequence[Judged]) -> list[Judged]:
    """The rows once more, to be changed without changing these."""
    copies = {one.row: copy(one) for one in rows}
    for one in copies.values():
        one.twin = copies[one.twin.row] if one.twin is not None else None
    return list(copies.values())


def copy_of(one: Judged, row: JobRow) -> JobRow:
    """The verdict of another row with the same terms, for this one."""
    return replace(row, row=one.row, email=one.email, invitation_id=None, source=_source_of(one, row))


def _source_of(one: Judged, row: JobRow) -> Any:
    return one.source if row.status == RowStatus.REFUSED else None
