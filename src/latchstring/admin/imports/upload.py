"""Create a draft from the upload of the first step: a file, or pasted lines."""

from collections.abc import AsyncIterator

from latchstring.admin.context import Panel
from latchstring.admin.imports.columns import guess_columns, guess_field, is_heading
from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.domain.job import Job
from latchstring.formats.csv_rows import ENCODINGS, CsvRows
from latchstring.formats.fields import escape
from latchstring.formats.uploads import CSV, MAX_UPLOAD_BYTES, UploadedRows
from latchstring.pages.multipart import Part, read_parts

OTHER_FIELDS = 64 * 1024  # bytes of the form besides its file
MAX_NAME_LENGTH = 120
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls


async def create_draft(panel: Panel) -> Job:
    """Create a draft from the request. Raises CsrfTokenInvalid, InvalidFields, Unreadable, MailDisabled."""
    encoding: str | None = None
    is_csrf_checked = False
    async for part in read_parts(panel.request.scope, panel.request.receive, largest=MAX_UPLOAD_BYTES + OTHER_FIELDS):
        if part.name == "csrf":
            panel.check_csrf(await part.text())
            is_csrf_checked = True
        elif part.name == "charset":
            encoding = ENCODINGS.get(await part.text())
        elif part.name in ("file", "lines"):
            if not is_csrf_checked:
                panel.check_csrf("")
            draft = await _draft_from(panel, part, encoding)
            if draft is not None:
                return draft
        else:
            raise Unreadable(f"There is no field {escape(part.name)}.", code="unknown-field")
    panel.check_csrf("") if not is_csrf_checked else None
    raise InvalidFields([FieldProblem("/file", "nothing-sent", "Choose a file, or paste some lines.")])


async def _draft_from(panel: Panel, part: Part, encoding: str | None) -> Job | None:
    chunks = aiter(part)
    first = await anext(chunks, b"")
    if not first.strip():
        return None
    if first.startswith(WORKBOOKS):
        raise InvalidFields([FieldProblem("/file", "workbook", "This is a workbook. Save it as CSV first.")])
    parser = CsvRows(encoding, read=guess_columns, known=guess_field, is_header=is_heading)
    rows = UploadedRows(_chain(first, chunks), CSV, parser)
    name = escape(part.file_name.replace("\\", "/").rpartition("/")[2])[:MAX_NAME_LENGTH] or None
    try:
        return await panel.services.invitations.bulk.create_draft(rows, by=panel.principal, name=name)
    except InvalidFields as empty:
        raise InvalidFields([FieldProblem("/file", "no-rows", "The file has no rows.")]) from empty
    except Unreadable as error:
        code = "unreadable-file" if error.code == "unreadable" else error.code
        raise InvalidFields([FieldProblem("/file", code, error.detail)]) from error


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
