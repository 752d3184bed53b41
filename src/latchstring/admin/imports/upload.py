"""What the first step of an import sends: a file, or lines that were pasted, as a draft of a job."""

from collections.abc import AsyncIterator

from latchstring.admin.context import Panel
from latchstring.admin.imports.columns import guess, guess_columns, is_heading
from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.domain.job import Job
from latchstring.formats.csv_rows import ENCODINGS, CsvRows
from latchstring.formats.fields import escape
from latchstring.formats.uploads import CSV, MAX_UPLOAD_BYTES, UploadedRows
from latchstring.pages.multipart import Part, read_parts

BESIDES = 64 * 1024  # bytes of a form around its file
LONGEST_NAME = 120
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls


async def take_upload(panel: Panel) -> Job:
    """The draft of what was sent. Raises CsrfTokenInvalid, InvalidFields, Unreadable, MailDisabled."""
    encoding: str | None = None
    is_proved = False
    async for part in read_parts(panel.request.scope, panel.request.receive, largest=MAX_UPLOAD_BYTES + BESIDES):
        if part.name == "csrf":
            panel.check_csrf(await part.text())
            is_proved = True
        elif part.name == "charset":
            encoding = ENCODINGS.get(await part.text())
        elif part.name in ("file", "lines"):
            if not is_proved:
                panel.check_csrf("")
            draft = await _take(panel, part, encoding)
            if draft is not None:
                return draft
        else:
            raise Unreadable(f"There is no field {escape(part.name)}.", code="unknown-field")
    panel.check_csrf("") if not is_proved else None
    raise InvalidFields([FieldProblem("/file", "nothing-sent", "Choose a file, or paste some lines.")])


async def _take(panel: Panel, part: Part, encoding: str | None) -> Job | None:
    chunks = aiter(part)
    first = await anext(chunks, b"")
    if not first.strip():
        return None
    if first.startswith(WORKBOOKS):
        raise InvalidFields([FieldProblem("/file", "workbook", "This is a workbook. Save it as CSV first.")])
    parser = CsvRows(encoding, read=guess_columns, known=guess, is_header=is_heading)
    rows = UploadedRows(_from(first, chunks), CSV, parser)
    name = escape(part.file_name.replace("\\", "/").rpartition("/")[2])[:LONGEST_NAME] or None
    try:
        return await panel.services.invitations.bulk.draft(rows, by=panel.principal, name=name)
    except InvalidFields as empty:
        raise InvalidFields([FieldProblem("/file", "no-rows", "There is nothing in it.")]) from empty
    except Unreadable as error:
        code = "unreadable-file" if error.code == "unreadable" else error.code
        raise InvalidFields([FieldProblem("/file", code, error.detail)]) from error


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
