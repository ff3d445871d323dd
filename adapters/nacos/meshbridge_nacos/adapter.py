"""Watches the namespaces and groups of a Nacos cluster, one connection per namespace."""

from datetime import timedelta
from typing import ClassVar, Never

from pydantic import BaseModel

from meshbridge import Context, Emit, RegistryRejected, RegistryUnavailable
from meshbridge.errors import foremost
from meshbridge_nacos.access import Access
from meshbridge_nacos.discovery import Discovery
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.options import ALL
from meshbridge_nacos.options import Options as NacosOptions
from meshbridge_nacos.surroundings import Surroundings

REFILL = timedelta(seconds=20)
"""Clients register again up to 18 s after a restart (2,000 services over one connection)."""


class Nacos:
    """A Nacos cluster. A scope is a namespace with a group, written ``public/DEFAULT_GROUP``.

    Where all namespaces or all groups are to be read, ``*`` and ``public/*`` are scopes too, which
    stand for the lists of them. A scope that fails is stale and tried again while another one can
    be read; when none can, ``watch`` raises and is called again by the supervisor. Whatever is
    listed after a failure is listed with ``after_gap``.
    """

    Options: ClassVar[type[BaseModel]] = NacosOptions
    settle = REFILL

    def __init__(self, name: str, options: BaseModel, context: Context) -> None:
        if not isinstance(options, NacosOptions):
            raise TypeError(f"{name}: needs nacos options, got {type(options).__name__}")
        self._options = options
        self._context = context
        self.scopes = _named_scopes(options)
        self._access = Access(options, context)
        self._listed: set[str] = set()
        self._registrations: dict[str, Registrations] = {}

    async def watch(self, emit: Emit) -> Never:
        """Tell what the namespaces hold until cancelled.

        Raises RegistryRejected or RegistryUnavailable, and nothing else of Nacos or its SDK.
        """
        around = Surroundings(
            open_session=self._access.session,
            context=self._context,
            emit=emit,
            listed=self._listed,
            every=self._options.discover_every.total_seconds(),
            admin=self._options.admin,
            registrations=self._registrations,
        )
        discovery = Discovery(self._options.groups, around)
        try:
            await discovery.watch(self._options.namespaces)
        except ExceptionGroup as failed:
            error = foremost(failed)
            # Of the scopes' failures the one by which trying again may help.
            outage = around.standing.outage() or error
            known = isinstance(error, RegistryRejected | RegistryUnavailable)
            raise outage if known else error from failed
        raise AssertionError("namespaces are watched until that fails")


def _named_scopes(options: NacosOptions) -> tuple[str, ...]:
    if ALL in options.namespaces:
        return (ALL,)
    return tuple(
        f"{namespace}/{group}" for namespace in options.namespaces for group in options.groups
    )
