"""Asks what only administrators are told: all namespaces, all groups, and the truth about health.

Release 3 has it under ``/v3/admin``, release 2 under ``/v1`` (its list of namespaces only where the
console runs). Which of them answers is found out once for each question.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from meshbridge import BadData, RegistryUnavailable
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.options import PUBLIC
from meshbridge_nacos.parse import Record

PAGE = 500
"""Services on one page: as many as release 3 gives at most."""
MOST_PAGES = 1_000
EVERYTHING = "100000"


@dataclass(frozen=True, slots=True)
class _Form:
    """Where one release has something, and under which fields of its answer."""

    path: str
    fields: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()


_NAMESPACES = (
    _Form("/v3/admin/core/namespace/list", ("data",)),
    _Form("/v1/console/namespaces", ("data",)),
)
_SERVICES = (
    _Form("/v3/admin/ns/service/list", ("data", "pageItems")),
    _Form(
        "/v1/ns/catalog/services",
        ("serviceList",),
        (("hasIpCount", "false"), ("withInstances", "false")),
    ),
)
_INSTANCES = (
    _Form("/v3/admin/ns/instance/list", ("data",)),
    _Form("/v1/ns/catalog/instances", ("list",), (("pageNo", "1"), ("pageSize", EVERYTHING))),
)


class AdminApi:
    """The server of one session, asked as an administrator.

    Every method raises RegistryRejected where that is not allowed, BadData where the server has no
    such thing, RegistryUnavailable when it does not answer.
    """

    def __init__(self, questions: Questions) -> None:
        """Ask nothing yet."""
        self._questions = questions
        self._found: dict[tuple[_Form, ...], _Form] = {}

    async def namespaces(self) -> frozenset[str]:
        """Return the ids of all namespaces."""
        records = await self._records(_NAMESPACES, {})
        # Release 2 writes the id of the default one as nothing.
        return frozenset(each or PUBLIC for each in _texts(records, "namespace"))

    async def groups(self) -> frozenset[str]:
        """Return all groups of the namespace that have a service."""
        found: set[str] = set()
        for number in range(1, MOST_PAGES + 1):
            page = {"pageNo": str(number), "pageSize": str(PAGE)}
            records = await self._records(_SERVICES, {**self._scope, **page})
            found.update(_texts(records, "groupName"))
            if len(records) < PAGE:
                return frozenset(found - {""})
        limit = PAGE * MOST_PAGES
        raise RegistryUnavailable(f"{self._questions.server}: it lists over {limit} services")

    async def instances(self, group: str, service: str, clusters: Iterable[str]) -> list[object]:
        """Return the records of a service's instances in these clusters, as they really are."""
        found: list[object] = []
        for cluster in clusters:
            named = {"groupName": group, "serviceName": service, "clusterName": cluster}
            found += await self._records(_INSTANCES, {**self._scope, **named})
        return found

    @property
    def _scope(self) -> dict[str, str]:
        return {"namespaceId": self._questions.namespace}

    async def _records(self, forms: tuple[_Form, ...], query: Mapping[str, str]) -> list[object]:
        """Return what the first form that is there gives; it is then kept to."""
        refusals: list[str] = []
        for form in (self._found[forms],) if forms in self._found else forms:
            try:
                answer = await self._questions.fetch(form.path, {**dict(form.query), **query})
                records = _at(answer, form)
            except BadData as bad:
                refusals.append(str(bad))
            else:
                self._found[forms] = form
                return records
        raise BadData("; ".join(refusals))


def _at(answer: object, form: _Form) -> list[object]:
    found = answer
    for field in form.fields:
        found = cast("Record", found).get(field) if isinstance(found, Mapping) else None
    if not isinstance(found, list):
        raise BadData(f"its answer to {form.path} holds no list")
    return cast("list[object]", found)


def _texts(records: Iterable[object], field: str) -> list[str]:
    """Return the field of each record that has it; a record without it says nothing."""
    found = (cast("Record", each).get(field) for each in records if isinstance(each, Mapping))
    return [each for each in found if isinstance(each, str)]
