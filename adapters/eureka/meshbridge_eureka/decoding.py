"""Walks through what Eureka answers, down to single instances; pure.

What a large registry answers takes longer to decode than others may wait, and one application may
hold most of it. So nothing larger than an instance is decoded at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshbridge import BadData
from meshbridge_eureka.fields import shown
from meshbridge_eureka.text import Text, UnwieldyError

_RENEWED: Final = re.compile(r'"lastRenewalTimestamp"\s*:\s*"?\d+"?')
_TOLD: Final = re.compile(r'"(instanceId|app|status|vipAddress)"\s*:\s*"([^"\\]*)"')
_MANY: Final = frozenset("[{")
"""What a list begins with: XStream's JSON writes a list of one as that one."""


@dataclass(slots=True)  # not frozen, to be made quickly; nobody changes it
class Listed:
    """An instance, or what stands in place of one."""

    position: int
    """In its application's list."""
    held: object
    """As decoded."""
    mark: int
    """By what it is known again: the same unless more than its last renewal has changed."""
    reason: str = ""
    """Why it could not be decoded, and ``held`` is what its begin tells all the same."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of an application whose instances came before."""

    position: int
    name: str
    """As it is told; empty if it is not."""
    reason: str = ""
    """Why it could not be read."""


class Answer:
    """What ``/apps`` or ``/apps/delta`` answered."""

    def __init__(self, body: bytes | bytearray) -> None:
        """Take the body as it came, without its compression."""
        self._text = Text(body)
        self.hashcode: str | None = None
        """How many instances there are by status (``DOWN_1_UP_2_``), once all is read."""

    def read(self) -> Iterator[Listed | Closed | None]:
        """Yield what it lists; None where others should get a turn.

        Raises BadData when the answer as a whole cannot be used: it is no JSON, only a part of
        it, or says nothing of applications.
        """
        text, told = self._text, False
        begin = text.peek()
        if begin != "{":
            raise BadData(
                f"it is no JSON object: it begins with {shown(begin) if begin else 'nothing'}"
                + (", as a web page of a proxy or a login does" if begin == "<" else "")
            )
        for key in text.members():
            if key == "applications" and text.peek() == "{":
                told = True
                yield from self._applications()
            else:
                text.value()
                if text.turn():
                    yield None
        text.end()
        if not told:
            raise BadData("it says nothing of applications")

    def _applications(self) -> Iterator[Listed | Closed | None]:
        text, listed = self._text, False
        for key in text.members():
            if key == "application" and text.peek() in _MANY:
                listed = True
                for position in text.elements():
                    yield from self._application(position)
                    if text.turn():
                        yield None
                continue
            held = text.value()
            if key == "apps__hashcode":
                self.hashcode = held if isinstance(held, str) else None
            if text.turn():
                yield None
        if not listed and self.hashcode is None:
            raise BadData("it has neither a list of applications nor a hash code")

    def _application(self, position: int) -> Iterator[Listed | Closed | None]:
        text, name, reason = self._text, "", ""
        if text.peek() != "{":
            yield Closed(position, "", f"the application is {shown(text.value())}")
            return
        for key in text.members():
            if key == "instance" and text.peek() in _MANY:
                for place in text.elements():
                    try:
                        held = text.value()
                    except UnwieldyError as unwieldy:
                        yield _unwieldy(place, text.begin, str(unwieldy))
                        yield from text.skip()
                        continue
                    yield Listed(place, held, hash(_RENEWED.sub("", text.raw)))
                    if text.turn():
                        yield None
                continue
            held = text.value()
            if key == "instance" and held not in (None, ""):
                reason = f"its list of instances is {shown(held)}"
            elif key == "name" and isinstance(held, str):
                name = held
            if text.turn():
                yield None
        yield Closed(position, name, reason)


def _unwieldy(place: int, begin: str, reason: str) -> Listed:
    """Return what can be said of an instance that cannot be decoded.

    Servers write whose record it is before anything of the user's.
    """
    told: dict[str, str] = {}
    for key, value in _TOLD.findall(begin):
        told.setdefault(key, value)
    return Listed(
        place, told, hash((*told.items(), reason)), f"its record cannot be read: {reason}"
    )
