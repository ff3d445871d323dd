"""What ``/readyz`` says, and when it says yes."""

import pytest

from meshbridge.bridge import WATCHING, RegistryState, ScopeState
from meshbridge.readiness import ready
from meshbridge.service import Service
from meshbridge.snapshot import EMPTY


def state(*, listed: bool, stale: str | None = None, required: bool = True) -> RegistryState:
    """Return a registry with one scope, which could not be read for 4 s if it is stale."""
    scope = ScopeState("all", listed, stale, 4.2 if stale else 0.0, None, 0, 0)
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
    assert ready(snapshot, (state(listed=True),)) == (True, [line])


def test_an_outage_is_a_line_and_keeps_it_ready() -> None:
    """What is served still is; and what was never known is said as that."""
    stale = "stale: registry shop, all: down; for 4 s; "
    assert ready(EMPTY, (state(listed=True, stale="down"),)) == (
        True,
        ["ready: 0 services are served", f"{stale}what it held is served"],
    )
    assert ready(EMPTY, (state(listed=False, stale="down"),)) == (
        True,
        ["ready: 0 services are served", f"{stale}nothing of it is known"],
    )


def test_the_first_answer_waits_for_what_is_required() -> None:
    """And each scope that was not read is named, whether it is waited for or not."""
    states = (state(listed=False), state(listed=False, required=False), state(listed=True))
    assert ready(None, states) == (
        False,
        [
            "not ready: the first answer waits until everything required was read",
            "waiting: registry shop, all was not read yet; `required: false` would not wait for it",
            "not waiting: registry shop, all was not read yet and is not required",
        ],
    )
