"""Rows of a large upload: a JSON array or a spreadsheet's text, read as a stream.

    rows = read_upload(scope, receive)        # 415, 413 and an absent body are refused here
    async for batch in rows: …                # Unreadable for what cannot be read, where it stands
    rows.options, rows.digest                 # known at the end

What belongs to a row alone, an unknown field or a bad address, is not judged here: that row is refused later, and
never stops the others. Memory holds a chunk and a row, however large the upload is.
"""

import asyncio
import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from litestar.types import Receive, Scope

from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.formats.fields import escape
from latchstring.formats.invitation_input import BLANKS, COLUMNS
from latchstring.formats.json_body import (
    DECODER,
    DEEPEST,
    BodyTooLarge,
    check_depth,
    check_media_type,
    check_surrogates,
)
from latchstring.http.scope import find_header

LARGEST_UPLOAD = 64 * 1024 * 1024
LARGEST_ROW = 1024 * 1024
SLICE = 64 * 1024  # bytes looked at before others have their turn
LONGEST_HEADER = 64 * 1024
DELIMITERS = ",;\t|"
JSON, CSV = "application/json", "text/csv"
ENCODINGS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    **{f"windows-125{digit}": f"cp125{digit}" for digit in range(9)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))},
    "shift_jis": "cp932",
    "gb18030": "gb18030",
    "gbk": "gbk",
    "big5": "big5",
    "euc-kr": "cp949",
    "koi8-r": "koi8-r",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SEPARATOR_LINE = re.compile(r"sep=(.)(?:\r\n|\r|\n)", re.IGNORECASE)  # Excel's own hint
_WHITESPACE = re.compile(r"[ \t\r\n]*")  # RFC 8259 section 2
_NAMES = {re.sub("[^a-z]", "", name.lower()): name for name in COLUMNS}

csv.field_size_limit(LARGEST_ROW)

Rows = list[object]


class Parser(Protocol):
    """Is pushed the bytes of an upload and gives the rows that are whole."""

    @property
    def options(self) -> Mapping[str, object]: ...

    def feed(self, data: bytes, *, final: bool = False) -> Rows: ...


class UploadedRows:
    """The rows of an upload, once."""

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str, parser: Parser) -> None:
        self.media_type = media_type
        self._chunks = chunks
        self._parser = parser
        self._hash = hashlib.sha256()

    @property
    def options(self) -> Mapping[str, object]:
        """The columns of a spreadsheet."""
        return self._parser.options

    @property
    def digest(self) -> str:
        """Of all bytes that were read."""
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[Rows]:
        async for chunk in self._chunks:
            self._hash.update(chunk)
            for start in range(0, len(chunk), SLICE):
                if rows := self._parser.feed(chunk[start : start + SLICE]):
                    yield rows
                await asyncio.sleep(0)
        if rows := self._parser.feed(b"", final=True):
            yield rows


def read_upload(scope: Scope, receive: Receive) -> UploadedRows:
    """The rows of a request, not read yet. Raises Unreadable: another media type, too large, or no body."""
    media_type, encoding = upload_type(scope)
    announced = find_header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > LARGEST_UPLOAD:
        raise BodyTooLarge(LARGEST_UPLOAD)
    if announced == b"0" or (announced is None and find_header(scope, b"transfer-encoding") is None):
        _refuse_absent()
    parser = JsonRows() if media_type == JSON else SheetRows(encoding)
    return UploadedRows(_chunks(receive), media_type, parser)


def upload_type(scope: Scope) -> tuple[str, str | None]:
    """What an upload is, and how its text is encoded if it says so. Raises Unreadable with status 415."""
    value = find_header(scope, b"content-type") or b""
    media_type, _, parameters = value.decode("latin-1").partition(";")
    if media_type.strip().lower() != CSV:
        check_media_type(scope)
        return JSON, None
    content_encoding = (find_header(scope, b"content-encoding") or b"identity").strip().lower()
    charset = next(
        (
            val.strip().strip('"').lower()
            for name, _, val in (p.partition("=") for p in parameters.split(";"))
            if name.strip().lower() == "charset"
        ),
        None,
    )
    if content_encoding not in (b"", b"identity") or (charset is not None and charset not in ENCODINGS):
        raise Unreadable("Send the file as it is, in UTF-8 or UTF-16.", code="unsupported-media-type", status=415)
    return CSV, None if charset is None else ENCODINGS[charset]


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    size, more = 0, True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise Unreadable("The connection ended in the middle of the body.")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > LARGEST_UPLOAD:
            raise BodyTooLarge(LARGEST_UPLOAD)
        if chunk:
            yield chunk
    if not size:
        _refuse_absent()


def _refuse_absent() -> NoReturn:
    raise Unreadable("Send the rows as the body.", code="body-missing")


