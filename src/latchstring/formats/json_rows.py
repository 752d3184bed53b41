"""The items of a JSON array, read as a stream."""

import codecs
import json
import re
from collections.abc import Mapping

from latchstring.domain.errors import Unreadable
from latchstring.formats.fields import escape
from latchstring.formats.strict_json import DECODER, DEEPEST, check_depth, check_surrogates
from latchstring.formats.uploads import LARGEST_ROW, Rows, row_too_large

_WHITESPACE = re.compile(r"[ \t\r\n]*")  # RFC 8259 section 2
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*")  # a number, true, false or null, and whatever else looks like one
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+("|\\?\Z)?', re.DOTALL)  # the group: closed, or cut off by the end
_OPENING = '{["'
_BETWEEN_STRINGS = " \t\r\n,:-+.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
            raise row_too_large(self._rows + 1)
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
        if not final and text[at] not in _OPENING and _SCALAR.fullmatch(text, at):
            return None  # a number may have more digits
        try:
            value, end = DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if not final and text[at] in _OPENING and _is_cut_off(text, at, error.pos):
                return None
            raise self._broken(error.msg.lower()) from None
        except RecursionError:
            raise Unreadable(f"Row {self._rows + 1} is nested too deeply.", code="nested-too-deep") from None
        except ValueError:
            raise self._broken("a number is too long") from None
        item = text[at:end]
        if item.count("[") + item.count("{") >= DEEPEST:
            check_depth(item.encode(), DEEPEST - 1)  # it stands in an array already
        if "\\u" in item:
            check_surrogates(value)
        return value, end

    def _broken(self, why: str) -> Unreadable:
        return Unreadable(f"The body is not a JSON array: {why}, in or after row {self._rows + 1}.")


def _is_cut_off(text: str, start: int, failed_at: int) -> bool:
    """Whether the item that begins at `start` failed only where the text ends: in its last string, or behind it."""
    end = len(text)
    for string in _STRING.finditer(text, start):
        if string[1] is None:
            return False  # a control character ends it
        if string[1] != '"':
            end = string.start()
    return failed_at >= start + len(text[start:end].rstrip(_BETWEEN_STRINGS))
