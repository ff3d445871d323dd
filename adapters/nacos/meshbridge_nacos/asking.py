"""What can be asked of one Nacos server, about one namespace, while a session with it lasts.

:class:`meshbridge_nacos.session.Session` is this; tests hand in their own. A session ends with its
connection: what uses it is then cancelled and ``RegistryUnavailable`` raised where it was opened,
so that nobody who asks has to tell a lost connection from a question that failed. Open one with::

    async with access.session("public", on_push) as questions:

where ``access`` (:class:`meshbridge_nacos.access.Access`) lives as long as the registry: it knows
the servers, which of them to try next, and who we are.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from meshbridge_nacos.options import Server
from meshbridge_nacos.parse import Record

OnPush = Callable[[str, str, Record], None]
"""Takes a pushed service: its group, its plain name, its ``ServiceInfo``.

Called on the loop as each push arrives, so it must be quick; the push is acknowledged after it. A
server pushes the state of a service once more right after a subscription, even an empty one.

Of pushes and of answers to ``subscribe``, ``hosts`` is JSON, a ``msgspec.Raw``, so that
:mod:`meshbridge_nacos.parse` can decode 12,000 instances in slices (at once blocks the loop for
over 20 ms), and what is said again is known by its bytes.
"""

OnRequest = Callable[[Record], None]
"""Takes the body of a request that the server sent; the answer to it is sent after this."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list of a group's services."""

    count: int
    """How many services the whole list has."""
    names: tuple[str, ...]
    """Plain names, without their group; in no order, and not the same one the next time."""


class Questions(Protocol):
    """One server's answers about one namespace.

    Every method raises, besides what it says:

    * RegistryUnavailable: this question has no answer now (no right of access is at stake). The
      session may go on or be ending; who goes on asks again later.
    * RegistryRejected: there is no right to this (a refused token was replaced once before).
    * BadData: the server refuses this very question.
    """

    @property
    def server(self) -> Server:
        """The server that is asked."""
        ...

    @property
    def namespace(self) -> str:
        """The namespace's id; ``public`` for the default one, never empty."""
        ...

    @property
    def abilities(self) -> frozenset[str]:
        """What the server says that it can do: ``fuzzyWatch`` on 3.x, and not on 2.x."""
        ...

    async def page(self, group: str, number: int, size: int) -> Page:
        """Return one page (from 1) of the services of a group.

        Nacos cuts pages from an unordered set that may change between two of them; only one page
        that holds everything is one state. BadData does not occur.
        """
        ...

    async def subscribe(self, group: str, service: str) -> Record:
        """Have a service's changes pushed from now on; return its ``ServiceInfo`` as it is now.

        Raises BadData when this service alone is refused, also for want of a right to it, or its
        answer cannot be read.
        """
        ...

    async def unsubscribe(self, group: str, service: str) -> None:
        """Have no more changes of it pushed."""
        ...

    async def ask(self, kind: str, fields: Mapping[str, object], resource: str = "") -> Record:
        """Ask anything else over gRPC, and return the body of a successful answer.

        Args:
            kind: The request's type, its class in Nacos: ``NamingFuzzyWatchRequest``.
            fields: Its fields as Nacos names them.
            resource: ``GROUP@@service`` that an access key's signature is to be for, if any.
        """
        ...

    def hear(self, kind: str, answer: str, on_request: OnRequest) -> None:
        """Hand on the requests of one type that the server sends, as for fuzzy watch.

        Args:
            kind: The type of the request: ``NamingFuzzyWatchChangeNotifyRequest``.
            answer: The type of the success that is answered:
                ``NamingFuzzyWatchChangeNotifyResponse``.
            on_request: What takes them from now on.
        """
        ...

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
        """Return the JSON object that the same server gives over HTTP, to the same user.

        ``path`` begins after the context path: ``/v3/admin/ns/instance/list``. 401 and 403 are
        RegistryRejected (after one login anew), other answers than 200 BadData.
        """
        ...

    async def read_config(self, group: str, data_id: str) -> str | None:
        """Return a configuration's text, None when there is none.

        It is that of the tenant which frameworks write to: ``""`` for the namespace ``public``.
        (Nacos 2 keeps ``""`` and ``public`` apart as tenants, Nacos 3 does not.)
        """
        ...

    def watch_config(self, group: str, data_id: str) -> AsyncGenerator[str | None]:
        """Give the text as it is now, and again whenever it has changed; None for none.

        What changes while nobody takes it is given once, as it is then. It never ends by itself;
        use it with ``contextlib.aclosing`` if it is left before the session is.
        """
        ...
