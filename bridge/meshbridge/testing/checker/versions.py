"""Whether the versions of hosts change with what is written, only then, and everywhere alike.

What changed besides endpoints, a weight or metadata, an observer shows as another version only.
"""

from collections.abc import Iterator, Sequence
from math import inf

from meshbridge.testing.checker.run import Look, Run, changes, first_at, hosts_of, words
from meshbridge.testing.checker.verdict import Convergence, Disagreement, Restless
from meshbridge.testing.history import Endpoint, Rules, Write


def restless(run: Run, rules: Rules) -> Iterator[Restless]:
    """Yield each change of a version that no write explains."""
    for observer, before, look in changes(run):
        for host, version in sorted(look.versions.items()):
            old = before.versions.get(host, version)
            if old != version and not _was_written(run, rules, host, look):
                yield Restless(observer, host, look.at, old, version)


def _was_written(run: Run, rules: Rules, host: str, look: Look) -> bool:
    """Whether a write explains that a host is new: one that may still be on its way."""
    return any(
        host in hosts_of(each)
        and each.begun <= look.at
        and run.calm(_known(run, each, host), look.asked) <= rules.converge
        for each in run.writes
    )


def _known(run: Run, write: Write, host: str) -> float:
    """Return when it was known what a write had made of a host: when all of it succeeded."""
    if write.done is not None:
        return write.done
    parts: set[Endpoint | str] = {each for each in write.added | write.removed if each.host == host}
    parts |= {host} & write.changed
    later = [each for each in run.writes if each.begun >= write.begun]
    return max(
        min((_done(each) for each in later if part in _parts(each)), default=inf) for part in parts
    )


def _parts(write: Write) -> frozenset[Endpoint | str]:
    return write.added | write.removed | write.changed


def _done(write: Write) -> float:
    return inf if write.done is None else write.done


def version_convergences(run: Run, rules: Rules) -> Iterator[Convergence]:
    """Yield how long after each change observers that have the host's version had a new one."""
    for host in sorted(frozenset[str]().union(*(each.changed for each in run.writes))):
        for observer, looks in sorted(run.looks.items()):
            seeing = [each for each in looks if each.view is not None]
            yield from _of_host(run, rules, observer, host, seeing)


def _of_host(
    run: Run, rules: Rules, observer: str, host: str, seeing: Sequence[Look]
) -> Iterator[Convergence]:
    """Yield what there is to say of an observer, of whose looks these were answered.

    A change counts only if the observer had shown all that was written before, and had time until
    the next write of the host: two of them may well leave the version that there was at first.
    """
    about = [each for each in run.writes if host in hosts_of(each)]
    about.sort(key=lambda each: each.begun)
    followed = True
    for write, following in zip(about, [*about[1:], None], strict=True):
        until = following.begun if following else inf
        place = first_at(seeing, write.begun)
        old = seeing[place - 1].versions.get(host, "") if place else ""
        new = next((each for each in seeing[place:] if each.versions.get(host, "") != old), None)
        shown = new is not None and new.at < until
        if write.done is None:
            followed = False
            continue
        had_time = run.calm(write.done, min(until, run.end)) > rules.converge
        if host in write.changed and old and followed and (shown or had_time or not following):
            waited = run.calm(write.done, max(write.done, new.at if new else run.end))
            what = f"{words(write)} (the version of {host})"
            yield Convergence(what, write.done, observer, waited if new else None, waited)
        # Who did not look before may be behind, except where nothing was before.
        looked = place > 0 or write is about[0]
        followed = had_time or (followed and shown and looked)


def disagreements(run: Run, rules: Rules) -> Iterator[Disagreement]:
    """Yield the hosts of which observers show different versions at the end that are to agree."""
    last = {observer: looks[-1] for observer, looks in sorted(run.looks.items())}
    for group in rules.same_versions:
        looked = {each: look.versions for each, look in last.items() if each in group and look.view}
        for host in sorted(frozenset[str]().union(*looked.values())):
            shown = tuple((each, versions.get(host, "")) for each, versions in looked.items())
            if len({version for _, version in shown}) > 1:
                yield Disagreement(host, shown)