def _row_too_large(row: int) -> Unreadable:
    said = f"Row {row} has more than {LARGEST_ROW} bytes, or something in it is never closed."
    return Unreadable(said, code="body-too-large", status=413)


# ---- JSON ------------------------------------------------------------------------------------------------------------


class JsonRows:
    """The items of a JSON array, whatever they are."""

    options: Mapping[str, object] = {}

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._expects = "["  # then "value", "value or end", ", or ]", "end"
        self._patience = 0  # how long the text must be before an item that was not whole is tried again
        self._rows = 0

    def feed(self, data: bytes, *, final: bool = False) -> Rows:
        """The items that end in these bytes. Raises Unreadable."""
        try:
            self._text += self._decode(data, final)
        except UnicodeDecodeError as error:
            raise Unreadable(f"The body is not UTF-8: {error.reason}, after row {self._rows}.") from None
        if len(self._text) < min(self._patience, LARGEST_ROW) and not final:
            return []
        found: Rows = []
        at = self._read(found, final=final)
        self._text = self._text[at:]
        if len(self._text) > LARGEST_ROW:
            raise _row_too_large(self._rows + 1)
        self._patience = 2 * len(self._text)  # so that a long item is read a few times, not once a chunk
        if final and self._expects != "end":
            raise self._broken("it ends too early")
        return found

    def _read(self, found: Rows, *, final: bool) -> int:
        """Read on until something is not whole; returns how far."""
        text, at = self._text, 0
        while True:
            at = self._skip(at)
            if at == len(text):
                return at
            if self._expects in ("value", "value or end") and not (self._expects == "value or end" and text[at] == "]"):
                item = self._item(at, final=final)
                if item is None:
                    return at
                value, at = item
                found.append(value)
                self._rows += 1
                self._expects = ", or ]"
            else:
                self._punctuation(text[at])
                at += 1

    def _skip(self, at: int) -> int:
        found = _WHITESPACE.match(self._text, at)
        return found.end() if found else at

    def _punctuation(self, character: str) -> None:
        after = {("[", "["): "value or end", (", or ]", ","): "value"}
        if character == "]" and self._expects in ("value or end", ", or ]"):
            self._expects = "end"
        elif (self._expects, character) in after:
            self._expects = after[self._expects, character]
        elif self._expects == "[":
            raise Unreadable("Send a JSON array of invitations.")
        else:
            raise self._broken(f"there is a {escape(character)} where none can be")

    def _item(self, at: int, *, final: bool) -> tuple[object, int] | None:
        """The item here and where it ends; None while it may still go on."""
        text = self._text
        try:
            value, end = DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            may_go_on = error.msg.startswith("Unterminated string") or error.pos > len(text) - 12
            if may_go_on and not final:
                return None
            raise self._broken(error.msg.lower()) from None
        except RecursionError:
            raise Unreadable(f"Row {self._rows + 1} is nested too deeply.", code="nested-too-deep") from None
        except ValueError:
            raise self._broken("a number is too long") from None
        if end == len(text) and not final and text[end - 1] not in '}]"':
            return None  # a number may have more digits
        item = text[at:end]
        if item.count("[") + item.count("{") >= DEEPEST:
            check_depth(item.encode(), DEEPEST - 1)  # it stands in an array already
        if "\\u" in item:
            check_surrogates(value)
        return value, end

    def _broken(self, why: str) -> Unreadable:
        return Unreadable(f"The body is not a JSON array: {why}, in or after row {self._rows + 1}.")


# ---- spreadsheets ----------------------------------------------------------------------------------------------------

ReadHeader = Callable[[Sequence[str]], list[str | None]]


def known_column(name: str) -> str | None:
    """The field a column is for, however it is capitalised or hyphenated."""
    return _NAMES.get(re.sub("[^a-z]", "", name.lower()))


def read_header(cells: Sequence[str]) -> list[str | None]:
    """The fields of the columns, by their names; a column without a name is left out.

    Raises Unreadable for an unknown or repeated name, InvalidFields without a column for the address.
    """
    columns: list[str | None] = []
    for cell in (cell.strip(BLANKS) for cell in cells):
        name = known_column(cell)
        if cell and name is None:
            raise Unreadable(
                f"There is no field {escape(cell)}. Columns are {', '.join(COLUMNS)}.", code="unknown-field"
            )
        if name is not None and name in columns:
            raise Unreadable(f"The column {name} stands twice in the header.", code="duplicate-key")
        columns.append(name)
    if "inviteEmail" not in columns:
        raise InvalidFields([FieldProblem("/inviteEmail", "required", "The header needs a column inviteEmail.")])
    return columns


