"""Namespaces and groups are watched each by itself, named or found, and fail each by itself."""

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest
import structlog
from unit.nacos.pretended import Pretended, Session

from meshbridge import (
    BadData,
    Changed,
    Context,
    Gone,
    Listing,
    RegistryRejected,
    RegistryUnavailable,
    Removed,
    Stale,
    Update,
)
from meshbridge.errors import foremost
from meshbridge.testing import Clock
from meshbridge_nacos import sitting
from meshbridge_nacos.discovery import Discovery
from meshbridge_nacos.parse import Record
from meshbridge_nacos.scope import Scope
from meshbridge_nacos.standing import FORBIDDEN, LATER, REFUSED, SOON
from meshbridge_nacos.surroundings import Surroundings

EVERY = 5.0
LONG = 10 * REFUSED
RECOVERY = 5.0
"""Most seconds from when a scope can be read to when it is."""


class Watched:
    """What a watch has said."""

    def __init__(self, registry: Pretended, clock: Clock) -> None:
        """Say nothing yet."""
        self.registry = registry
        self.clock = clock
        self.said: list[Update] = []
        self.listed: set[str] = set()

    @asynccontextmanager
    async def watching(
        self, namespaces: tuple[str, ...] = ("public",), groups: tuple[str, ...] = ("G",)
    ) -> AsyncGenerator[asyncio.Task[None]]:
        """Watch; the task is the watch itself."""

        def no_report(scope: str, subject: object, reason: str, remedy: str) -> None:
            raise AssertionError((scope, subject, reason, remedy))

        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(self.clock, self.clock.sleep, no_report, logger)
        around = Surroundings(
            self.registry.open_session, context, self.said.append, self.listed, EVERY, admin=True
        )
        task = asyncio.create_task(Discovery(groups, around).watch(namespaces))
        await asyncio.sleep(SOON / 2)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert self.registry.sessions == []

    def take(self) -> list[Update]:
        """Return what was said since the last time."""
        taken, self.said[:] = list(self.said), []
        return taken

    def brief(self) -> list[tuple[str, str]]:
        """Return the same as (kind of update, scope or service)."""
        return [_brief(update) for update in self.take()]


def _brief(update: Update) -> tuple[str, str]:
    match update:
        case Listing(scope, services, _, after_gap):
            kind = "listing after gap" if after_gap else "listing"
            return kind, f"{scope}: {' '.join(str(each.id) for each in services)}".strip()
        case Changed(_, service):
            return "changed", str(service.id)
        case Removed(_, service_id):
            return "removed", str(service_id)
        case Gone(scope):
            return "gone", scope
        case Stale(scope, reason):
            return "stale", f"{scope}: {reason}"


def play(*services: str, **fields: object) -> tuple[Watched, Clock]:
    clock = Clock()
    registry = Pretended(**fields)  # type: ignore[arg-type]  # handed through to the test's own
    for number, each in enumerate(services):
        registry.put(each, number + 1)
    return Watched(registry, clock), clock


def failure(task: asyncio.Task[None]) -> Exception:
    """Return the only failure of a watch that has ended."""
    error = task.exception()
    assert isinstance(error, ExceptionGroup)
    return foremost(cast("ExceptionGroup[Exception]", error))


def test_each_group_of_each_namespace_is_a_scope() -> None:
    watched, clock = play("public/G/a", "public/H/b", "prod/G/c")

    async def test() -> None:
        async with watched.watching(("public", "prod"), ("G", "H")):
            assert sorted(watched.brief()) == [
                ("listing", "prod/G: prod/G@@c"),
                ("listing", "prod/H:"),
                ("listing", "public/G: G@@a"),
                ("listing", "public/H: H@@b"),
            ]
            watched.registry.put("public/H/b", 7)
            watched.registry.put("prod/G/c", 8)
            await asyncio.sleep(0.1)
            assert sorted(watched.brief()) == [("changed", "H@@b"), ("changed", "prod/G@@c")]
        assert watched.registry.opened == ["public", "prod"], "one session each"

    clock.run(test())


