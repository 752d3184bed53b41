"""Reads the items of a JSON array as a stream."""

import codecs
import json
import re
from collections.abc import Mapping

from latchstring.domain.errors import Unreadable
from latchstring.formats.fields import escape
from latchstring.formats.strict_json import DECODER, MAX_DEPTH, check_depth, check_surrogates
from latchstring.formats.uploads import MAX_ROW_BYTES, Rows, row_too_large_error

_WHITESPACE = re.compile(r"[ \t\r\n]*")  # RFC 8259 section 2
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*")  # a number, true, false, null, or invalid text of this form
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+("|\\?\Z)?', re.DOTALL)  # the group: closed, or truncated at the end
_OPENING_CHARACTERS = '{["'
_BETWEEN_STRINGS = " \t\r\n,:-+.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class JsonRows:
    """Parses the items of a JSON array of any content."""

    options: Mapping[str, object] = {}

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._expects = "["  # then "value", "value or end", ", or ]", "end"
        self._retry_length = 0  # the length of the text at which an incomplete item is parsed again
        self._rows = 0

    def feed(self, data: bytes, *, final: bool = False) -> Rows:
        """Return the items that these bytes complete. Raises Unreadable."""
        try:
            self._text += self._decode(data, final)
        except UnicodeDecodeError as error:
            raise Unreadable(f"The body is not UTF-8: {error.reason}, after row {self._rows}.") from None
        if len(self._text) < min(self._retry_length, MAX_ROW_BYTES) and not final:
            return []
        items: Rows = []
        offset = self._read_items(items, final=final)
        self._text = self._text[offset:]
        if len(self._text) > MAX_ROW_BYTES:
            raise row_too_large_error(self._rows + 1)
        self._retry_length = 2 * len(
            self._text
        )  # doubled, so that a long item is parsed a few times, not for each chunk
        if final and self._expects != "end":
            raise self._syntax_error("it ends too early")
        return items

    def _read_items(self, items: Rows, *, final: bool) -> int:
        """Append the complete items and return the offset where they end."""
        text, offset = self._text, 0
        while True:
            offset = self._skip_whitespace(offset)
            if offset == len(text):
                return offset
            if self._expects in ("value", "value or end") and not (
                self._expects == "value or end" and text[offset] == "]"
            ):
                item = self._read_item(offset, final=final)
                if item is None:
                    return offset
                value, offset = item
                items.append(value)
                self._rows += 1
                self._expects = ", or ]"
            else:
                self._read_punctuation(text[offset])
                offset += 1

    def _skip_whitespace(self, offset: int) -> int:
        whitespace = _WHITESPACE.match(self._text, offset)
        return whitespace.end() if whitespace else offset

    def _read_punctuation(self, character: str) -> None:
        transitions = {("[", "["): "value or end", (", or ]", ","): "value"}
        if character == "]" and self._expects in ("value or end", ", or ]"):
            self._expects = "end"
        elif (self._expects, character) in transitions:
            self._expects = transitions[self._expects, character]
        elif self._expects == "[":
            raise Unreadable("Send a JSON array of invitations.")
        else:
            raise self._syntax_error(f"there is a {escape(character)} where none can be")

    def _read_item(self, offset: int, *, final: bool) -> tuple[object, int] | None:
        """Return the item at the offset and where it ends; None if it may be incomplete."""
        text = self._text
        if not final and text[offset] not in _OPENING_CHARACTERS and _SCALAR.fullmatch(text, offset):
            return None  # a number may continue in the next chunk
        try:
            value, end = DECODER.raw_decode(text, offset)
        except json.JSONDecodeError as error:
            if not final and text[offset] in _OPENING_CHARACTERS and _is_cut_off(text, offset, error.pos):
                return None
            raise self._syntax_error(error.msg.lower()) from None
        except RecursionError:
            raise Unreadable(f"Row {self._rows + 1} is nested too deeply.", code="nested-too-deep") from None
        except ValueError:
            raise self._syntax_error("a number is too long") from None
        item = text[offset:end]
        if item.count("[") + item.count("{") >= MAX_DEPTH:
            check_depth(item.encode(), MAX_DEPTH - 1)  # the array around it is one level
        if "\\u" in item:
            check_surrogates(value)
        return value, end

    def _syntax_error(self, reason: str) -> Unreadable:
        return Unreadable(f"The body is not a JSON array: {reason}, in or after row {self._rows + 1}.")


def _is_cut_off(text: str, start: int, failed_at: int) -> bool:
    """Whether the item at `start` failed only because the text ends: in its last string, or after it."""
    end = len(text)
    for string in _STRING.finditer(text, start):
        if string[1] is None:
            return False  # a control character makes it invalid
        if string[1] != '"':
            end = string.start()
    return failed_at >= start + len(text[start:end].rstrip(_BETWEEN_STRINGS))
