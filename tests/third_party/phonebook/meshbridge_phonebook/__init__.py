"""Reads services from a folder: a file is a service, a line ``ADDRESS PORT [NOTE]``."""

from datetime import timedelta
from pathlib import Path
from typing import Never

from meshbridge import Context, Emit, Instance, InstancePort, RegisteredService, ServiceId, metadata
from meshbridge.poll import Fetched, poll
from meshbridge.settings import Duration, Section

SCOPE = "book"


class PhonebookOptions(Section):
    """What can be configured."""

    folder: Path
    """Where the files are"""
    interval: Duration = timedelta(seconds=1)
    """How often to look"""


class Phonebook:
    """Watches one folder."""

    Options = PhonebookOptions
    settle = timedelta(0)
    scopes = (SCOPE,)

    def __init__(self, name: str, options: PhonebookOptions, context: Context) -> None:
        """Look at nothing yet."""
        self._name = name
        self._options = options
        self._context = context

    async def watch(self, emit: Emit) -> Never:
        """Look again and again."""
        await poll(
            self._fetch,
            every=self._options.interval,
            scopes=self.scopes,
            context=self._context,
        )(emit)

    async def _fetch(self, scope: str) -> Fetched:
        services: list[RegisteredService] = []
        unreadable: list[tuple[ServiceId, str]] = []
        for page in sorted(self._options.folder.iterdir()):
            service = ServiceId("", "", page.name)
            instances: list[Instance] = []
            for line in page.read_text().splitlines():
                address, port, *note = line.split()
                instance = f"{address}:{port}"
                if not port.isdecimal():
                    reason = f"the port is {port!r}, which is no number"
                    self._context.report(scope, (service, instance), reason, "correct the line")
                    unreadable.append((service, instance))
                    continue
                ports = (InstancePort(int(port), "http"),)
                noted = metadata({"note": " ".join(note)} if note else {})
                instances.append(Instance(instance, address, ports, metadata=noted))
            services.append(RegisteredService(service, tuple(instances)))
        return Fetched(tuple(services), tuple(unreadable))
