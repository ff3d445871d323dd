"""Much work leaves the loop its turns, and keeps the garbage collector from stopping it."""

import asyncio
import gc
from collections.abc import Coroutine, Generator
from typing import TypeVar

import pytest

from meshbridge import Instance, RegisteredService, ServiceId
from meshbridge.adapter import Unreadable
from meshbridge.steps import (
    LARGE,
    after_reading,
    at_once,
    chosen,
    in_turns,
    ordered,
    snapshot,
)
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.parse import Reading
from meshbridge_nacos.round import Round

T = TypeVar("T")

MANY = 200_000


async def counting_turns(work: Coroutine[object, object, T]) -> tuple[T, int]:
    """Return what the work returns, and how many turns others had meanwhile."""
    turns, task = 0, asyncio.create_task(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    return await task, turns


@pytest.mark.asyncio
async def test_choosing_and_ordering_many_names_is_done_in_parts() -> None:
    # In no order: what is in order already is sorted in no time.
    names = [f"service-{7_919 * number % MANY}" for number in range(MANY)]
    even, turns = await counting_turns(chosen(names, lambda name: name.endswith("0")))
    assert even == names[::10]
    assert turns > 1
    inorder, turns = await counting_turns(ordered(names))
    assert sorted(inorder) == sorted(names)
    assert turns > 1
    assert await ordered(["b", "c", "a"]) == ["a", "b", "c"], "few of them are sorted"


@pytest.mark.asyncio
async def test_a_snapshot_is_taken_in_parts_of_what_may_change_meanwhile() -> None:
    held = dict.fromkeys(range(10 * MANY))
    taken, turns = await counting_turns(snapshot(held))
    assert taken == list(held)
    assert turns > 1
    taking = asyncio.create_task(snapshot(held))
    await asyncio.sleep(0)
    held[-1] = None
    assert await taking == list(held)


@pytest.mark.asyncio
@pytest.mark.parametrize(("size", "turns"), [(LARGE - 1, 1), (LARGE, 2)])
async def test_others_have_a_turn_after_a_large_message(size: int, turns: int) -> None:
    assert (await counting_turns(after_reading(size)))[1] == turns


@pytest.mark.asyncio
async def test_no_full_collection_comes_amid_much_that_stays() -> None:
    full = 0

    def count(phase: str, info: dict[str, int]) -> None:
        nonlocal full
        full += phase == "start" and info["generation"] == 2

    def making() -> Generator[None, None, list[list[int]]]:
        made: list[list[int]] = []
        for number in range(400_000):
            made.append([number])
            if not number % 1_000:
                yield
        return made

    gc.collect()
    gc.callbacks.append(count)
    try:
        made = await in_turns(making())
    finally:
        gc.callbacks.remove(count)
        gc.unfreeze()
    assert len(made) == 400_000
    assert full == 0


def test_a_listing_pauses_and_is_in_order() -> None:
    registrations = Registrations("public", "DEFAULT_GROUP")
    for number in range(2_000):
        service = ServiceId("", "", f"s{(number * 7) % 2_000:04}")
        instances = (Instance("10.0.0.1:80", "10.0.0.1", ()),)
        registrations.put(service.name, Reading(RegisteredService(service, instances)))
    for _ in registrations.take():
        pass
    pauses = 0

    def counted() -> Generator[None, None, tuple[tuple[RegisteredService, ...], Unreadable]]:
        nonlocal pauses
        steps = registrations.listed()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                listing: tuple[tuple[RegisteredService, ...], Unreadable] = end.value
                return listing
            pauses += 1
            yield

    services, unreadable = at_once(counted())
    assert pauses >= 4
    assert [each.id.name for each in services] == [f"s{number:04}" for number in range(2_000)]
    assert unreadable == ()


def test_a_round_gives_each_its_turn_whichever_come_and_go() -> None:
    turns, names = Round(), {"a", "b", "c", "d", "e"}
    first = turns.next(names, 2)
    names -= {first[0]}
    second = turns.next(names, 2)
    names |= {"f"}
    third = turns.next(names, 2)
    assert set(first) & set(second) == set()
    assert set(first) | set(second) | set(third) >= {"a", "b", "c", "d", "e"}
    assert "f" in {each for _ in range(3) for each in turns.next(names, 2)}
    assert sorted(turns.next(names, 9)) == sorted(names), "no more than there are"
    assert turns.next(set(), 2) == []
