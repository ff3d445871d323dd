"""What each release of Nacos is asked about a service, and about all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rig.corpus.http import NOT_FOUND, OK

Release = Literal[2, 3]
Query = dict[str, str]
DEFAULT = "DEFAULT"
ALL = {"pageNo": "1", "pageSize": "500"}


@dataclass(frozen=True, slots=True)
class Question:
    """One request; ``file`` names the answer."""

    file: str
    path: str
    query: Query
    what: str
    expected: int = OK
    """The status that it is answered with."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Where a release takes what makes services as they should be."""

    service: str
    cluster: str
    instance: str


ORDERS = {
    2: Orders("/nacos/v1/ns/service", "/nacos/v1/ns/cluster", "/nacos/v1/ns/instance"),
    3: Orders(
        "/nacos/v3/admin/ns/service", "/nacos/v3/admin/ns/cluster", "/nacos/v3/admin/ns/instance"
    ),
}


def of_service(
    release: Release, group: str, service: str, clusters: Sequence[str], *, empty: bool
) -> list[Question]:
    """Return what is asked about a service and these clusters.

    In an ``empty`` one there are no instances, and so no clusters for consoles and administrators.
    """
    whole = NOT_FOUND if empty else OK
    name = {"serviceName": service, "groupName": group}
    client = "For clients: without what is switched off, and with protection applied"
    if release == 2:
        return [
            Question("instances", "/nacos/v1/ns/instance/list", name, f"{client}."),
            Question("service", "/nacos/v1/ns/catalog/service", name, "The service itself."),
            *(
                Question(
                    f"catalog-{cluster}",
                    "/nacos/v1/ns/catalog/instances",
                    {**name, "clusterName": cluster, **ALL},
                    f"For the console, cluster {cluster}: everything, as it is.",
                    whole,
                )
                for cluster in clusters
            ),
        ]
    listing = "/nacos/v3/client/ns/instance/list"
    only = f"{client}; without a cluster's name it answers for {DEFAULT} only."
    return [
        Question("instances", listing, name, only),
        Question("service", "/nacos/v3/admin/ns/service", name, "The service itself."),
        *(
            Question(
                f"instances-{cluster}",
                listing,
                {**name, "clusterName": cluster},
                f"For clients, cluster {cluster}.",
            )
            for cluster in clusters
            if cluster != DEFAULT
        ),
        *(
            Question(
                f"admin-{cluster}",
                "/nacos/v3/admin/ns/instance/list",
                {**name, "clusterName": cluster},
                f"For administrators, cluster {cluster}: everything, as it is.",
                whole,
            )
            for cluster in clusters
        ),
    ]


def of_all(release: Release) -> list[Question]:
    """Return what is asked about all services, and all configurations."""
    configs = {"dataId": "", **ALL, "search": "blur"}
    if release == 2:
        return [
            Question(
                "services", "/nacos/v1/ns/service/list", ALL, "The names of all, for clients."
            ),
            Question(
                "catalog",
                "/nacos/v1/ns/catalog/services",
                {**ALL, "hasIpCount": "false", "withInstances": "false"},
                "All services, for the console.",
            ),
            Question(
                "configs",
                "/nacos/v1/cs/configs",
                {**configs, "group": "", "tenant": ""},
                "All configurations: Dubbo's mappings and metadata, with their contents.",
            ),
        ]
    return [
        Question("catalog", "/nacos/v3/admin/ns/service/list", ALL, "All services."),
        Question(
            "configs",
            "/nacos/v3/admin/cs/config/list",
            {**configs, "groupName": ""},
            "All configurations, without their contents.",
        ),
    ]
