"""Reads CSV as a stream and detects its encoding and delimiter."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.formats.fields import escape
from latchstring.formats.invitation_input import BLANKS, COLUMNS
from latchstring.formats.uploads import MAX_ROW_BYTES, Rows, row_too_large_error

MAX_HEADER_LENGTH = 64 * 1024
DELIMITERS = ",;\t|"
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
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SEPARATOR_LINE = re.compile(r"sep=(.)(?:\r\n|\r|\n)", re.IGNORECASE)  # Excel's hint of the delimiter
_FIELDS_BY_LETTERS = {re.sub("[^a-z]", "", name.lower()): name for name in COLUMNS}


csv.field_size_limit(MAX_ROW_BYTES)

ReadHeader = Callable[[Sequence[str]], list[str | None]]


def known_column(name: str) -> str | None:
    """Return the field of a column name, ignoring case and everything but letters; None if unknown."""
    return _FIELDS_BY_LETTERS.get(re.sub("[^a-z]", "", name.lower()))


def read_header(cells: Sequence[str]) -> list[str | None]:
    """Return the field of each column, None for columns without a name.

    Raises Unreadable for an unknown or duplicate name, InvalidFields without a column for the address.
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


class CsvRows:
    """Parses the lines of a CSV file below its header. Empty lines are skipped.

    encoding: as the sender declares it; a byte order mark overrides it. read: reads the header. known: returns the
    field of a column name, to choose the delimiter. is_header: whether the first line is a header; if not, it is a
    row, but is still passed to `read`.
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
        self._find_field = known
        self._decode: Callable[[bytes, bool], str] | None = None
        self._bytes = b""
        self._text = ""
        self._retry_length = 0
        self._delimiter: str | None = None
        self._options: dict[str, object] = {}
        self._rows = 0

    @property
    def options(self) -> Mapping[str, object]:
        """columns: the field of each column, or None. header: its cells as written. delimiter."""
        return self._options

    def feed(self, data: bytes, *, final: bool = False) -> Rows:
        """Return the lines that these bytes complete. Raises Unreadable, and what reading the header raises."""
        self._text += self._decode_bytes(data, final=final)
        if len(self._text) < min(self._retry_length, MAX_ROW_BYTES) and not final:
            return []
        if self._delimiter is None and not self._choose_delimiter(final=final):
            return []
        lines = list(self._read_lines(final=final))
        if "columns" not in self._options:
            if not lines and not final:
                return []
            first = lines[0] if lines else []
            header = lines.pop(0) if lines and self._is_header(first) else []
            self._options |= {"columns": self._read_header(first), "header": header, "delimiter": self._delimiter}
        self._rows += len(lines)
        if len(self._text) > MAX_ROW_BYTES:
            raise row_too_large_error(self._rows + 1)
        self._retry_length = 2 * len(self._text)
        return list(lines)

    def _decode_bytes(self, data: bytes, *, final: bool) -> str:
        self._bytes += data
        if self._decode is None:
            if len(self._bytes) < 4 and not final:  # noqa: PLR2004  # a byte order mark has three at most
                return ""
            encoding, mark_length = _detect_encoding(self._bytes, self._encoding)
            self._decode, self._bytes = codecs.getincrementaldecoder(encoding)().decode, self._bytes[mark_length:]
        pending, self._bytes = self._bytes, b""
        try:
            return self._decode(pending, final)
        except UnicodeDecodeError as error:
            problem = f"The file is not {error.encoding.upper()}, after row {self._rows}."
            raise Unreadable(f"{problem} Save it as CSV UTF-8, or name its charset.") from None

    def _choose_delimiter(self, *, final: bool) -> bool:
        """Choose the delimiter that gives the most known columns. Returns False until the header is complete."""
        hint = _SEPARATOR_LINE.match(self._text)
        if hint:
            self._delimiter, self._text = hint[1], self._text[hint.end() :]
            return True
        if not final and len(self._text) < MAX_HEADER_LENGTH and not re.search(r"[^\s].*[\r\n]", self._text):
            return False
        self._text = self._text.lstrip("\r\n")
        self._delimiter = max(DELIMITERS, key=self._score_delimiter)
        return True

    def _score_delimiter(self, delimiter: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(self._text, newline=""), delimiter=delimiter), [])
        return sum(self._find_field(cell.strip(BLANKS)) is not None for cell in header), len(header)

    def _read_lines(self, *, final: bool) -> Iterator[list[str]]:
        """Yield the complete lines of the text and keep the rest of it."""
        text = self._text
        end = len(text) if final else max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        source = _LineSource(list(io.StringIO(text[:end], newline="")))
        reader = csv.reader(source, delimiter=self._delimiter or ",")
        while True:
            start = source.next_index
            try:
                cells = next(reader)
            except StopIteration:
                self._text = text[end:]
                return
            except csv.Error as error:
                raise Unreadable(f"Row {self._rows + 1} or one after it cannot be read: {error}.") from None
            if source.is_exhausted:  # the text ends inside a quoted cell
                if final:
                    raise Unreadable("A quotation mark is opened in the last row that is never closed.")
                self._text = "".join(source.lines[start:]) + text[end:]
                return
            if any(cell.strip(BLANKS) for cell in cells):
                yield cells


class _LineSource:
    """Lines for a CSV reader. is_exhausted: the reader has requested more lines than there are."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.next_index = 0
        self.is_exhausted = False

    def __iter__(self) -> "_LineSource":
        return self

    def __next__(self) -> str:
        if self.next_index == len(self.lines):
            self.is_exhausted = True
            raise StopIteration
        self.next_index += 1
        return self.lines[self.next_index - 1]


def _detect_encoding(data: bytes, declared: str | None) -> tuple[str, int]:
    """Return the encoding of the text and the length of its byte order mark."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    if declared is not None:
        return "utf-16-le" if declared == "utf-16" else declared, 0
    if data[1:2] == b"\0" and data[:1] != b"\0":
        return "utf-16-le", 0
    if data[:1] == b"\0" and data[1:2] != b"\0":
        return "utf-16-be", 0
    return "utf-8", 0
