"""The contract is worth something: each adapter that breaks a law fails the test of that law."""

import gc
import inspect

import pytest
from contract import memory_registry as broken
from contract.memory_registry import MemoryRegistry, Sound

from meshbridge.testing import AdapterContract, RegistryUnderTest
from meshbridge.testing.leaks import find_leaks


class TestSound(AdapterContract):
    """An adapter that keeps every law passes every test, and none is skipped."""

    def registry(self) -> RegistryUnderTest:
        """Return a registry that can do everything."""
        return MemoryRegistry()


CASES: list[tuple[type[Sound], str]] = [
    (broken.ChangesFirst, "test_the_first_update_of_each_scope_is_a_whole_listing"),
    (broken.ListsAPart, "test_the_first_update_of_each_scope_is_a_whole_listing"),
    (broken.SaysEmptyOnError, "test_a_registry_that_cannot_be_read_is_not_an_empty_one"),
    (broken.SaysEmptyOnError, "test_a_start_without_the_registry_lists_nothing"),
    (broken.TakesRefusalForOutage, "test_refused_credentials_are_told_from_an_outage"),
    (broken.RaisesAForeignException, "test_only_the_sdks_errors_leave_the_watch"),
    (broken.HidesTheGap, "test_after_a_gap_it_lists_again_and_says_so"),
    (broken.DropsTheSpoilt, "test_an_unreadable_record_spoils_only_itself"),
    (broken.FailsOnTheSpoilt, "test_an_unreadable_record_spoils_only_itself"),
    (broken.SaysNothingMore, "test_an_added_instance_is_said"),
    (broken.SaysNothingMore, "test_a_changed_instance_is_said"),
    (broken.HoldsRemovalsBack, "test_a_removed_instance_is_said"),
    (broken.DialsInstances, "test_it_never_dials_an_address_found_in_the_data"),
    (broken.FollowsRedirects, "test_it_follows_no_redirect_to_another_origin"),
    (broken.ReadsTheFirstThousand, "test_what_is_beyond_its_bound_is_not_read"),
    (broken.LeaksATask, "test_cancelling_leaves_no_task_behind"),
    (broken.LeaksAThread, "test_cancelling_leaves_no_thread_behind"),
    (broken.LeaksAFile, "test_cancelling_leaves_no_socket_or_file_behind"),
]


@pytest.mark.parametrize(("kind", "test"), CASES, ids=[f"{k.__name__}-{t}" for k, t in CASES])
def test_a_broken_adapter_fails_the_test_of_its_law(
    kind: type[Sound], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not just any test: the one whose name says what is wrong."""
    monkeypatch.setattr(MemoryRegistry, "within", 0.3)
    monkeypatch.setattr("meshbridge.testing.leaks.GRACE", 0.1)
    monkeypatch.setattr("meshbridge.testing.leaks.TASK_GRACE", 0.02)
    monkeypatch.setattr("meshbridge.testing.leaks.LATER_GRACE", 0.02)
    made: list[MemoryRegistry] = []

    class Contract(AdapterContract):
        def registry(self) -> RegistryUnderTest:
            made.append(MemoryRegistry(kind))
            return made[-1]

    contract = Contract()
    method = getattr(contract, test)
    try:
        given = (
            [find_leaks(contract.registry)]
            if "leaks" in inspect.signature(method).parameters
            else []
        )
        with pytest.raises(AssertionError):
            method(*given)
    finally:
        for registry in made:
            for adapter in registry.made:
                clean(adapter)
        gc.collect()


def test_a_missing_ability_is_an_error_and_not_a_pass() -> None:
    """A registry that neither implements an ability nor says that it lacks it, fails the test."""

    class Silent(MemoryRegistry):
        spoil = RegistryUnderTest.spoil

    class Contract(AdapterContract):
        def registry(self) -> RegistryUnderTest:
            return Silent()

    with pytest.raises(NotImplementedError, match=r"Ability\.SPOIL"):
        Contract().test_an_unreadable_record_spoils_only_itself()


def clean(adapter: Sound) -> None:
    """End what the adapter leaked."""
    if isinstance(adapter, broken.LeaksAThread):
        adapter.end.set()
    if isinstance(adapter, broken.LeaksAFile):
        adapter.file.close()
        adapter.path.unlink()
