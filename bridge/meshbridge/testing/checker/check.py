"""Judges a history: what was lost, how long the truth took, and whether the run counts at all."""

from collections.abc import Iterator
from math import inf

from meshbridge.testing.checker.picture import picture
from meshbridge.testing.checker.run import Run, changes, first_at, hosts_of, in_order, words
from meshbridge.testing.checker.truth import Truth
from meshbridge.testing.checker.verdict import (
    Convergence,
    Difference,
    Loss,
    Verdict,
)
from meshbridge.testing.checker.versions import disagreements, restless, version_convergences
from meshbridge.testing.checker.void import loads, void_reasons
from meshbridge.testing.history import Endpoint, History, Rules


def check(history: History) -> Verdict:
    """Return what is to be said of a history, by its own rules.

    Raises ValueError if it contradicts itself.
    """
    run, rules = in_order(history), history.rules
    truth = Truth(run.writes)
    convergences = (*_convergences(run, truth), *version_convergences(run, rules))
    late = [each for each in convergences if each.seconds is None or each.seconds > rules.converge]
    cut_off = [each for each in late if each.seconds is None and each.waited <= rules.converge]
    return Verdict(
        zero=run.zero,
        voids=(*void_reasons(run, rules), *_too_short(cut_off, rules)),
        requests=len(run.requests),
        loads=tuple(loads(run)),
        failed=tuple(each for each in run.requests if each.failure),
        strangers=tuple(
            each
            for each in run.requests
            if each.by and not truth.ever(Endpoint(each.host, each.by), each.done)
        ),
        lost=tuple(_losses(run, truth, rules)),
        convergences=convergences,
        late=tuple(each for each in late if each not in cut_off),
        differences=tuple(_differences(run, truth)),
        disagreements=tuple(disagreements(run, rules)),
        restless=tuple(restless(run, rules)),
    )


def assert_holds(history: History) -> Verdict:
    """Return the verdict; AssertionError with it and the picture if it is void or broken."""
    verdict = check(history)
    if verdict.outcome != "held":
        raise AssertionError(f"{verdict}\n{picture(history)}")
    return verdict


def _too_short(cut_off: list[Convergence], rules: Rules) -> Iterator[str]:
    if cut_off:
        last = max(cut_off, key=lambda each: each.since)
        yield (
            f"the run ended {last.waited:.2f} s (without a fault) after {last.after}, and"
            f" {last.observer} did not show it yet: {rules.converge:g} s must pass to tell"
        )


def _losses(run: Run, truth: Truth, rules: Rules) -> Iterator[Loss]:
    for observer, before, look in changes(run):
        for endpoint in sorted(before.shown - look.shown):
            if truth.surely(endpoint, look.asked - rules.grace, look.at):
                resting = endpoint in look.resting
                yield Loss(observer, endpoint, before.at, look.at, resting)


def _convergences(run: Run, truth: Truth) -> Iterator[Convergence]:
    for observer, looks in sorted(run.looks.items()):
        seeing = [each for each in looks if each.view is not None]
        for after, since, hosts in _checkpoints(run):
            start = max(since, seeing[0].asked) if seeing else since
            later = seeing[first_at(seeing, start) :]
            agreed = next((each for each in later if truth.agrees(each, since, hosts)), None)
            waited = run.calm(start, agreed.at if agreed else max(start, run.end))
            yield Convergence(after, since, observer, waited if agreed else None, waited)


def _checkpoints(run: Run) -> Iterator[tuple[str, float, frozenset[str] | None]]:
    """Yield after what, and since when, the truth of which hosts must be shown; None is all."""
    for write in run.writes:
        if write.done is not None and (write.added or write.removed):
            yield words(write), write.done, hosts_of(write)
    for fault in run.faults:
        if fault.ended < inf:
            yield f"the end of {fault.name!r}", fault.ended, None


def _differences(run: Run, truth: Truth) -> Iterator[Difference]:
    last = {observer: looks[-1] for observer, looks in sorted(run.looks.items())}
    somewhere = frozenset[Endpoint]().union(*(each.shown for each in last.values()))
    for observer, look in last.items():
        if look.view is None:
            yield Difference(observer, unreachable=look.why)
            continue
        had = truth.possibly_all(look.asked, look.at)
        # What a write of unknown outcome left open must at least be the same everywhere.
        due = truth.surely_all(look.asked, look.at) | (had & somewhere)
        missing, surplus = due - look.shown, look.shown - had
        if missing or surplus:
            yield Difference(observer, tuple(sorted(missing)), tuple(sorted(surplus)))
