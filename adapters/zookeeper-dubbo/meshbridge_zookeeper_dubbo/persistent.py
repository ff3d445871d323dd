"""What ZooKeeper speaks and kazoo does not: persistent recursive watches, and many reads in one.

Both came with ZooKeeper 3.6. Formats: ``zookeeper.jute`` of ZooKeeper, ``AddWatchRequest``,
``WatcherEvent``, ``MultiHeader``, ``GetChildrenRequest``, ``GetDataRequest`` and their responses;
``MultiOperationRecord`` and ``MultiResponse`` for how operations are put in a row.
"""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from meshbridge_zookeeper_dubbo.tree import Want

Result = list[str] | bytes | int
"""The names of a node's children, its data, or ZooKeeper's code of why there is neither."""

UNIMPLEMENTED: Final = -6
NO_NODE: Final = -101
NO_AUTH: Final = -102

EXISTS: Final = 3
GET_DATA: Final = 4
GET_CHILDREN: Final = 8
SYNC: Final = 9
MULTI_READ: Final = 22
ADD_WATCH: Final = 106

_RECURSIVE = 1
_ERROR = -1
_INT = struct.Struct("!i")
_HEADER = struct.Struct("!iBi")
_EVENT = struct.Struct("!ii")
_STAT = 68
"""Bytes of the figures that follow a node's data."""
_END = _HEADER.pack(-1, 1, -1)
EXISTING: Final = 0
"""Of a node that was asked for nothing else: it is there."""


class Happened(enum.IntEnum):
    """What a watch tells (``Watcher.Event.EventType``)."""

    CREATED = 1
    DELETED = 2
    CHANGED = 3
    """Its data."""
    CHILDREN = 4
    """Some child came or went; persistent recursive watches say it by the child's own event."""


class Event(NamedTuple):
    """A node was changed; it tells nothing of what it is now."""

    happened: Happened
    path: str


class Read(NamedTuple):
    """One question: the children or the data of one node."""

    path: str
    want: Want
    """CHILDREN, DATA, or NOTHING to ask only whether there is such a node."""


@dataclass(frozen=True, slots=True)
class Results:
    """What came of a request."""

    each: list[Result]
    """For each question."""
    size: int
    """Their bytes."""


class AddWatch:
    """Watches a node and everything below it until the connection ends, whether it exists or not.

    It is answered with nothing, or with the error -6 of a server that is older than 3.6.
    """

    type: ClassVar[int] = ADD_WATCH

    def __init__(self, path: str) -> None:
        self._path = path

    def serialize(self) -> bytes:
        """Return the body of the request."""
        return _text(self._path) + _INT.pack(_RECURSIVE)

    def deserialize(self, buffer: bytes, offset: int) -> Results:  # noqa: ARG002 - it is empty
        """Return no results."""
        return Results([], 0)


class Sync:
    """Has the server catch up with its leader: what is read afterwards is no older than this.

    A follower may be behind by ``syncLimit``, and would show again what has gone long ago.
    """

    type: ClassVar[int] = SYNC

    def __init__(self, path: str) -> None:
        self._path = path

    def serialize(self) -> bytes:
        """Return the body of the request."""
        return _text(self._path)

    def deserialize(self, buffer: bytes, offset: int) -> Results:  # noqa: ARG002 - a path again
        """Return no results."""
        return Results([], 0)


class ReadMany:
    """Asks for many nodes at once; each has a result of its own, in the order of the questions."""

    type: ClassVar[int] = MULTI_READ

    def __init__(self, reads: Sequence[Read]) -> None:
        self._reads = reads

    def serialize(self) -> bytes:
        """Return the body of the request."""
        parts: list[bytes] = []
        for read in self._reads:
            kind = GET_CHILDREN if read.want is Want.CHILDREN else GET_DATA
            parts += (_HEADER.pack(kind, 0, -1), _text(read.path), b"\0")
        return b"".join((*parts, _END))

    def deserialize(self, buffer: bytes, offset: int) -> Results:
        """Return the results; raises ValueError or struct.error."""
        results: list[Result] = []
        start = offset
        while True:
            kind, done, _ = _HEADER.unpack_from(buffer, offset)
            offset += _HEADER.size
            if done:
                break
            if kind == GET_CHILDREN:
                names, offset = _names(buffer, offset)
                results.append(names)
            elif kind == GET_DATA:
                data, offset = _bytes(buffer, offset)
                offset += _STAT
                results.append(data)
            elif kind == _ERROR:
                results.append(_INT.unpack_from(buffer, offset)[0])
                offset += _INT.size
            else:
                raise ValueError(f"an answer of the unknown kind {kind}")
        if len(results) != len(self._reads):
            raise ValueError(f"{len(results)} answers to {len(self._reads)} questions")
        return Results(results, offset - start)


class ReadOne:
    """Asks for one node and watches it once, for servers older than 3.6."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.type = {Want.CHILDREN: GET_CHILDREN, Want.DATA: GET_DATA}.get(read.want, EXISTS)

    def serialize(self) -> bytes:
        """Return the body of the request."""
        return _text(self._read.path) + b"\1"

    def deserialize(self, buffer: bytes, offset: int) -> Results:
        """Return the one result.

        Raises ValueError or struct.error.
        """
        result: Result = EXISTING
        if self.type == GET_CHILDREN:
            result = _names(buffer, offset)[0]
        elif self.type == GET_DATA:
            result = _bytes(buffer, offset)[0]
        return Results([result], len(buffer) - offset)


def read_event(buffer: bytes, offset: int) -> Event | None:
    """Return what a watch tells, ``None`` if it is nothing about a node.

    Raises ValueError or struct.error.
    """
    kind, _ = _EVENT.unpack_from(buffer, offset)
    path, _ = _bytes(buffer, offset + _EVENT.size)
    try:
        return Event(Happened(kind), _decoded(path))
    except ValueError:
        return None  # of the session, or of a watch that was removed


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _INT.pack(len(encoded)) + encoded


def _bytes(buffer: bytes, offset: int) -> tuple[bytes, int]:
    length = _INT.unpack_from(buffer, offset)[0]
    start = offset + _INT.size
    end = start + max(length, 0)  # -1: null
    if end > len(buffer):
        raise ValueError(f"{length} bytes are announced and {len(buffer) - start} are there")
    return buffer[start:end], end


def _names(buffer: bytes, offset: int) -> tuple[list[str], int]:
    count = _INT.unpack_from(buffer, offset)[0]
    offset += _INT.size
    unpack, size = _INT.unpack_from, _INT.size
    names: list[str] = []
    for _ in range(count):
        start = offset + size
        offset = start + unpack(buffer, offset)[0]
        if offset < start:
            raise ValueError("a child without a name")
        names.append(_decoded(buffer[start:offset]))
    if offset > len(buffer):
        raise ValueError("the last name is cut off")
    return names, offset


def _decoded(name: bytes) -> str:
    """Return a name: ZooKeeper takes only UTF-8, so nothing is ever replaced with a real one."""
    return name.decode(errors="replace")
