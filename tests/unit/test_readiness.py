"""What ``/readyz`` says, and when it says yes."""

from dataclasses import replace

import pytest

from meshbridge.bridge import WATCHING, RegistryState, ScopeState
from meshbridge.configuration import Configuration
from meshbridge.readiness import awaited, ready
from meshbridge.service import Service
from meshbridge.snapshot import EMPTY

SCOPE = ScopeState(
    scope="all",
    listed=True,
    stale=None,
    stale_seconds=0.0,
    updated_at=None,
    services=0,
    instances=0,
    serving=0,
    held=0,
    guard="settled",
    ready=True,
)


def state(scope: ScopeState = SCOPE, *, required: bool = True) -> RegistryState:
    """Return a registry with this scope; it is well unless that says otherwise."""
    return RegistryState("shop", required, WATCHING, "", 0.0, 0, 0, (scope,))


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        ([], "ready: 0 services are served"),
        (["a"], "ready: 1 service is served"),
        (["a", "b"], "ready: 2 services are served"),
    ],
)
def test_it_counts_in_plain_english(hosts: list[str], line: str) -> None:
    snapshot = EMPTY.with_changes({host: Service(host, "shop", (), ()) for host in hosts})
    assert ready(snapshot, (state(),)) == (True, [line])


def test_an_outage_is_a_line_and_keeps_it_ready() -> None:
    """What is served still is; and what was never known is said as that."""
    down = replace(SCOPE, stale="down", stale_seconds=4.2)
    stale = "stale: registry shop, all: down; for 4 s; "
    assert ready(EMPTY, (state(replace(down, services=2)),)) == (
        True,
        ["ready: 0 services are served", f"{stale}what it held is served"],
    )
    assert ready(EMPTY, (state(replace(down, listed=False)),)) == (
        True,
        ["ready: 0 services are served", f"{stale}nothing of it is known"],
    )


def test_what_is_served_from_stored_state_is_said_to_be() -> None:
    _, lines = ready(EMPTY, (state(replace(SCOPE, listed=False, services=2)),))
    assert lines[1:] == ["stored: registry shop, all: served from stored state, not read yet"]


def test_what_is_held_is_a_line_with_the_way_out() -> None:
    held = replace(SCOPE, scope="a b", services=2, instances=5, held=3, guard="in loss")
    assert ready(EMPTY, (state(held),)) == (
        True,
        [
            "ready: 0 services are served",
            (
                "held: registry shop, a b: 3 of 5 instances are no longer listed; in loss; "
                "`meshbridge release shop 'a b'` lets them go"
            ),
        ],
    )


def test_the_first_answer_waits_for_what_is_required() -> None:
    """And each scope that was not read is named, whether it is waited for or not."""
    unread = replace(SCOPE, listed=False, ready=False)
    states = (state(unread), state(unread, required=False), state())
    assert ready(None, states) == (
        False,
        [
            "not ready: the first answer waits until everything required was read",
            (
                "waiting: registry shop, all was not read yet; `required: false` would not wait "
                "for it, `meshbridge release shop all` goes on without it: either way proxies lose "
                "all its hosts until it is read"
            ),
            "not waiting: registry shop, all is not required",
        ],
    )


def test_a_registry_that_may_still_be_filling_is_said_to_be() -> None:
    _, lines = ready(
        None, (state(replace(SCOPE, ready=False, services=1, instances=7, serving=1)),)
    )
    assert lines[1:] == [
        (
            "waiting: registry shop, all may still be filling: 1 service, 7 instances so far; "
            "`meshbridge release shop all` accepts it as it is: then proxies lose what is not "
            "there yet"
        ),
    ]


def test_an_empty_registry_is_not_believed_at_a_first_start() -> None:
    _, lines = ready(None, (state(replace(SCOPE, ready=False, services=3)),))
    assert lines[1:] == [
        (
            "waiting: registry shop, all is empty, which nothing proves to be true; "
            "`meshbridge release shop all` accepts it, and so does `guard: {allow-empty: true}`: "
            "either way proxies lose all its hosts"
        ),
    ]


def test_a_registry_of_which_nothing_serves_is_said_to_be_one() -> None:
    """It never fills: no time makes it the first answer, as if it were empty."""
    withdrawn = replace(SCOPE, ready=False, services=3, instances=3)
    _, lines = ready(None, (state(withdrawn),))
    assert lines[1:] == [
        (
            "waiting: registry shop, all holds nothing that serves, which nothing proves to be "
            "true: all that it lists (3 instances) is disabled, draining or of weight 0; "
            "`meshbridge release shop all` accepts it, and so does `guard: {allow-empty: true}`: "
            "either way its hosts have no endpoints"
        ),
    ]


