"""The problems that hold are counted as they come and go, and told in order."""

import heapq
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from meshbridge.problems import IN_ORDER, RUN, Problem, ProblemKind, Problems, Said


def problem(number: int, kind: ProblemKind = ProblemKind.OTHER) -> Problem:
    """Return one of the registry that the number's last bit names."""
    return Problem(f"r{number % 2}", f"thing {number}", kind, "it is wrong", "mend it")


KINDS = (ProblemKind.OTHER, ProblemKind.CONFLICT)
SAID = st.lists(st.builds(problem, st.integers(0, 5), st.sampled_from(KINDS)), max_size=6)


@given(st.lists(st.tuples(st.integers(0, 3), SAID)))
def test_counts_are_those_of_all_that_hold(puts: list[tuple[int, list[Problem]]]) -> None:
    """However often owners replace theirs, and also when two say the same, which counts once."""
    problems, model = Problems(), dict[int, list[Problem]]()
    for owner, said in puts:
        problems.put(owner, said)
        model[owner] = said
        hold = sorted({each for held in model.values() for each in held})
        assert list(problems) == hold
        assert len(problems) == len(hold)
        assert problems.counts() == Counter((each.registry, each.kind) for each in hold)


def test_many_problems_come_in_short_sorted_runs_that_merge() -> None:
    """A person reads them in order, and no step sorts more than a run."""
    problems = Problems()
    for number in range(3 * RUN + 1):
        problems.put(number, [problem(number * 7919 % 10_007)])
    runs = list(problems.runs())
    assert [len(run) for run in runs] == [RUN, RUN, RUN, 1]
    assert list(heapq.merge(*runs, key=IN_ORDER)) == list(problems)


def test_what_one_speaker_said_is_taken_back_but_for_what_another_says_by_now() -> None:
    problems = Problems()
    old, new = Said(problems), Said(problems)
    old.put("port", [problem(1)])
    old.put("host", [problem(2)])
    new.put("port", [problem(1)])
    old.take_back(but=new)
    assert list(problems) == [problem(1)]
    new.take_back()
    assert not list(problems)


def test_an_owner_that_has_no_problem_is_not_remembered() -> None:
    """A server has had one for each stream that ever was."""
    said = Said(Problems())
    for stream in range(100):
        said.put(stream, [problem(stream)] if stream % 10 == 0 else [])
    assert len(said) == 10
    for stream in range(100):
        said.put(stream, [])
    assert len(said) == 0
