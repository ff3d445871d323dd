"""Says in the registries' words what the catalog could not give to everyone who asked."""

from collections.abc import Iterator, Mapping, Sequence

from meshbridge.catalog.contest import Verdict
from meshbridge.catalog.ownership import Holding
from meshbridge.problems import Problem, ProblemKind
from meshbridge.publish.claim import Published
from meshbridge.registration import Kind

_NAMED = 5
_APART = {
    Kind.APPLICATION: (
        "give the registries another publish.domain each, one publish.share for both, or another "
        "order"
    ),
    Kind.DUBBO_INTERFACE: (
        "the host of a Dubbo interface names no registry: give both one publish.share, leave it to "
        "one of them by publish.exclude, or let one make other hosts (publish.host: dubbo2istio or "
        "slime)"
    ),
}
"""What helps two registries that claim one host."""


def _problem(claim: Published, kind: ProblemKind, reason: str, remedy: str) -> Problem:
    return Problem(claim.source.registry, claim.source.name, kind, reason, remedy)


def _names(claims: Sequence[Published]) -> str:
    shown = ", ".join(f"{each.source.name} of {each.source.registry}" for each in claims[:_NAMED])
    beyond = len(claims) - _NAMED
    return f"{shown} and {beyond} more" if beyond > 0 else shown


def host_problems(host: str, holding: Holding) -> tuple[Problem, ...]:
    """Return what those get to know that wanted ``host``, and who keeps it."""
    return tuple(
        sorted({*_renamed(host, holding), *_crowded_out(host, holding), *_outranked(host, holding)})
    )


def _renamed(host: str, holding: Holding) -> Iterator[Problem]:
    keepers: dict[str, tuple[Published, list[Published]]] = {}
    for loser, target, keeper in holding.moved:
        keepers.setdefault(keeper.key.registry, (keeper, []))[1].append(loser)
        yield _problem(
            loser,
            ProblemKind.RENAMED,
            f"its host is {target}, because {keeper.source.name} keeps {host}",
            "rename one of the two, or call it by its new host",
        )
    for keeper, losers in keepers.values():
        yield _problem(
            keeper,
            ProblemKind.RENAMED,
            f"it keeps {host}, which {_names(losers)} wanted too",
            "rename one of them if callers may mean the other one",
        )


def _crowded_out(host: str, holding: Holding) -> Iterator[Problem]:
    for claim in holding.crowded_out:
        yield _problem(
            claim,
            ProblemKind.CONFLICT,
            f"it is not served, because its registry has both {claim.host} and {host} already",
            "register it under another name",
        )


def _outranked(host: str, holding: Holding) -> Iterator[Problem]:
    for claim in holding.outranked:
        yield _problem(
            claim,
            ProblemKind.CONFLICT,
            f"it is not served, because {_names(holding.served[:1])} has {host}",
            _APART[claim.kind],
        )


def alias_problems(
    alias: str, verdict: Verdict, owners: Mapping[str, Published]
) -> tuple[Problem, ...]:
    """Return what those get to know that wanted ``alias`` and do not have it."""
    if verdict.taken:
        why = f"{alias} is a host"
    elif verdict.winner is None:
        why = f"{_names([owners[host] for host in verdict.claimants])} claim it with equal right"
    else:
        why = f"{_names([owners[verdict.winner]])} has it"
    return tuple(
        sorted(
            _problem(
                owners[host],
                ProblemKind.CONFLICT,
                f"{host} does not have the alias {alias}, because {why}",
                "leave the alias to one of them by publish.aliases, include or exclude",
            )
            for host in verdict.claimants
            if host != verdict.winner
        )
    )


def direct_problems(
    place: str, verdict: Verdict, owners: Mapping[str, Published]
) -> tuple[Problem, ...]:
    """Return what those get to know that have an instance at ``place`` and are not called there."""
    if verdict.winner is not None:
        return ()
    names = _names([owners[host] for host in verdict.claimants])
    return tuple(
        sorted(
            _problem(
                owners[host],
                ProblemKind.CONFLICT,
                f"{host} is not called at {place}, because {names} have an instance there",
                "call it by its host, or leave the instance to one of them by publish.exclude or "
                "publish.instances",
            )
            for host in verdict.claimants
        )
    )


def address_problems(
    address: str, verdict: Verdict, owners: Mapping[str, Published]
) -> tuple[Problem, ...]:
    """Return what those get to know whose virtual address another host has."""
    return tuple(
        sorted(
            _problem(
                owners[host],
                ProblemKind.CONFLICT,
                f"{host} has no virtual address, because {verdict.winner} has {address}",
                "call it by name, or register it under another name",
            )
            for host in verdict.claimants
            if host != verdict.winner
        )
    )