@pytest.mark.parametrize("group", ["G", "*"])
def test_what_a_lost_session_held_is_freed_at_once(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector would come late, or never: it may be out of its sight."""
    watched, clock = play("public/G/a", "prod/G/b")
    scopes: list[weakref.ref[Scope]] = []

    def noted(*arguments: object) -> Scope:
        scope = Scope(*arguments)  # type: ignore[arg-type]  # handed through
        scopes.append(weakref.ref(scope))
        return scope

    monkeypatch.setattr(sitting, "Scope", noted)

    async def test() -> None:
        async with watched.watching(("public", "prod"), (group,)):
            gc.disable()
            watched.registry.end_sessions("public")
            await asyncio.sleep(2 * SOON)
            assert watched.registry.opened == ["public", "prod", "public"]
            assert sorted(each() is None for each in scopes) == [False, False, True]

    try:
        clock.run(test())
    finally:
        gc.enable()


def test_a_refused_group_is_stale_and_the_others_go_on() -> None:
    watched, clock = play("public/G/a", "public/H/b")
    watched.registry.refusals["public/H"] = RegistryRejected("no right")

    async def test() -> None:
        async with watched.watching(groups=("G", "H")):
            assert sorted(watched.brief()) == [
                ("listing", "public/G: G@@a"),
                ("stale", "public/H: no right"),
            ]
            watched.registry.put("public/G/a", 9)
            await asyncio.sleep(FORBIDDEN / 2 - 1)
            assert watched.brief() == [("changed", "G@@a")]
            del watched.registry.refusals["public/H"]
            await asyncio.sleep(RECOVERY)
            assert watched.brief() == [("listing", "public/H: H@@b")]

    clock.run(test())


def test_a_group_that_fails_for_a_while_is_listed_after_a_gap() -> None:
    watched, clock = play("public/G/a", "public/H/b")

    async def test() -> None:
        async with watched.watching(groups=("G", "H")):
            watched.take()
            watched.registry.refusals["public/H"] = RegistryUnavailable("too busy")
            await asyncio.sleep(EVERY + LATER)
            assert watched.brief()[0] == ("stale", "public/H: too busy")
            del watched.registry.refusals["public/H"]
            await asyncio.sleep(LATER)
            assert watched.brief() == [("listing after gap", "public/H: H@@b")]
        assert watched.registry.opened == ["public"], "the session goes on"

    clock.run(test())


def test_a_namespace_that_loses_its_session_harms_no_other() -> None:
    watched, clock = play("public/G/a", "prod/G/b")

    async def test() -> None:
        async with watched.watching(("public", "prod")):
            watched.take()
            watched.registry.end_sessions("prod")
            await asyncio.sleep(SOON / 2)
            assert watched.brief() == [("stale", "prod/G: connection lost")]
            await asyncio.sleep(SOON)
            assert watched.brief() == [("listing after gap", "prod/G: prod/G@@b")]
        assert watched.registry.opened == ["public", "prod", "prod"]

    clock.run(test())


@pytest.mark.parametrize("other", [RegistryRejected("no right"), RegistryUnavailable("elsewhere")])
def test_when_nothing_can_be_read_the_watch_fails_for_what_may_soon_be_there(
    other: RegistryRejected | RegistryUnavailable,
) -> None:
    watched, clock = play("public/G/a")
    watched.registry.refusals["prod"] = other

    async def test() -> None:
        async with watched.watching(("prod", "public")) as task:
            await asyncio.sleep(EVERY)
            assert not task.done()
            watched.registry.refusals["public"] = RegistryUnavailable("refused")
            watched.registry.end_sessions("public")
            await asyncio.sleep(SOON)
            assert isinstance(failure(task), RegistryUnavailable)

    clock.run(test())


def test_the_only_scope_that_is_refused_is_the_registrys_refusal() -> None:
    watched, clock = play("public/G/a")
    watched.registry.refusals["public/G"] = RegistryRejected("no right")

    async def test() -> None:
        async with watched.watching() as task:
            assert isinstance(failure(task), RegistryRejected)
        assert watched.said == [], "the supervisor says that it is stale"

    clock.run(test())


def test_a_bug_is_not_taken_for_an_outage() -> None:
    watched, clock = play("public/G/a")

    async def test() -> None:
        async with watched.watching(("public", "prod")) as task:
            watched.registry.info = None  # type: ignore[assignment, method-assign]
            await asyncio.sleep(EVERY * 2)
            assert isinstance(failure(task), TypeError)

    clock.run(test())


def test_all_groups_are_found_and_then_their_list_is_told() -> None:
    watched, clock = play("public/G/a", "public/H/b", "prod/I/c")

    async def test() -> None:
        async with watched.watching(groups=("*",)):
            said = watched.brief()
            assert sorted(said[:2]) == [
                ("listing", "public/G: G@@a"),
                ("listing", "public/H: H@@b"),
            ]
            assert said[2:] == [("listing", "public/*:")]
            watched.registry.put("public/I/c", 5)
            await asyncio.sleep(EVERY)
            assert watched.brief() == [("listing", "public/I: I@@c")]

    clock.run(test())


def test_a_group_without_services_stays_a_scope() -> None:
    """A restarted server knows none before its registrants are back."""
    watched, clock = play("public/G/a", "public/H/b")

    async def test() -> None:
        async with watched.watching(groups=("*",)):
            watched.take()
            watched.registry.drop("public/H/b")
            await asyncio.sleep(LONG)
            assert watched.brief() == [("removed", "H@@b")]
            watched.registry.put("public/H/b", 5)
            await asyncio.sleep(EVERY)
            assert watched.brief() == [("changed", "H@@b")]

    clock.run(test())


@pytest.mark.parametrize("refusal", [RegistryRejected("no right"), BadData("404")])
def test_where_groups_may_not_be_listed_the_reason_names_the_way_out(
    refusal: RegistryRejected | BadData,
) -> None:
    watched, clock = play("public/G/a")
    watched.registry.refusals["groups"] = refusal

    async def test() -> None:
        async with watched.watching(groups=("*",)) as task:
            assert "name the groups in place of *" in str(failure(task))

    clock.run(test())


def test_groups_are_followed_while_their_list_cannot_be_read() -> None:
    watched, clock = play("public/G/a")

    async def test() -> None:
        async with watched.watching(groups=("*",)):
            watched.take()
            watched.registry.refusals["groups"] = RegistryUnavailable("too busy")
            await asyncio.sleep(EVERY)
            assert watched.brief()[0] == ("stale", "public/*: too busy")
            watched.registry.put("public/G/a", 7)
            del watched.registry.refusals["groups"]
            await asyncio.sleep(2 * EVERY)
            said = [each for each in watched.brief() if each[0] != "stale"]
            assert said == [("changed", "G@@a"), ("listing after gap", "public/*:")]

    clock.run(test())


def test_all_namespaces_are_found_and_then_their_list_is_told() -> None:
    watched, clock = play("public/G/a", "prod/G/b", "test/G/c", namespaces={"public", "prod"})

    async def test() -> None:
        async with watched.watching(("*",)):
            said = watched.brief()
            assert sorted(said[:2]) == [
                ("listing", "prod/G: prod/G@@b"),
                ("listing", "public/G: G@@a"),
            ]
            assert said[2:] == [("listing", "*:")]
            watched.registry.namespaces.add("test")
            await asyncio.sleep(EVERY)
            assert watched.brief() == [("listing", "test/G: test/G@@c")]

    clock.run(test())


def test_a_namespace_is_gone_when_two_lists_in_a_row_lack_it() -> None:
    watched, clock = play("public/G/a", "prod/G/b", namespaces={"public", "prod"})

    async def test() -> None:
        async with watched.watching(("*",), ("*",)):
            watched.take()
            watched.registry.namespaces.discard("prod")
            await asyncio.sleep(EVERY)
            assert watched.take() == []
            await asyncio.sleep(EVERY)
            assert watched.brief() == [("gone", "prod/G"), ("gone", "prod/*")]
            watched.registry.namespaces.add("prod")
            await asyncio.sleep(EVERY)
            assert watched.brief() == [("listing", "prod/G: prod/G@@b"), ("listing", "prod/*:")]

    clock.run(test())


def test_a_namespace_that_cannot_be_read_does_not_hold_up_the_list_of_them() -> None:
    watched, clock = play("public/G/a", namespaces={"public", "prod"})
    watched.registry.refusals["prod"] = RegistryRejected("no right")

    async def test() -> None:
        async with watched.watching(("*",)):
            assert sorted(watched.brief()) == [
                ("listing", "*:"),
                ("listing", "public/G: G@@a"),
                ("stale", "prod/G: no right"),
            ]
            watched.registry.namespaces.discard("prod")
            await asyncio.sleep(2 * EVERY)
            assert watched.take() == [], "what was never listed is not gone"

    clock.run(test())


def test_namespaces_are_followed_while_their_list_cannot_be_read() -> None:
    watched, clock = play("public/G/a")

    async def test() -> None:
        async with watched.watching(("*",)):
            watched.take()
            watched.registry.refusals["namespaces"] = RegistryRejected("no right")
            await asyncio.sleep(EVERY)
            (said,) = watched.brief()
            assert said[0] == "stale"
            assert said[1].startswith("*: no right; name the namespaces in place of *")
            watched.registry.put("public/G/a", 7)
            del watched.registry.refusals["namespaces"]
            await asyncio.sleep(REFUSED)
            assert watched.brief() == [("changed", "G@@a"), ("listing after gap", "*:")]

    clock.run(test())


def test_fuzzy_watch_tells_at_once_of_what_is_new_or_gone() -> None:
    watched, clock = play("public/G/a", abilities=frozenset({"fuzzyWatch"}))

    async def test() -> None:
        async with watched.watching():
            watched.take()
            (session,) = watched.registry.sessions
            assert session.asked == [
                {
                    "namespace": "public",
                    "groupKeyPattern": "public>>G>>*",
                    "receivedGroupKeys": ["public@@G@@a"],
                    "watchType": "WATCH",
                    "initializing": True,
                }
            ]
            watched.registry.put("public/G/b", 5)
            watched.registry.notify("public", "public@@G@@b", "ADD_SERVICE")
            watched.registry.notify("public", "public@@H@@b", "ADD_SERVICE")
            await asyncio.sleep(0.1)
            assert watched.brief() == [("changed", "G@@b")]
            watched.registry.drop("public/G/b")
            watched.registry.notify("public", "public@@G@@b", "DELETE_SERVICE")
            await asyncio.sleep(0.1)
            assert watched.brief() == [("removed", "G@@b")]

    clock.run(test())


@pytest.mark.parametrize("groups", [("G", "H"), ("*",)])
def test_a_watch_that_is_cancelled_as_a_connection_is_lost_ends(groups: tuple[str, ...]) -> None:
    """Before Python 3.13 a TaskGroup then raises the loss: who goes on after one must not go on."""
    watched, clock = play("public/G/a", "prod/G/b")

    async def test() -> None:
        async with watched.watching(("public", "prod"), groups) as task:
            watched.registry.end_sessions("public")
            task.cancel()
            _, still = await asyncio.wait([task], timeout=LONG)
            assert not still
            assert task.cancelled()

    clock.run(test())


def test_a_namespace_that_is_found_as_the_watch_is_cancelled_is_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list may arrive in the turn after, when nothing can be begun any more."""
    watched, clock = play("public/G/a", "prod/G/b")
    fetch = Session.fetch

    async def test() -> None:
        async with watched.watching(("*",)) as task:

            async def late(session: Session, path: str, query: Mapping[str, str]) -> Record:
                task.cancel()
                return await fetch(session, path, query)

            monkeypatch.setattr(Session, "fetch", late)
            watched.registry.namespaces.add("prod")
            _, still = await asyncio.wait([task], timeout=LONG)
            assert not still
            assert task.cancelled()
            assert "prod" not in watched.registry.opened

    clock.run(test())


def test_fuzzy_watch_tells_at_once_of_new_groups_where_all_are_read() -> None:
    watched, clock = play("public/G/a", abilities=frozenset({"fuzzyWatch"}))

    async def test() -> None:
        async with watched.watching(groups=("*",)):
            watched.take()
            (session,) = watched.registry.sessions
            assert [each["groupKeyPattern"] for each in session.asked] == ["public>>*>>*"]
            watched.registry.put("public/H/b", 5)
            watched.registry.notify("public", "public@@I@@c", "DELETE_SERVICE")
            watched.registry.notify("public", "public@@H@@b", "ADD_SERVICE")
            await asyncio.sleep(0.1)
            assert watched.brief() == [("listing", "public/H: H@@b")]

    clock.run(test())


def test_a_group_that_fails_is_no_new_group_when_fuzzy_watch_tells_of_it() -> None:
    watched, clock = play("public/G/a", "public/H/b", abilities=frozenset({"fuzzyWatch"}))
    watched.registry.refusals["public/H"] = RegistryRejected("no right")

    async def test() -> None:
        async with watched.watching(groups=("*",)):
            watched.take()
            for name in ("c", "d"):
                watched.registry.put(f"public/H/{name}", 5)
                watched.registry.notify("public", f"public@@H@@{name}", "ADD_SERVICE")
            await asyncio.sleep(1)
            assert watched.take() == [], "it is tried again when its time has come"

    clock.run(test())


@pytest.mark.parametrize(
    "refusal", [BadData("over limit"), RegistryUnavailable("slow"), RegistryRejected("no")]
)
def test_without_fuzzy_watch_the_list_has_to_do(
    refusal: BadData | RegistryUnavailable | RegistryRejected,
) -> None:
    watched, clock = play("public/G/a", abilities=frozenset({"fuzzyWatch"}))
    watched.registry.refusals["fuzzy"] = refusal

    async def test() -> None:
        async with watched.watching():
            watched.take()
            watched.registry.put("public/G/b", 5)
            await asyncio.sleep(EVERY)
            assert watched.brief() == [("changed", "G@@b")]

    clock.run(test())
