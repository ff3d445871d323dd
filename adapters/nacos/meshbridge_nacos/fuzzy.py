"""Hears at once of services that appear or vanish, from servers of release 3.

Fuzzy watch tells names only, and only of the first 500 services of a pattern (and of 20 patterns in
a server); beyond that it falls silent without an error (nacos: NamingFuzzyWatchContextService).
So it only makes things faster: the list that is read all the time stays the truth.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

from structlog.typing import FilteringBoundLogger

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.parse import SEPARATOR, Record

ABILITY = "fuzzyWatch"
ANY = "*"
_REQUEST = "NamingFuzzyWatchRequest"
_CHANGE = "NamingFuzzyWatchChangeNotify"
_SYNC = "NamingFuzzyWatchSync"
_ADDED, _DELETED = "ADD_SERVICE", "DELETE_SERVICE"
_BETWEEN = ">>"
"""Between namespace, group and service in a pattern."""
MOST_KNOWN = 10_000
"""Known services beyond which nothing is watched: no server looks at so many."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A service that has appeared or vanished."""

    group: str
    name: str
    appeared: bool


OnNotice = Callable[[Notice], None]


def _to_nobody(notice: Notice) -> None:
    """Take what is heard when it is of no use any more."""


def notices(namespace: str, body: Record) -> list[Notice]:
    """Return what a server's request says of a namespace; what cannot be read says nothing."""
    contexts = body.get("contexts")
    said = cast("list[object]", contexts) if isinstance(contexts, list) else [body]
    found = (_notice(namespace, each) for each in said)
    return [each for each in found if each is not None]


def _notice(namespace: str, said: object) -> Notice | None:
    if not isinstance(said, Mapping):
        return None
    record = cast("Record", said)
    key, change = record.get("serviceKey"), record.get("changedType")
    if not isinstance(key, str) or change not in {_ADDED, _DELETED}:
        return None
    parts = key.split(SEPARATOR, 2)
    if len(parts) != 3 or parts[0] != namespace or not all(parts):  # noqa: PLR2004 - see key_of
        return None
    return Notice(parts[1], parts[2], appeared=change == _ADDED)


def key_of(namespace: str, group: str, name: str) -> str:
    """Return the name by which fuzzy watch knows a service."""
    return SEPARATOR.join((namespace, group, name))


class FuzzyWatch:
    """The fuzzy watches of one session."""

    def __init__(
        self, questions: Questions, logger: FilteringBoundLogger, on_notice: OnNotice
    ) -> None:
        """Hand on what is heard; nothing is watched yet."""
        self._questions = questions
        self._logger = logger
        self._on_notice = on_notice
        self._offered = ABILITY in questions.abilities
        if self._offered:
            for kind in (_CHANGE, _SYNC):
                questions.hear(f"{kind}Request", f"{kind}Response", self._hear)

    def takes(self, known: int) -> bool:
        """Say whether anything can be watched of which so many services are known."""
        return self._offered and known <= MOST_KNOWN

    async def watch(self, group: str, known: Collection[tuple[str, str]]) -> None:
        """Watch a group, or every group (``*``), of which these (group, service) are known.

        The server then tells what appeared since. When it refuses, that is logged, and the list has
        to do.
        """
        namespace = self._questions.namespace
        fields = {
            "namespace": namespace,
            "groupKeyPattern": _BETWEEN.join((namespace, group, ANY)),
            "receivedGroupKeys": [key_of(namespace, *each) for each in known],
            "watchType": "WATCH",
            "initializing": True,
        }
        try:
            await self._questions.ask(_REQUEST, fields)
        except (BadData, RegistryRejected, RegistryUnavailable) as refused:
            scope = f"{namespace}/{group}"
            self._logger.info(
                "no fuzzy watch: new services are seen when listed",
                scope=scope,
                reason=str(refused),
            )

    def end(self) -> None:
        """Hand nothing on any more."""
        self._on_notice = _to_nobody

    def _hear(self, body: Record) -> None:
        for notice in notices(self._questions.namespace, body):
            self._on_notice(notice)
