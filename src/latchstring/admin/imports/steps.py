"""Import invitations from a spreadsheet in four steps: addresses, columns, check, send.

Between the steps the rows are stored in the database as a draft of the administrator who uploaded them; drafts are
deleted after a day. Every URL can be opened again, so a reload or a closed window loses nothing.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import urlencode

from latchstring.admin.context import DOMAIN, Panel
from latchstring.admin.flash import flash
from latchstring.admin.formatting import get_formats
from latchstring.admin.imports.columns import ADDRESS, is_field
from latchstring.admin.imports.upload import create_draft
from latchstring.admin.pagination import cursor_of, format_cursor, parse_id
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
ENTRY = f"{IMPORT}/{{job_id:str}}"
NEEDS = "invitations:write"
ROWS_A_PAGE = 50
JOBS_SHOWN = 10
SAMPLES = 3
MAX_COLUMNS = 200
MAX_NAMES = 2000
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
    """The field of each column in order, and the role and template of all rows."""

    repeated: ClassVar[frozenset[str]] = frozenset({"column"})
    max_fields: ClassVar[int] = MAX_COLUMNS + 8

    role: str = ""
    template: str = ""


class CheckForm(PageForm):
    """Check again, or invite. promised: the counts that the page showed."""

    do: str = ""
    promised: str = ""


@dataclass(frozen=True, slots=True)
class ImportColumn:
    """A column on the page of the second step."""

    heading: str
    samples: Sequence[str]
    field: str


# ---- 1 · addresses ---------------------------------------------------------------------------------------------------


@get(IMPORT, needs=NEEDS)
async def show_start(panel: Panel) -> Answer:
    """The form for a file or pasted lines, and the recent imports."""
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
        **_formats(panel),
    )


@post(IMPORT, needs=NEEDS)
async def upload_file(panel: Panel) -> Answer:
    """Store the rows as a draft, and continue with the columns."""
    try:
        draft = await create_draft(panel)
    except InvalidFields as error:
        problems = tuple(FormProblem(e.pointer.lstrip("/"), e.code, e.detail) for e in error.errors)
        return await _start_page(panel, FormState({}, problems))
    return panel.redirect(_job_url(draft, "columns"))


# ---- 2 · columns -----------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/columns", needs=NEEDS)
async def show_columns(panel: Panel) -> Answer:
    """The guessed field of each column, with some of its cells."""
    return await _columns_page(panel, await _get_draft(panel))


async def _columns_page(panel: Panel, draft: Job, form: FormState | None = None) -> Answer:
    columns = await _columns_of(panel, draft)
    if form is not None:
        chosen = form.values("column")
        columns = [replace(column, field=field) for column, field in zip(columns, chosen, strict=False)]
    for_all = draft.options.get("everybody")
    defaults = {"role": "", "template": ""} | (for_all if isinstance(for_all, dict) else {})
    if form is not None:
        defaults = {name: form.value(name) for name in defaults}
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
        defaults=defaults,
        has_header=bool(draft.options.get("header")),
        **_formats(panel),
    )


async def _columns_of(panel: Panel, draft: Job) -> list[ImportColumn]:
    header, fields = _texts(draft.options.get("header")), _texts(draft.options.get("columns"))
    sample: list[list[str]] = []
    async for rows in panel.services.invitations.bulk.rows_of_draft(draft):
        sample = [_texts(row) for row in islice(rows, SAMPLES)]
        break
    width = min(max([len(header), len(fields), *map(len, sample)]), MAX_COLUMNS)
    return [
        ImportColumn(
            _cell(header, index), [cell for row in sample if (cell := _cell(row, index))], _cell(fields, index)
        )
        for index in range(width)
    ]


def _texts(cells: object) -> list[str]:
    return ["" if cell is None else str(cell) for cell in cells] if isinstance(cells, list) else []


def _cell(cells: Sequence[str], index: int) -> str:
    return cells[index] if index < len(cells) else ""


@post(f"{ENTRY}/columns", needs=NEEDS)
async def save_columns(panel: Panel) -> Answer:
    """Save the columns, and check the rows."""
    sent = await panel.read_form(ColumnsForm)
    draft = await _get_draft(panel)
    chosen = [field if is_field(field) else None for field in sent.ticked.get("column", ())]
    try:
        _check_columns(chosen)
    except InvalidFields as error:
        return await _columns_page(panel, draft, sent.refused(error))
    for_all = {name: value for name in ("role", "template") if (value := sent.typed.get(name))}
    options = {**draft.options, "columns": chosen, "everybody": for_all, "names": await _map_names(panel)}
    bulk = panel.services.invitations.bulk
    await bulk.update_draft(replace(draft, options=options))
    await bulk.check(draft.id, by=panel.principal)
    return panel.redirect(_job_url(draft, "check"))


def _check_columns(chosen: Sequence[str | None]) -> None:
    fields = [field for field in chosen if field is not None]
    if ADDRESS not in fields:
        raise InvalidFields(
            [FieldProblem("/column", "no-address-column", "Choose the column with the e-mail addresses.")]
        )
    if len(set(fields)) < len(fields):
        raise InvalidFields([FieldProblem("/column", "column-twice", "Two columns have the same field.")])


async def _map_names(panel: Panel) -> dict[str, dict[str, str]]:
    """The keys of roles and groups by their names in any case, so that cells may contain names."""
    roles = {name.casefold(): role.key for role in panel.services.roles.values() for name in (role.name, role.key)}
    groups: dict[str, str] = {}
    cursor: Cursor | None = None
    while len(groups) < MAX_NAMES:
        page = await panel.services.groups.list_page(
            order=SortOrder("createdAt"), cursor=cursor, limit=200, by=panel.principal
        )
        groups |= {name.casefold(): group.key for group in page.items for name in (group.name, group.key)}
        cursor = page.next
        if cursor is None:
            break
    return {"roles": roles, "groups": groups}


# ---- 3 · check -------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/check", needs=NEEDS)
async def show_check(panel: Panel) -> Answer:
    """The expected result of each row. Nothing has been sent."""
    return await _check_page(panel, await _get_draft(panel))


async def _check_page(panel: Panel, draft: Job, *, changed: bool = False) -> Answer:
    return panel.show("imports/check.html", job=draft, changed=changed, **await _rows(panel, draft, "check"))


@post(f"{ENTRY}/check", needs=NEEDS)
async def invite_rows(panel: Panel) -> Answer:
    """Check again; if the counts still match the page, pass the rows to the workers."""
    sent = await panel.read_form(CheckForm)
    draft = await _get_draft(panel)
    bulk, by = panel.services.invitations.bulk, panel.principal
    checked = await bulk.check(draft.id, by=by)
    if sent.typed.get("do") != "invite":
        return panel.redirect(_job_url(draft, "check"))
    if sent.typed.get("promised", "") != format_promise(checked):
        return await _check_page(panel, checked, changed=True)
    await bulk.confirm(draft.id, by=by)
    return panel.redirect(_job_url(draft))


def format_promise(job: Job) -> str:
    """The counts of a check as a text, compared when the administrator confirms."""
    return f"{job.created}-{job.skipped}-{job.refused}"


@post(f"{ENTRY}/forget", needs=NEEDS)
async def discard_draft(panel: Panel) -> Answer:
    """Delete the rows of a draft."""
    await panel.read_form(PageForm)
    await panel.services.invitations.bulk.drop_draft(parse_id(panel.parameter("job_id")), by=panel.principal)
    return panel.redirect(IMPORT, flash=flash(panel, "import-discarded"))


# ---- 4 · send --------------------------------------------------------------------------------------------------------


@get(ENTRY, needs=NEEDS)
async def show_job(panel: Panel) -> Answer:
    """The progress of a job and its results."""
    job = await _get_job(panel)
    if job.state is JobState.DRAFT:
        return panel.redirect(_job_url(job, "check" if job.created + job.skipped + job.refused else "columns"))
    return panel.show("imports/job.html", job=job, **await _rows(panel, job, ""))


@get(f"{ENTRY}/stop", needs=NEEDS)
async def show_stop(panel: Panel) -> Answer:
    """The confirmation before a job is stopped."""
    job = await _get_job(panel)
    return (
        panel.redirect(_job_url(job))
        if job.state.is_finished
        else panel.show("imports/stop.html", job=job, **_formats(panel))
    )


@post(f"{ENTRY}/stop", needs=NEEDS)
async def stop_job(panel: Panel) -> Answer:
    """Stop a job. Invitations that were created already stay."""
    await panel.read_form(PageForm)
    job = await _get_job(panel)
    try:
        await panel.services.invitations.bulk.cancel(job.id, by=panel.principal)
    except JobFinished:
        return panel.redirect(_job_url(job), flash=flash(panel, "import-finished", is_bad=True))
    return panel.redirect(_job_url(job), flash=flash(panel, "import-stopped"))


# ---- downloads -------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/report.csv", needs=NEEDS)
async def download_report(panel: Panel) -> Answer:
    """The result of every row as CSV."""
    job = await _get_job(panel)
    return await csv_answer(_report_lines(panel, job), f"import-{job.id}")


async def _report_lines(panel: Panel, job: Job) -> AsyncIterator[Sequence[object]]:
    yield ("row", "status", "code", "detail", "email", "invitationId")
    async for rows in panel.services.invitations.bulk.all_rows(job):
        for row in rows:
            yield (row.row, row.status, row.code, row.detail, row.email, row.invitation_id)


@get(f"{ENTRY}/refused.csv", needs=NEEDS)
async def download_refused(panel: Panel) -> Answer:
    """The refused rows as uploaded, each with the reason, to be corrected and imported again."""
    job = await _get_job(panel)
    return await csv_answer(_refused_lines(panel, job), f"refused-{job.id}")


async def _refused_lines(panel: Panel, job: Job) -> AsyncIterator[Sequence[object]]:
    header = _texts(job.options.get("header")) or [field or "-" for field in _texts(job.options.get("columns"))]
    reason = translations(DOMAIN, panel.locale).gettext("Reason for refusal")
    columns = header[:-1] if header and header[-1] == reason else header  # the file is a corrected report
    yield (*columns, reason)
    async for rows in panel.services.invitations.bulk.all_rows(job, row_filter=RowFilter((RowStatus.REFUSED,))):
        for row in rows:
            cells = _texts(row.source)[: len(columns)]
            yield (*cells, *[""] * (len(columns) - len(cells)), row.detail)


# ---- shared ----------------------------------------------------------------------------------------------------------


async def _get_draft(panel: Panel) -> Job:
    return await panel.services.invitations.bulk.get_draft(parse_id(panel.parameter("job_id")), by=panel.principal)


async def _get_job(panel: Panel) -> Job:
    """A job, or a draft of this administrator. Raises JobNotFound."""
    job_id = parse_id(panel.parameter("job_id"))
    try:
        return await panel.services.invitations.bulk.get(job_id, by=panel.principal)
    except JobNotFound:
        return await panel.services.invitations.bulk.get_draft(job_id, by=panel.principal)


async def _rows(panel: Panel, job: Job, step: str) -> dict[str, Any]:
    """A page of rows that match the filter, and the count of each filter."""
    chosen = (
        panel.query_value("rows")
        if panel.query_value("rows") in FILTERS
        else ("all" if step == "" else _default_filter(job))
    )
    within = f"job:{job.id}:{chosen}"
    bulk = panel.services.invitations.bulk
    row_filter = RowFilter(FILTERS[chosen]) if chosen != "all" else EVERY_ROW
    page = await bulk.list_rows(job, cursor=cursor_of(panel, within), limit=ROWS_A_PAGE, row_filter=row_filter)
    counts = await bulk.count_rows(job)
    tabs = {name: sum(counts.get(status, 0) for status in statuses or counts) for name, statuses in FILTERS.items()}

    def url_for(name: str, cursor: Cursor | None = None) -> str:
        after = {} if cursor is None else {"after": format_cursor(panel, within, cursor)}
        query = urlencode({"rows": name} | after)
        return f"{_job_url(job, step)}?{query}"

    return {
        "rows": page.items,
        "chosen": chosen,
        "tabs": tabs,
        "url_for": url_for,
        "first": url_for(chosen) if panel.query_value("after") else "",
        "following": "" if page.next is None else url_for(chosen, page.next),
        "promise": format_promise(job),
        **_formats(panel),
    }


def _default_filter(job: Job) -> str:
    """Refused rows first, because they need attention."""
    return "refused" if job.refused else "all"


def _job_url(job: Job, step: str = "") -> str:
    return f"{IMPORT}/{job.id}/{step}".rstrip("/")


def _formats(panel: Panel) -> dict[str, Any]:
    return {"n": get_formats(panel.locale)}


routes = [
    show_start,
    upload_file,
    show_columns,
    save_columns,
    show_check,
    invite_rows,
    discard_draft,
    show_job,
    show_stop,
    stop_job,
    download_report,
    download_refused,
]
