"""Inviting from a spreadsheet in four steps: the addresses, what its columns are, what would happen, and the sending.

Between the steps the rows lie in the database as a draft of the administrator who brought them; a day later they are
forgotten. Every address can be opened again, so nothing is lost by a reload or a closed window.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import urlencode

from latchstring.admin.context import DOMAIN, Panel
from latchstring.admin.flash import flash
from latchstring.admin.formatting import numbers_in
from latchstring.admin.imports.columns import ADDRESS, is_field
from latchstring.admin.imports.upload import take_upload
from latchstring.admin.pagination import cursor_of, cursor_text, id_in
from latchstring.admin.routing import get, post
from latchstring.domain.errors import FieldProblem, InvalidFields, JobFinished, JobNotFound
from latchstring.domain.job import EVERY_ROW, Job, JobState, RowFilter, RowStatus
from latchstring.domain.pagination import Cursor, SortOrder
from latchstring.formats.invitation_input import COLUMNS
from latchstring.http.responses import Answer
from latchstring.http.streams import csv_answer
from latchstring.i18n.catalogues import translations
from latchstring.pages.forms import FormProblem, FormState, PageForm

IMPORT = "/admin/import"
ONE = f"{IMPORT}/{{job_id:str}}"
NEEDS = "invitations:write"
ROWS_A_PAGE = 50
JOBS_SHOWN = 10
SAMPLES = 3
MOST_COLUMNS = 200
MOST_NAMES = 2000
CHARSETS = (
    "utf-8",
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "windows-1256",
    "windows-1255",
    "shift_jis",
    "gb18030",
)
FILTERS: dict[str, tuple[str, ...]] = {
    "all": (),
    "create": (RowStatus.CREATE,),
    "duplicate": (RowStatus.DUPLICATE,),
    "member": (RowStatus.MEMBER,),
    "refused": (RowStatus.REFUSED,),
}


class ColumnsForm(PageForm):
    """What each column is, in their order, and what everybody gets besides."""

    repeated: ClassVar[frozenset[str]] = frozenset({"column"})
    most_fields: ClassVar[int] = MOST_COLUMNS + 8

    role: str = ""
    template: str = ""


class CheckForm(PageForm):
    """Look again, or invite; promised: the numbers that were on the page."""

    do: str = ""
    promised: str = ""


@dataclass(frozen=True, slots=True)
class ImportColumn:
    """A column as the second step shows it."""

    heading: str
    samples: Sequence[str]
    field: str


# ---- 1 · addresses ---------------------------------------------------------------------------------------------------


@get(IMPORT, needs=NEEDS)
async def show_start(panel: Panel) -> Answer:
    """Where a file is chosen or lines are pasted, and the imports of late."""
    return await _start_page(panel)


async def _start_page(panel: Panel, form: FormState | None = None) -> Answer:
    bulk, by = panel.services.invitations.bulk, panel.principal
    jobs = await bulk.list_jobs(by=by, limit=JOBS_SHOWN)
    drafts = await bulk.list_drafts(by=by, limit=JOBS_SHOWN)
    status, code = (422, InvalidFields.code) if form else (200, "")
    return panel.show(
        "imports/start.html",
        status=status,
        code=code,
        form=form,
        jobs=jobs,
        drafts=drafts,
        charsets=CHARSETS,
        **_n(panel),
    )


@post(IMPORT, needs=NEEDS)
async def take_file(panel: Panel) -> Answer:
    """Keep the rows as a draft, and ask what their columns are."""
    try:
        draft = await take_upload(panel)
    except InvalidFields as error:
        problems = tuple(FormProblem(e.pointer.lstrip("/"), e.code, e.detail) for e in error.errors)
        return await _start_page(panel, FormState({}, problems))
    return panel.redirect(_at(draft, "columns"))


# ---- 2 · columns -----------------------------------------------------------------------------------------------------


@get(f"{ONE}/columns", needs=NEEDS)
async def show_columns(panel: Panel) -> Answer:
    """What we take each column for, with some of its cells."""
    return await _columns_page(panel, await _draft(panel))


async def _columns_page(panel: Panel, draft: Job, form: FormState | None = None) -> Answer:
    columns = await _columns_of(panel, draft)
    if form is not None:
        chosen = form.values("column")
        columns = [replace(one, field=field) for one, field in zip(columns, chosen, strict=False)]
    everybody = draft.options.get("everybody")
    usual = {"role": "", "template": ""} | (everybody if isinstance(everybody, dict) else {})
    if form is not None:
        usual = {name: form.value(name) for name in usual}
    status, code = (422, InvalidFields.code) if form else (200, "")
    return panel.show(
        "imports/columns.html",
        status=status,
        code=code,
        form=form,
        job=draft,
        columns=columns,
        fields=sorted(COLUMNS, key=lambda name: (name != ADDRESS, name)),
        roles=[role for key, role in panel.services.roles.items() if panel.principal.can_grant_role(key)],
        templates=await panel.services.invitations.templates.list_templates(by=panel.principal),
        usual=usual,
        has_header=bool(draft.options.get("header")),
        **_n(panel),
    )


async def _columns_of(panel: Panel, draft: Job) -> list[ImportColumn]:
    header, fields = _texts(draft.options.get("header")), _texts(draft.options.get("columns"))
    sample: list[list[str]] = []
    async for rows in panel.services.invitations.bulk.rows_of_draft(draft):
        sample = [_texts(row) for row in islice(rows, SAMPLES)]
        break
    width = min(max([len(header), len(fields), *map(len, sample)]), MOST_COLUMNS)
    return [
        ImportColumn(
            _cell(header, place), [cell for row in sample if (cell := _cell(row, place))], _cell(fields, place)
        )
        for place in range(width)
    ]


def _texts(cells: object) -> list[str]:
    return ["" if cell is None else str(cell) for cell in cells] if isinstance(cells, list) else []


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


@post(f"{ONE}/columns", needs=NEEDS)
async def save_columns(panel: Panel) -> Answer:
    """Keep what the columns are, and look what would happen."""
    sent = await panel.read_form(ColumnsForm)
    draft = await _draft(panel)
    chosen = [field if is_field(field) else None for field in sent.ticked.get("column", ())]
    try:
        _check_columns(chosen)
    except InvalidFields as error:
        return await _columns_page(panel, draft, sent.refused(error))
    everybody = {name: value for name in ("role", "template") if (value := sent.typed.get(name))}
    options = {**draft.options, "columns": chosen, "everybody": everybody, "names": await _names(panel)}
    bulk = panel.services.invitations.bulk
    await bulk.describe(replace(draft, options=options))
    await bulk.check(draft.id, by=panel.principal)
    return panel.redirect(_at(draft, "check"))


def _check_columns(chosen: Sequence[str | None]) -> None:
    fields = [field for field in chosen if field is not None]
    if ADDRESS not in fields:
        raise InvalidFields([FieldProblem("/column", "no-address-column", "Say which column holds the addresses.")])
    if len(set(fields)) < len(fields):
        raise InvalidFields([FieldProblem("/column", "column-twice", "Give each field one column.")])


async def _names(panel: Panel) -> dict[str, dict[str, str]]:
    """Which key is meant where somebody wrote the name of a role or a group, in whatever case."""
    roles = {name.casefold(): role.key for role in panel.services.roles.values() for name in (role.name, role.key)}
    groups: dict[str, str] = {}
    cursor: Cursor | None = None
    while len(groups) < MOST_NAMES:
        page = await panel.services.groups.list_page(
            order=SortOrder("createdAt"), cursor=cursor, limit=200, by=panel.principal
        )
        groups |= {name.casefold(): group.key for group in page.items for name in (group.name, group.key)}
        cursor = page.next
        if cursor is None:
            break
    return {"roles": roles, "groups": groups}


# ---- 3 · check -------------------------------------------------------------------------------------------------------


@get(f"{ONE}/check", needs=NEEDS)
async def show_check(panel: Panel) -> Answer:
    """What would become of each row. Nothing has been sent."""
    return await _check_page(panel, await _draft(panel))


async def _check_page(panel: Panel, draft: Job, *, changed: bool = False) -> Answer:
    return panel.show("imports/check.html", job=draft, changed=changed, **await _rows(panel, draft, "check"))


@post(f"{ONE}/check", needs=NEEDS)
async def invite_rows(panel: Panel) -> Answer:
    """Look once more; if nothing changed since the page was shown, hand the rows to the workers."""
    sent = await panel.read_form(CheckForm)
    draft = await _draft(panel)
    bulk, by = panel.services.invitations.bulk, panel.principal
    now = await bulk.check(draft.id, by=by)
    if sent.typed.get("do") != "invite":
        return panel.redirect(_at(draft, "check"))
    if sent.typed.get("promised", "") != promise_of(now):
        return await _check_page(panel, now, changed=True)
    await bulk.confirm(draft.id, by=by)
    return panel.redirect(_at(draft))


def promise_of(job: Job) -> str:
    """The numbers of a check, to be compared when somebody confirms them."""
    return f"{job.created}-{job.skipped}-{job.refused}"


@post(f"{ONE}/forget", needs=NEEDS)
async def forget_draft(panel: Panel) -> Answer:
    """Throw the rows away that were never sent."""
    await panel.read_form(PageForm)
    await panel.services.invitations.bulk.drop_draft(id_in(panel.parameter("job_id")), by=panel.principal)
    return panel.redirect(IMPORT, flash=flash(panel, "import-discarded"))


# ---- 4 · send --------------------------------------------------------------------------------------------------------


@get(ONE, needs=NEEDS)
async def show_job(panel: Panel) -> Answer:
    """How far the sending is, and what came of it."""
    job = await _job(panel)
    if job.state is JobState.DRAFT:
        return panel.redirect(_at(job, "check" if job.created + job.skipped + job.refused else "columns"))
    return panel.show("imports/job.html", job=job, **await _rows(panel, job, ""))


@get(f"{ONE}/stop", needs=NEEDS)
async def show_stop(panel: Panel) -> Answer:
    """Whether to stop."""
    job = await _job(panel)
    return panel.redirect(_at(job)) if job.state.is_finished else panel.show("imports/stop.html", job=job, **_n(panel))


@post(f"{ONE}/stop", needs=NEEDS)
async def stop_job(panel: Panel) -> Answer:
    """Stop: who was invited until now stays invited."""
    await panel.read_form(PageForm)
    job = await _job(panel)
    try:
        await panel.services.invitations.bulk.cancel(job.id, by=panel.principal)
    except JobFinished:
        return panel.redirect(_at(job), flash=flash(panel, "import-finished", is_bad=True))
    return panel.redirect(_at(job), flash=flash(panel, "import-stopped"))


# ---- downloads -------------------------------------------------------------------------------------------------------


@get(f"{ONE}/report.csv", needs=NEEDS)
async def download_report(panel: Panel) -> Answer:
    """Every verdict."""
    job = await _job(panel)
    return await csv_answer(_report_lines(panel, job), f"import-{job.id}")


async def _report_lines(panel: Panel, job: Job) -> AsyncIterator[Sequence[object]]:
    yield ("row", "status", "code", "detail", "email", "invitationId")
    async for rows in panel.services.invitations.bulk.all_rows(job):
        for row in rows:
            yield (row.row, row.status, row.code, row.detail, row.email, row.invitation_id)


@get(f"{ONE}/refused.csv", needs=NEEDS)
async def download_refused(panel: Panel) -> Answer:
    """The refused rows as they came, to be mended and brought again, with the reason behind each."""
    job = await _job(panel)
    return await csv_answer(_refused_lines(panel, job), f"refused-{job.id}")


async def _refused_lines(panel: Panel, job: Job) -> AsyncIterator[Sequence[object]]:
    header = _texts(job.options.get("header")) or [field or "-" for field in _texts(job.options.get("columns"))]
    reason = translations(DOMAIN, panel.locale).gettext("Reason for refusal")
    given = header[:-1] if header and header[-1] == reason else header  # a file that was brought again
    yield (*given, reason)
    async for rows in panel.services.invitations.bulk.all_rows(job, which=RowFilter((RowStatus.REFUSED,))):
        for row in rows:
            cells = _texts(row.source)[: len(given)]
            yield (*cells, *[""] * (len(given) - len(cells)), row.detail)


# ---- shared ----------------------------------------------------------------------------------------------------------


async def _draft(panel: Panel) -> Job:
    return await panel.services.invitations.bulk.get_draft(id_in(panel.parameter("job_id")), by=panel.principal)


async def _job(panel: Panel) -> Job:
    """A job, or a draft of one's own."""
    job_id = id_in(panel.parameter("job_id"))
    try:
        return await panel.services.invitations.bulk.get(job_id, by=panel.principal)
    except JobNotFound:
        return await panel.services.invitations.bulk.get_draft(job_id, by=panel.principal)


