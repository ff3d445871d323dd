"""Reads a JSON text forward, without ever having more of it decoded than is looked at; pure."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final

from meshbridge import BadData

PIECE: Final = 128 * 1024
"""Bytes that are looked at before others get a turn: of about 150 instances."""
LARGEST: Final = 64 * 1024
"""Characters of the largest value that is decoded: an instance has 1,000 and its metadata."""

MOST_MEMBERS: Final = 100
"""Members of an object that is not decoded whole: an application has two."""
_BLANKS: Final = 8
"""Pieces that may be nothing but white space."""
_BEGIN: Final = 4_096
_OUTSIDE: Final = re.compile(r'["{}\[\]]')
_INSIDE: Final = re.compile(r'\\.|"', re.DOTALL)
_SIGNS: Final = 5_000
"""Signs that are looked at before others get a turn: about 2 ms."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_LONGEST_NUMBER: Final = 4_000
"""Digits that Python reads as a number; longer ones stay text, and spoil their record only."""

_AHEAD: Final = 3
"""Characters behind a value that tell whether it is whole."""
_LONGEST_WORD: Final = 16
"""Characters that what the end of a piece cuts is no longer than: ``-Infinity``, ``\\ud83d``."""

_LONG: Final = frozenset('"{[')
"""What values begin with that may be long."""
_PART: Final = "it is only a part: it ends too early"


def _number(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


# Not strict: control characters are the core's to report, by the name of who registered them.
_READ: Final = json.JSONDecoder(strict=False).raw_decode
_READ_LONG_NUMBERS: Final = json.JSONDecoder(strict=False, parse_int=_number).raw_decode


class UnwieldyError(BadData):
    """A value that cannot be decoded but may be skipped."""


class Text:
    """A JSON text and how far it has been read. All that reads on raises BadData."""

    def __init__(self, body: bytes | bytearray) -> None:
        """Begin at its begin."""
        self._body = body
        self._taken = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._begun = 0
        self._turns = -1  # the first piece is looked at in the turn that there is

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        for _ in range(_BLANKS):
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""
        raise BadData("it is white space for too long")

    def value(self) -> object:
        """Return the next value, decoded whole. Raises UnwieldyError, too, and stays before it."""
        self.peek()
        while True:
            complete = self._taken >= len(self._body)
            try:
                value, end = self._decoded()
            except json.JSONDecodeError as error:
                if complete or self._is_wrong(error):
                    raise BadData(f"it is no JSON that can be read: {error.msg}") from None
            else:
                # What ends with the piece may go on: 12 of 123, or of 12e-3.
                if complete or end + _AHEAD <= len(self._text):
                    self._begun, self._at = self._at, end
                    return value
            self._grow()

    def skip(self) -> Iterator[None]:
        """Read on behind the next value without decoding it; others get a turn at each step."""
        if self.peek() not in _LONG:
            raise BadData("it is no JSON that can be read: a value is too long")
        depth, quoted, at, looked = 0, False, self._at, 0
        while True:
            found = (_INSIDE if quoted else _OUTSIDE).search(self._text, at)
            if found is None:
                # What begins an escape, and ends none, must stay together with what ends it.
                begins = quoted and self._text.endswith("\\", at)
                self._at = len(self._text) - begins
                yield
                if not self._more():
                    raise BadData(_PART)
                at = self._at
                continue
            sign, at = found[0], found.end()
            if sign == '"':
                quoted = not quoted
            elif not quoted:
                depth += 1 if sign in "{[" else -1
            if not quoted and not depth:
                self._at = at
                return
            looked += 1
            if not looked % _SIGNS:
                yield

    @property
    def begin(self) -> str:
        """What the next value begins with, as far as that has been taken."""
        return self._text[self._at : self._at + _BEGIN]

    @property
    def raw(self) -> str:
        """The last value as it came."""
        return self._text[self._begun : self._at]

    def members(self) -> Iterator[str]:
        """Yield the key of each member of an object; its value must be read before the next one."""
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        following, told = ",", 0
        while following == ",":
            told += 1
            if told > MOST_MEMBERS:
                raise BadData(f"an object in it has more than {MOST_MEMBERS} members")
            key = self.value()
            if not isinstance(key, str):
                raise BadData("it is no JSON that can be read: a key is no text")
            self._expect(":")
            self.peek()
            yield key
            following = self._expect(",}")

    def elements(self) -> Iterator[int]:
        """Yield the place of each element of a list, of what is none as of a list of one.

        The element must be read before the next one.
        """
        if self.peek() != "[":
            yield 0
            return
        self._at += 1
        if self.peek() == "]":
            self._at += 1
            return
        place, following = 0, ","
        while following == ",":
            yield place
            place += 1
            following = self._expect(",]")

    def end(self) -> None:
        """Read on to the end, where there must be nothing more."""
        if self.peek():
            raise BadData("it is no JSON that can be read: something follows its end")

    def turn(self) -> bool:
        """Say whether another piece has been taken since this was asked last."""
        turns, self._turns = self._turns, 0
        return turns > 0

    def _expect(self, signs: str) -> str:
        found = self.peek()
        if not found:
            raise BadData(_PART)
        if found not in signs:
            raise BadData("it is no JSON that can be read: a sign is not where it must be")
        self._at += 1
        return found

    def _decoded(self) -> tuple[object, int]:
        try:
            return _READ(self._text, self._at)
        except RecursionError:
            raise UnwieldyError("it is nested too deep") from None
        except json.JSONDecodeError:
            raise
        except ValueError:  # a number of thousands of digits
            return _READ_LONG_NUMBERS(self._text, self._at)

    def _is_wrong(self, error: json.JSONDecodeError) -> bool:
        """Return whether it is an error whatever follows: it is not where the piece ends.

        Of a text without an end the decoder tells the begin.
        """
        text_goes_on = error.msg.startswith("Unterminated string")
        return not text_goes_on and error.pos < len(self._text) - _LONGEST_WORD

    def _grow(self) -> None:
        """Take as much again as there is of a value, so that a long one is not begun too often."""
        held = len(self._text) - self._at
        if held > LARGEST:
            raise UnwieldyError(f"it is longer than {LARGEST} characters")
        while self._more() and len(self._text) - self._at < 2 * held:
            pass

    def _more(self) -> bool:
        """Take another piece, and let go of what has been read; say whether there was one."""
        piece = self._body[self._taken : self._taken + PIECE]
        if not piece:
            return False
        self._taken += len(piece)
        try:
            text = self._decoder.decode(piece, final=self._taken >= len(self._body))
        except UnicodeDecodeError:
            raise BadData("it is not UTF-8") from None
        self._text, self._at = self._text[self._at :] + text, 0
        self._turns += 1
        return True
