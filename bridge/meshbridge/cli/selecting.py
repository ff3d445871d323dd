"""Which services a pattern means: what ``--service`` of `dump` and `diff` select."""

import fnmatch
from collections.abc import Callable

from meshbridge.explaining.asked import read
from meshbridge.service import Service


def called_like(pattern: str) -> Callable[[Service], bool]:
    """Return what says whether any of a service's names matches, whatever the case.

    Names are the mesh's and the registries' own. A URL means its host.
    """
    asked = read(pattern)
    patterns = {pattern.lower(), asked.host} if asked.is_url else {pattern.lower()}

    def matches(service: Service) -> bool:
        sources = (source.name for source in service.sources)
        names = [name.lower() for name in (service.host, *service.aliases, *sources)]
        return any(fnmatch.fnmatchcase(name, each) for each in patterns for name in names)

    return matches