async def _rows(panel: Panel, job: Job, step: str) -> dict[str, Any]:
    """A page of rows under a filter, with how many each filter has."""
    chosen = (
        panel.query_value("rows")
        if panel.query_value("rows") in FILTERS
        else ("all" if step == "" else _first_look(job))
    )
    within = f"job:{job.id}:{chosen}"
    bulk = panel.services.invitations.bulk
    which = RowFilter(FILTERS[chosen]) if chosen != "all" else EVERY_ROW
    page = await bulk.list_rows(job, cursor=cursor_of(panel, within), limit=ROWS_A_PAGE, which=which)
    counts = await bulk.count_rows(job)
    tabs = {name: sum(counts.get(one, 0) for one in statuses or counts) for name, statuses in FILTERS.items()}

    def at(name: str, cursor: Cursor | None = None) -> str:
        after = {} if cursor is None else {"after": cursor_text(panel, within, cursor)}
        query = urlencode({"rows": name} | after)
        return f"{_at(job, step)}?{query}"

    return {
        "rows": page.items,
        "chosen": chosen,
        "tabs": tabs,
        "at": at,
        "first": at(chosen) if panel.query_value("after") else "",
        "following": "" if page.next is None else at(chosen, page.next),
        "promise": promise_of(job),
        **_n(panel),
    }


def _first_look(job: Job) -> str:
    """What needs somebody's eyes comes first."""
    return "refused" if job.refused else "all"


def _at(job: Job, step: str = "") -> str:
    return f"{IMPORT}/{job.id}/{step}".rstrip("/")


def _n(panel: Panel) -> dict[str, Any]:
    return {"n": numbers_in(panel.locale)}


routes = [
    show_start,
    take_file,
    show_columns,
    save_columns,
    show_check,
    invite_rows,
    forget_draft,
    show_job,
    show_stop,
    stop_job,
    download_report,
    download_refused,
]
