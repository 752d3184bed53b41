"""The lines of a spreadsheet's text, read as a stream; encoding and delimiter are found out."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.formats.fields import escape
from latchstring.formats.invitation_input import BLANKS, COLUMNS
from latchstring.formats.uploads import LARGEST_ROW, Rows, row_too_large

LONGEST_HEADER = 64 * 1024
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
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SEPARATOR_LINE = re.compile(r"sep=(.)(?:\r\n|\r|\n)", re.IGNORECASE)  # Excel's own hint
_NAMES = {re.sub("[^a-z]", "", name.lower()): name for name in COLUMNS}


csv.field_size_limit(LARGEST_ROW)

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


class CsvRows:
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
            raise row_too_large(self._rows + 1)
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
        given = _Columns(list(io.StringIO(text[:end], newline="")))
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


class _Columns:
    """Lines for a reader, which may ask for more than there are."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.taken = 0
        self.is_spent = False

    def __iter__(self) -> "_Columns":
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