class SheetRows:
    """The lines of a spreadsheet's text, below its header. Encoding and delimiter are found out.

    encoding: what the sender says; a byte order mark knows better. Lines without anything in them do not count.
    is_header: whether the first line is one; if it is not, it is a row, and `read` is shown it all the same.
    """

    def __init__(
        self,
        encoding: str | None = None,
        *,
        read: ReadHeader = read_header,
        known: Callable[[str], str | None] = known_column,
        is_header: Callable[[Sequence[str]], bool] = lambda _cells: True,
    ) -> None:
        self._is_header = is_header
        self._encoding = encoding
        self._read_header = read
        self._known = known
        self._decode: Callable[[bytes, bool], str] | None = None
        self._bytes = b""
        self._text = ""
        self._patience = 0
        self._delimiter: str | None = None
        self._options: dict[str, object] = {}
        self._rows = 0

    @property
    def options(self) -> Mapping[str, object]:
        """columns: the field of each, or None. header: as it was written. delimiter."""
        return self._options

    def feed(self, data: bytes, *, final: bool = False) -> Rows:
        """The lines that end in these bytes. Raises Unreadable, and what reading the header raises."""
        self._text += self._decoded(data, final=final)
        if len(self._text) < min(self._patience, LARGEST_ROW) and not final:
            return []
        if self._delimiter is None and not self._find_delimiter(final=final):
            return []
        found = list(self._lines(final=final))
        if "columns" not in self._options:
            if not found and not final:
                return []
            first = found[0] if found else []
            header = found.pop(0) if found and self._is_header(first) else []
            self._options |= {"columns": self._read_header(first), "header": header, "delimiter": self._delimiter}
        self._rows += len(found)
        if len(self._text) > LARGEST_ROW:
            raise _row_too_large(self._rows + 1)
        self._patience = 2 * len(self._text)
        return list(found)

    def _decoded(self, data: bytes, *, final: bool) -> str:
        self._bytes += data
        if self._decode is None:
            if len(self._bytes) < 4 and not final:  # noqa: PLR2004  # a mark has three
                return ""
            encoding, mark = _encoding_of(self._bytes, self._encoding)
            self._decode, self._bytes = codecs.getincrementaldecoder(encoding)().decode, self._bytes[mark:]
        taken, self._bytes = self._bytes, b""
        try:
            return self._decode(taken, final)
        except UnicodeDecodeError as error:
            said = f"The file is not {error.encoding.upper()}, after row {self._rows}."
            raise Unreadable(f"{said} Save it as CSV UTF-8, or name its charset.") from None

    def _find_delimiter(self, *, final: bool) -> bool:
        """Choose what separates the cells by the header, as soon as that is whole."""
        hint = _SEPARATOR_LINE.match(self._text)
        if hint:
            self._delimiter, self._text = hint[1], self._text[hint.end() :]
            return True
        if not final and len(self._text) < LONGEST_HEADER and not re.search(r"[^\s].*[\r\n]", self._text):
            return False
        self._text = self._text.lstrip("\r\n")
        self._delimiter = max(DELIMITERS, key=self._fit)
        return True

    def _fit(self, delimiter: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(self._text, newline=""), delimiter=delimiter), [])
        return sum(self._known(cell.strip(BLANKS)) is not None for cell in header), len(header)

    def _lines(self, *, final: bool) -> Iterator[list[str]]:
        """The whole lines of the text, which is left with what may still go on."""
        text = self._text
        end = len(text) if final else max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        given = _Given(list(io.StringIO(text[:end], newline="")))
        reader = csv.reader(given, delimiter=self._delimiter or ",")
        while True:
            start = given.taken
            try:
                cells = next(reader)
            except StopIteration:
                self._text = text[end:]
                return
            except csv.Error as error:
                raise Unreadable(f"Row {self._rows + 1} or one after it cannot be read: {error}.") from None
            if given.is_spent:  # it asked for more in the middle of a quotation
                if final:
                    raise Unreadable("A quotation mark is opened in the last row that is never closed.")
                self._text = "".join(given.lines[start:]) + text[end:]
                return
            if any(cell.strip(BLANKS) for cell in cells):
                yield cells


class _Given:
    """Lines for a reader, which may ask for more than there are."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.taken = 0
        self.is_spent = False

    def __iter__(self) -> "_Given":
        return self

    def __next__(self) -> str:
        if self.taken == len(self.lines):
            self.is_spent = True
            raise StopIteration
        self.taken += 1
        return self.lines[self.taken - 1]


def _encoding_of(data: bytes, said: str | None) -> tuple[str, int]:
    """How text is encoded, and how long its byte order mark is."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    if said is not None:
        return "utf-16-le" if said == "utf-16" else said, 0
    if data[1:2] == b"\0" and data[:1] != b"\0":
        return "utf-16-le", 0
    if data[:1] == b"\0" and data[1:2] != b"\0":
        return "utf-16-be", 0
    return "utf-8", 0
