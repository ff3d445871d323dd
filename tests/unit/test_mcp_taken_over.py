"""What istiod did not take over is found by name and version, and told when it is late."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.problems import ProblemKind
from meshbridge_mcp.configz import Config, Metadata, one_by_one
from meshbridge_mcp.taken_over import MOST, Lack, Look, NotTaken, compare
from meshbridge_xds.resources import Resource

ENTRIES = "networking.istio.io/ServiceEntry"
WORKLOADS = "networking.istio.io/WorkloadEntry"
RULES = "networking.istio.io/VirtualService"
OURS = {"meshbridge.io/registry": "shop"}


def offered(**versions: str) -> dict[str, dict[str, Resource]]:
    """Return ServiceEntries of the namespace ``shop`` by name."""
    return {ENTRIES: {f"shop/{n}": Resource(f"shop/{n}", v) for n, v in versions.items()}}


def stored(name: str, version: str, *, kind: str = "ServiceEntry", ours: bool = True) -> Config:
    """Return what istiod holds of the namespace ``shop``."""
    metadata = Metadata(name, "shop", version, OURS if ours else {"app": "a"})
    return Config(kind, "networking.istio.io/v1", metadata)


def lacking(offer: dict[str, dict[str, Resource]], *found: Config | None) -> list[NotTaken]:
    return [each for each in compare(offer, found) if each]


def test_what_is_held_in_the_version_offered_is_taken_over() -> None:
    """Whatever else istiod holds, of this kind or of another one."""
    found = stored("a", "1"), None, stored("b", "9"), stored("a", "2", kind="VirtualService")
    assert lacking(offered(a="1"), *found) == []


def test_each_way_not_to_be_taken_over_is_told_apart() -> None:
    offer = offered(missing="1", older="1", foreign="1")
    found = stored("older", "0"), stored("foreign", "0", ours=False)
    assert lacking(offer, *found) == [
        NotTaken(ENTRIES, "shop/older", Lack.OTHER, "1", "0"),
        NotTaken(ENTRIES, "shop/foreign", Lack.FOREIGN, "1", "0"),
        NotTaken(ENTRIES, "shop/missing", Lack.MISSING, "1"),
    ]


def test_an_annotation_shows_whose_it_is_as_well_as_a_label() -> None:
    """A host without a registry's name that can be a label has only this."""
    metadata = Metadata("a", "shop", "0", None, {"meshbridge.io/sources": "[]"})
    (found,) = lacking(offered(a="1"), Config("ServiceEntry", "networking.istio.io/v1", metadata))
    assert found.lack is Lack.OTHER


def test_a_workload_entry_is_known_by_the_label_that_selects_it() -> None:
    """It has no other: istiod would take labels of its metadata for the endpoint's."""
    metadata = Metadata("a", "shop", "0")
    spec = msgspec.Raw(b'{"address":"10.0.0.1","labels":{"meshbridge.io/host":"orders.file"}}')
    offer = {WORKLOADS: {"shop/a": Resource("shop/a", "1")}}
    (found,) = lacking(offer, Config("WorkloadEntry", "networking.istio.io/v1", metadata, spec))
    assert found.lack is Lack.OTHER


def test_a_kind_is_compared_whatever_version_of_it_istiod_speaks() -> None:
    metadata = Metadata("a", "shop", "1")
    for version in ("v1", "v1alpha3", "v1beta1"):
        config = Config("ServiceEntry", f"networking.istio.io/{version}", metadata)
        assert lacking(offered(a="1"), config) == []


def test_another_kind_of_the_same_name_counts_for_itself() -> None:
    offer = {**offered(a="1"), RULES: {"shop/a": Resource("shop/a", "2")}}
    (found,) = lacking(offer, stored("a", "1"))
    assert (found.kind, found.lack) == (RULES, Lack.MISSING)


_VERSIONS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"))


@given(_VERSIONS, _VERSIONS)
def test_exactly_what_differs_is_found(offer: dict[str, str], held: dict[str, str]) -> None:
    """By way of the answer as istiod writes it."""
    answer = [
        {
            "kind": "ServiceEntry",
            "apiVersion": "networking.istio.io/v1",
            "metadata": {"name": name, "namespace": "shop", "resourceVersion": version},
        }
        for name, version in held.items()
    ]
    steps = compare(offered(**offer), one_by_one(json.dumps(answer).encode()))
    found = {each.name.removeprefix("shop/"): each.held for each in steps if each}
    expected = {name: held.get(name, "") for name, v in offer.items() if held.get(name) != v}
    assert found == expected


GONE = NotTaken(ENTRIES, "shop/a", Lack.MISSING, "1")


def seen(at: float, before: Look | None, *found: NotTaken) -> Look:
    """Look with a grace of 30 s."""
    look = Look(at, before, grace=30.0)
    for each in found:
        look.take(each)
    return look


def test_what_is_lacking_is_late_when_the_grace_is_over() -> None:
    first = seen(100.0, None, GONE)
    assert first.late == []
    second = seen(129.9, first, GONE)
    assert second.late == []
    third = seen(130.0, second, GONE)
    assert (third.late, third.counts) == ([GONE], {Lack.MISSING: 1})
    assert seen(131.0, third).late == []


def test_what_was_taken_over_in_between_begins_anew() -> None:
    first = seen(100.0, None, GONE)
    between = seen(120.0, first)
    assert seen(140.0, between, GONE).late == []


def test_what_follows_late_is_not_late_for_ever() -> None:
    """Istiod held something else at the last look: it is on its way."""
    older = NotTaken(ENTRIES, "shop/a", Lack.OTHER, "3", "1")
    newer = NotTaken(ENTRIES, "shop/a", Lack.OTHER, "4", "2")
    assert seen(140.0, seen(100.0, None, older), newer).late == []


def test_what_changes_all_the_time_and_is_never_taken_over_is_late() -> None:
    """The newest version is a moment old; what istiod holds is not."""
    before = NotTaken(ENTRIES, "shop/a", Lack.OTHER, "3", "1")
    now = NotTaken(ENTRIES, "shop/a", Lack.OTHER, "4", "1")
    assert seen(130.0, seen(100.0, None, before), now).late == [now]


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        (Lack.MISSING, "istiod http://x has not taken it over: it holds none; see in its log"),
        (Lack.OTHER, "istiod http://x has not taken over version 2: it holds 1; see in its log"),
        (Lack.FOREIGN, "istiod http://x holds another one of this name, which no bridge has sent"),
    ],
)
def test_what_is_late_is_a_problem_by_its_name(lack: Lack, words: str) -> None:
    held = "" if lack is Lack.MISSING else "1"
    late = NotTaken(ENTRIES, "shop/a", lack, "2", held)
    (problem,) = seen(130.0, seen(100.0, None, late), late).problems("mcp", "istiod http://x")
    assert problem.kind is ProblemKind.NOT_TAKEN_OVER
    assert str(problem).startswith(f"mcp: ServiceEntry shop/a: {words}")
    assert problem.remedy


def test_of_very_many_that_are_late_the_number_is_told() -> None:
    """An istiod that holds nothing lacks everything."""
    all_of_them = [NotTaken(ENTRIES, f"shop/{n}", Lack.MISSING, "1") for n in range(MOST + 7)]
    look = seen(130.0, seen(100.0, None, *all_of_them), *all_of_them)
    problems = look.problems("mcp", "istiod http://x")
    assert look.counts.total() == MOST + 7
    assert len(problems) == MOST + 1
    assert problems[-1].reason == "it has not taken over 7 more resources"
    assert problems[-1].subject == "istiod http://x"