def test_a_registry_of_which_only_what_is_held_is_left_is_empty() -> None:
    """What it no longer lists was withdrawn by nobody."""
    _, lines = ready(None, (state(replace(SCOPE, ready=False, services=1, instances=2, held=2)),))
    assert "all is empty, which nothing proves to be true; " in lines[-1]


def test_a_scope_of_which_nothing_serves_waits_for_another_that_does() -> None:
    """Not for one that holds nothing that serves either."""
    withdrawn = replace(SCOPE, scope="prod", ready=False, services=1, instances=1)
    other = replace(SCOPE, scope="public", services=2, instances=2)
    _, lines = ready(None, (replace(state(), scopes=(withdrawn, replace(other, serving=2))),))
    assert "prod holds nothing that serves, which is believed once another scope" in lines[-1]
    _, lines = ready(None, (replace(state(), scopes=(withdrawn, other)),))
    assert "prod holds nothing that serves, which nothing proves to be true" in lines[-1]


@pytest.mark.parametrize(
    ("other", "held"),
    [
        (
            replace(SCOPE, scope="public", services=1, instances=2, serving=1),
            "1 service, 2 instances",
        ),
        (replace(SCOPE, scope="public", listed=False), "0 services, 0 instances"),
    ],
)
def test_a_scope_that_is_empty_beside_others_is_not_said_to_be_the_whole(
    other: ScopeState, held: str
) -> None:
    """It may stand for the list of them: who accepts it would accept what they are by then."""
    star = replace(SCOPE, scope="*", ready=False)
    _, lines = ready(None, (replace(state(), scopes=(star, other)),))
    assert lines[-1] == (
        "waiting: registry shop, * is empty, which is believed once another scope of the registry "
        f"has filled: {held} so far; `meshbridge release shop` accepts the registry as it is: "
        "then proxies lose what is not there yet"
    )


def test_without_an_admin_socket_a_command_is_named_with_what_it_needs() -> None:
    """It would find no bridge; a start with the other option is a way out that is always there."""
    deaf = Configuration(admin=False)
    needs = "(needs `admin` in the configuration, from the next start on)"
    _, lines = ready(None, (state(replace(SCOPE, ready=False, instances=1, held=1)),), deaf)
    assert f"; `meshbridge release shop all` {needs} lets them go" in lines[1]
    assert f"; `meshbridge release shop all` {needs} accepts it" in lines[2]
    deaf.withheld = ("it would take away 12 of 20 hosts",)
    assert "`meshbridge run --accept-loss`" in "\n".join(ready(None, (state(),), deaf)[1])
    (line,) = awaited((state(),), deaf)
    assert line.endswith(
        "; mend the file, or if it is meant: start with `meshbridge run --accept-loss`"
    )


def test_a_command_is_named_with_the_socket_that_it_would_not_find_by_itself() -> None:
    far = Configuration(socket="/run/mesh bridge/a.sock")
    _, lines = ready(None, (state(replace(SCOPE, ready=False)),), far)
    assert "; `meshbridge release shop all --admin '/run/mesh bridge/a.sock'` accepts" in lines[1]
    far.withheld = ("it would take away 12 of 20 hosts",)
    (line,) = awaited((state(),), far)
    assert "`meshbridge reload --accept-loss --admin '/run/mesh bridge/a.sock'`, or " in line


def test_a_refused_start_says_why_and_both_ways_out() -> None:
    """It is the reason, whatever else the registries wait for."""
    refused = Configuration(withheld=("it would take away 12 of 20 hosts", "orders.x: gone"))
    is_ready, lines = ready(None, (state(),), refused)
    assert not is_ready
    assert lines[0].startswith(
        "not ready: the configuration is refused: it would take away 12 of 20 hosts; "
    )
    assert "mend the file" in lines[1]
    assert "`meshbridge run --accept-loss`" in lines[2]
    assert lines[3] == "refused: orders.x: gone"


def test_a_file_that_was_refused_later_keeps_it_ready() -> None:
    is_ready, lines = ready(EMPTY, (state(),), Configuration(refused=("outlets.xsd: unknown",)))
    assert is_ready
    assert lines[-1] == "configuration: outlets.xsd: unknown"
