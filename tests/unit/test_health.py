"""Health is decided once, the same for both outlets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.health import decide, stand_in
from meshbridge.registration import Health
from meshbridge.service import Endpoint

H, D, U, R, X = (
    Health.HEALTHY,
    Health.DEGRADED,
    Health.UNHEALTHY,
    Health.DRAINING,
    Health.DISABLED,
)


def endpoints(*healths: Health) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(f"10.0.0.{number}", (("http-80", 8080),), health=health)
        for number, health in enumerate(healths)
    )


@pytest.mark.parametrize(
    ("given_", "keep_last", "sent"),
    [
        ((H, D, U), True, {0: H, 1: D}),
        ((H, D, U), False, {0: H, 1: D}),
        ((D, U, D), True, {0: H, 2: H}),
        ((D, U), False, {0: H}),
        ((U, U), True, {0: H, 1: H}),
        ((U, U), False, {}),
        ((R, X), True, {}),
        ((R, U, X), True, {1: H}),
        ((), True, {}),
    ],
)
def test_the_table_of_what_is_sent(
    given_: tuple[Health, ...], *, keep_last: bool, sent: dict[int, Health]
) -> None:
    """By what the registry thinks of each endpoint, case by case."""
    all_ = endpoints(*given_)
    expected = tuple(replace(all_[index], health=health) for index, health in sent.items())
    assert decide(all_, keep_last=keep_last) == expected


HEALTHS = st.lists(st.sampled_from(list(Health)), max_size=8)


@given(healths=HEALTHS, keep_last=st.booleans())
def test_only_fit_ones_are_sent_and_degraded_ones_only_beside_healthy_ones(
    healths: list[Health], *, keep_last: bool
) -> None:
    """Proxyless gRPC uses healthy endpoints only, so where any is sent, one must be healthy."""
    sent = {endpoint.health for endpoint in decide(endpoints(*healths), keep_last=keep_last)}
    assert sent <= {H, D}
    assert not sent or H in sent


@given(healths=HEALTHS)
def test_what_stands_in_for_healthy_ones_is_what_is_sent_as_such(healths: list[Health]) -> None:
    """With keep-last; without it nothing is sent of unhealthy ones."""
    all_ = endpoints(*healths)
    sent = {each.address for each in decide(all_, keep_last=True)}
    registered = {each.health for each in all_ if each.address in sent}
    expected = None if H in registered or not registered else registered.pop()
    assert stand_in(all_) is expected


@given(healths=HEALTHS, keep_last=st.booleans())
def test_nothing_is_invented_and_nobody_who_leaves_is_sent(
    healths: list[Health], *, keep_last: bool
) -> None:
    """What is sent differs from what was given in health alone, and keeps its order."""
    all_ = endpoints(*healths)
    sent = decide(all_, keep_last=keep_last)
    by_address = {endpoint.address: endpoint for endpoint in all_}
    originals = [by_address[endpoint.address] for endpoint in sent]
    assert [replace(endpoint, health=H) for endpoint in sent] == [
        replace(endpoint, health=H) for endpoint in originals
    ]
    assert not {endpoint.health for endpoint in originals} & {R, X}
    assert [endpoint.address for endpoint in sent] == sorted(each.address for each in sent)


@given(HEALTHS)
def test_with_keep_last_a_host_is_empty_only_if_all_left(healths: list[Health]) -> None:
    """A mass failure of health checks empties nothing."""
    assert bool(decide(endpoints(*healths), keep_last=True)) == any(
        health not in (R, X) for health in healths
    )


@given(healths=HEALTHS, keep_last=st.booleans())
def test_deciding_twice_is_deciding_once(healths: list[Health], *, keep_last: bool) -> None:
    """What was decided stands."""
    once = decide(endpoints(*healths), keep_last=keep_last)
    assert decide(once, keep_last=keep_last) == once
