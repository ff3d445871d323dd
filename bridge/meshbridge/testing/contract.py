"""The contract every adapter keeps, as tests: one for each promise of :mod:`meshbridge.adapter`.

An adapter's author writes::

    class TestMine(AdapterContract):
        def registry(self) -> RegistryUnderTest:
            return MyRegistry()

and runs pytest. The built-in adapters are held to the same.
"""

import asyncio

import pytest

from meshbridge.adapter import Changed, Listing, Stale
from meshbridge.errors import RegistryRejected
from meshbridge.testing.checks import HERE, check_spoilt, ports, trap, unreadable
from meshbridge.testing.leaks import Leaks, find_leaks
from meshbridge.testing.play import Played
from meshbridge.testing.registry import Ability, RegistryUnderTest
from meshbridge.testing.stage import Stage

MOMENT = 0.3
"""Seconds in which something that must not happen would have happened."""


class AdapterContract(Played):
    """Subclass it with a name that begins with ``Test`` and provide :meth:`registry`."""

    # Law 1: the first update of each scope is a Listing, and is whole.

    def test_the_first_update_of_each_scope_is_a_whole_listing(self) -> None:
        """Nothing comes before it, and nothing that the registry held is missing in it."""

        async def scenario(registry: RegistryUnderTest) -> None:
            for port in (8081, 8082):
                await registry.add("orders", HERE, port)
            await registry.add("carts", HERE, 8091)
            async with Stage(registry) as stage:
                await stage.listed()
            assert stage.recorder.faults == []
            first = {service.id.name: service for service in stage.listings()[0].services}
            assert ports(first, "orders") == {8081, 8082}
            assert ports(first, "carts") == {8091}

        self.play(scenario)

    # Law 2: an error is not emptiness.

    def test_a_registry_that_cannot_be_read_is_not_an_empty_one(self) -> None:
        """An outage says RegistryUnavailable or Stale, and takes nothing away."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with Stage(registry) as stage:
                await stage.listed()
                before = stage.services()
                await registry.fail()
                await stage.until(
                    lambda: stage.failures > 0 or stage.services() != before,
                    "RegistryUnavailable or Stale, since the registry failed",
                )
                await asyncio.sleep(MOMENT)
                assert stage.broken is None, stage.broken
                assert stage.services() == before
                assert not any(isinstance(each, RegistryRejected) for each in stage.raised)

        self.play(scenario, Ability.FAIL)

    def test_a_start_without_the_registry_lists_nothing(self) -> None:
        """What cannot be read is not listed, not even as empty."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            await registry.fail()
            async with Stage(registry) as stage:
                await stage.until(
                    lambda: stage.failures > 0 or bool(stage.recorder.listings()),
                    "RegistryUnavailable or Stale, since there is no registry",
                )
                assert stage.listings() == []

        self.play(scenario, Ability.FAIL)

    def test_refused_credentials_are_told_from_an_outage(self) -> None:
        """A refusal raises RegistryRejected, because only a person can help."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.reject()
            async with Stage(registry) as stage:
                await stage.until(
                    lambda: bool(stage.raised) or bool(stage.listings()), "RegistryRejected"
                )
                assert [type(each) for each in stage.raised[:1]] == [RegistryRejected]

        self.play(scenario, Ability.REJECT)

    def test_only_the_sdks_errors_leave_the_watch(self) -> None:
        """An outage and its end raise nothing else, nor end the watch."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with Stage(registry) as stage:
                await stage.listed()
                await registry.fail()
                await stage.until(lambda: stage.failures > 0, "the outage to be noticed")
                await registry.recover()
                await asyncio.sleep(MOMENT)
                assert stage.broken is None, stage.broken

        self.play(scenario, Ability.FAIL)

    # Law 3: after a gap it lists again.

    def test_after_a_gap_it_lists_again_and_says_so(self) -> None:
        """What follows an outage is a Listing; after a Stale it says ``after_gap``."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with Stage(registry) as stage:
                await stage.listed()
                await registry.fail()
                await stage.until(lambda: stage.failures > 0, "the outage to be noticed")
                heard = len(stage.recorder.updates)
                await registry.recover()
                await stage.until(
                    lambda: any(
                        isinstance(each, (Listing, Changed))
                        for each in stage.recorder.updates[heard:]
                    ),
                    "a Listing after the outage",
                )
                assert stage.recorder.faults == []
                assert stage.addresses("orders") == {(HERE, 8081)}
                # When watch raised, the supervisor says Stale and marks the Listing itself.
                own = any(isinstance(each, Stale) for each in stage.recorder.updates)
                assert stage.raised or not own or stage.listings()[-1].after_gap

        self.play(scenario, Ability.FAIL)

    # Law 4: one unreadable record spoils itself only.

    def test_an_unreadable_record_spoils_only_itself(self) -> None:
        """It is named and reported with a reason and a remedy; all others stay."""

        async def scenario(registry: RegistryUnderTest) -> None:
            for port in (8081, 8082):
                await registry.add("orders", HERE, port)
            await registry.add("carts", HERE, 8091)
            async with Stage(registry) as stage:
                await stage.listed()
                await registry.spoil("orders", HERE, 8081)
                await stage.until(lambda: bool(unreadable(stage)), "the record to be named")
                check_spoilt(stage)
            async with Stage(registry) as stage:
                await stage.listed()
                check_spoilt(stage)

        self.play(scenario, Ability.SPOIL)

    # Law 5: it says what the registry says.

    def test_an_added_instance_is_said(self) -> None:
        """An instance that joins a service, and one of a new service."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with Stage(registry) as stage:
                await stage.listed()
                await registry.add("orders", HERE, 8082)
                await stage.until(
                    lambda: stage.addresses("orders") == {(HERE, 8081), (HERE, 8082)},
                    "the second instance of orders",
                )
                await registry.add("carts", HERE, 8091)
                await stage.until(
                    lambda: stage.addresses("carts") == {(HERE, 8091)}, "the new service carts"
                )
            assert stage.recorder.faults == []

        self.play(scenario)

    def test_a_changed_instance_is_said(self) -> None:
        """A change that does not move the instance."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with Stage(registry) as stage:
                await stage.listed()
                before = stage.services()["orders"].instances
                await registry.change("orders", HERE, 8081)
                await stage.until(
                    lambda: stage.services()["orders"].instances != before, "the changed instance"
                )
                assert stage.addresses("orders") == {(HERE, 8081)}

        self.play(scenario)

    def test_a_removed_instance_is_said(self) -> None:
        """Of two instances one goes; then the last one, at once, without any grace."""

        async def scenario(registry: RegistryUnderTest) -> None:
            for port in (8081, 8082):
                await registry.add("orders", HERE, port)
            async with Stage(registry) as stage:
                await stage.listed()
                await registry.remove("orders", HERE, 8081)
                await stage.until(
                    lambda: stage.addresses("orders") == {(HERE, 8082)}, "the instance to go"
                )
                await registry.remove("orders", HERE, 8082)
                await stage.until(
                    lambda: stage.addresses("orders") == set(), "the last instance to go"
                )

        self.play(scenario)

    # Law 6: cancelling leaves nothing behind, at every await.

    @pytest.fixture(scope="class")
    @classmethod
    def leaks(cls) -> Leaks:
        """Cancel the watch at many moments, once for all three tests."""
        return find_leaks(cls().registry)

    def test_cancelling_leaves_no_task_behind(self, leaks: Leaks) -> None:
        """When the watch has ended, so has every task it started."""
        assert leaks.tasks == ()

    def test_cancelling_leaves_no_thread_behind(self, leaks: Leaks) -> None:
        """Threads end with the event loop at the latest."""
        assert leaks.threads == ()

    def test_cancelling_leaves_no_socket_or_file_behind(self, leaks: Leaks) -> None:
        """Every descriptor that was opened is closed."""
        assert leaks.files == ()

    # Law 7: registry data is not trusted.

    def test_it_never_dials_an_address_found_in_the_data(self) -> None:
        """An instance that listens is registered, changed, and hears from nobody."""

        async def scenario(registry: RegistryUnderTest) -> None:
            async with trap() as instance:
                await registry.add("orders", HERE, instance.port)
                async with Stage(registry) as stage:
                    await stage.listed()
                    await registry.change("orders", HERE, instance.port)
                    await asyncio.sleep(MOMENT)
            assert instance.calls == 0

        self.play(scenario)

    def test_it_follows_no_redirect_to_another_origin(self) -> None:
        """It is an outage: credentials would go there, and what comes back is not the registry."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with trap() as elsewhere, Stage(registry) as stage:
                await stage.listed()
                before = stage.services()
                await registry.redirect(f"http://{HERE}:{elsewhere.port}/")
                await stage.until(lambda: stage.failures > 0, "Stale or an error")
                await asyncio.sleep(MOMENT)
                assert stage.services() == before
                assert elsewhere.calls == 0

        self.play(scenario, Ability.REDIRECT)

    def test_what_is_beyond_its_bound_is_not_read(self) -> None:
        """An answer too large to be read is an outage, not a part of a listing."""

        async def scenario(registry: RegistryUnderTest) -> None:
            await registry.add("orders", HERE, 8081)
            async with Stage(registry) as stage:
                await stage.listed()
                before = stage.services()
                await registry.overflow()
                await stage.until(
                    lambda: stage.failures > 0 or stage.services() != before, "Stale or an error"
                )
                assert stage.services() == before

        self.play(scenario, Ability.OVERFLOW)
