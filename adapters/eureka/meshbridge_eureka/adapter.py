"""Watches what is registered in a Eureka cluster."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import ClassVar, Never

from pydantic import BaseModel

from meshbridge import Context, Emit
from meshbridge.client_tls import make_context
from meshbridge.errors import foremost
from meshbridge.settings.client_tls import ClientTls
from meshbridge_eureka.options import Options as EurekaOptions
from meshbridge_eureka.over_http import OverHttp
from meshbridge_eureka.reading import PATH, SCOPE, Past, Reading
from meshbridge_eureka.servers import Servers
from meshbridge_eureka.trials import Trials

REFILL = timedelta(seconds=75)
"""Clients learn when they renew, every 30 s, that a server has forgotten them, and register again;
its response cache may take 30 s to show it."""


class Eureka:
    """A Eureka cluster. Its one scope is ``applications``.

    One of its servers is asked at a time; when none answers as it should, ``watch`` raises and is
    called again by the supervisor. What another server tells is listed with ``after_gap``: it may
    know less.
    """

    Options: ClassVar[type[BaseModel]] = EurekaOptions
    settle = REFILL
    scopes = (SCOPE,)

    def __init__(self, name: str, options: BaseModel, context: Context) -> None:
        if not isinstance(options, EurekaOptions):
            raise TypeError(f"{name}: needs eureka options, got {type(options).__name__}")
        self._options = options
        self._context = context
        every = options.full_interval.total_seconds()
        servers = Servers(options.servers, options.zone)
        self._past = Past(servers, Trials(options.servers, options.names, context, every))
        tls = options.tls
        self._over_http = OverHttp(
            options.username,
            options.password.reveal(),
            partial(make_context, tls) if isinstance(tls, ClientTls) else None,
        )

    async def watch(self, emit: Emit) -> Never:
        """Tell what the cluster holds until cancelled.

        Raises RegistryRejected or RegistryUnavailable.
        """
        try:
            async with self._over_http.open() as http, asyncio.TaskGroup() as tasks:
                reading = Reading(self._options, http, self._context, emit, self._past)
                trying = self._past.trials.run(http, PATH, reading.query)
                tasks.create_task(trying, name="try servers")
                await reading.run()
        except ExceptionGroup as failed:
            raise foremost(failed) from failed
        raise AssertionError("it is read until that fails")
