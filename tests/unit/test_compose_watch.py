"""How compose/watch.py counts calls, of what Envoy and the Spring caller tell."""

from collections.abc import Callable, Mapping
from runpy import run_path
from typing import TYPE_CHECKING, cast

from rig.compose_file import FOLDER

if TYPE_CHECKING:
    from compose.watch import Counts

GREETER, ORDERS = "outbound|50051||meshbridge.peers.greeter.dubbo", "outbound|80||orders.nacos"

tally = cast(
    "Callable[[Mapping[str, object], Mapping[str, object], int], Counts]",
    run_path(str(FOLDER / "watch.py"))["tally"],
)


def told(
    hosts: Mapping[tuple[str, str], tuple[int, int]],
    caller: int = 0,
    **stats: int,
) -> "Counts":
    """Return the counts where hosts of clusters have so many good and failed calls."""
    statuses = [
        {
            "name": cluster,
            "added_via_api": cluster != "meshbridge",
            "host_statuses": [
                {
                    "address": {"socket_address": {"address": address, "port_value": 1}},
                    # Envoy leaves a value out that is 0, and writes the others as texts.
                    "stats": [
                        {"name": name, "value": str(value)} if value else {"name": name}
                        for name, value in (("rq_success", good), ("rq_error", failed))
                    ],
                }
            ],
        }
        for (cluster, address), (good, failed) in hosts.items()
    ]
    counters = [{"name": name, "value": value} for name, value in stats.items()]
    return tally(
        {"cluster_statuses": statuses},
        {"stats": [*counters, {"histograms": "of no concern"}]},
        caller,
    )


def test_calls_are_counted_by_address_in_all_clusters_but_the_way_to_the_bridge() -> None:
    before = told({(GREETER, "one"): (5, 0), (ORDERS, "two"): (7, 0)})
    more = {(GREETER, "one"): (9, 0), (ORDERS, "two"): (8, 0), (ORDERS, "one"): (2, 0)}
    now = told({**more, ("meshbridge", "bridge"): (50, 50)})

    assert now.since(before) == ({"one": 6, "two": 1}, 0)


def test_who_came_back_is_counted_anew_and_hides_no_failure_of_another() -> None:
    before = told({(GREETER, "one"): (500, 90), (GREETER, "two"): (500, 3)}, 4)
    now = told({(GREETER, "one"): (20, 1), (GREETER, "two"): (510, 5)}, 5)

    assert now.since(before) == ({"one": 20, "two": 10}, 1 + 2 + 1)


def test_a_failed_call_of_the_spring_caller_is_counted_once() -> None:
    unheard = {f"cluster.{ORDERS}.upstream_cx_none_healthy": 3}
    now = told({(ORDERS, "one"): (0, 2)}, 5, **unheard)

    assert now.since(told({(ORDERS, "one"): (0, 0)})) == ({"one": 0}, 5)


def test_a_dubbo_call_without_an_instance_or_a_service_is_counted() -> None:
    now = told(
        {},
        **{
            f"cluster.{GREETER}.upstream_cx_none_healthy": 3,
            "http.http|0.0.0.0:50051.no_route": 4,
            "http.http|0.0.0.0:50051.no_cluster": 5,
            "http.http|0.0.0.0:15001.no_route": 100,  # the Spring caller's: it was answered 404
            "cluster.meshbridge.upstream_cx_none_healthy": 100,  # the way to the bridge
        },
    )

    assert now.since(told({})) == ({}, 12)
