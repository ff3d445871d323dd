"""Breaks one thing of a service, as registries and mistakes do.

The names of rules follow ValidateServiceEntry and what it calls (istio, pkg/config/validation).
Rules on what no service of ours says have no place here: resolutions other than STATIC, workload
selectors, target ports, ``exportTo``, networks, and annotations with a meaning.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from meshbridge.service import Endpoint, Labels, Port, Service
from rig.odd_services import legal_address

Change = Callable[[Random, Service], Service]

_FORBIDDEN = ("_", "@", ":", "/", " ", "%", "\n", "\t", "\0", "é", "单", "\u0663", "\ud800", "+")
_NARROW = "aZ09-._*/:%"
"""Of it random texts are made: short ones hit every rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to break a service, or to go up to a limit."""

    name: str
    change: Change
    harmless: bool = False
    """A limit: the service is still whole."""


def to_hosts(*choices: str) -> Change:
    """Give it one of these hosts; ``{host}`` stands for its own."""
    return hosts(lambda chance, host: chance.choice(choices).replace("{host}", host))


def hosts(change: Callable[[Random, str], str]) -> Change:
    """Change the host."""
    return lambda chance, service: replace(service, host=change(chance, service.host))


def to_namespaces(*choices: str) -> Change:
    """Give it one of these namespaces."""
    return lambda chance, service: replace(service, namespace=chance.choice(choices))


def aliases(change: Callable[[Random, str], str]) -> Change:
    """Give it a legal alias and one that is changed from its host."""
    return lambda chance, service: replace(
        service, aliases=tuple(sorted((f"x.{service.host}", change(chance, service.host))))
    )


def ports(change: Callable[[Random, Port], Port]) -> Change:
    """Change one port, and its name at the endpoints too."""

    def changed(chance: Random, service: Service) -> Service:
        old = chance.choice(service.ports)
        new = change(chance, old)
        names = {port.name: port.name for port in service.ports} | {old.name: new.name}
        return replace(
            service,
            ports=tuple(new if port is old else port for port in service.ports),
            endpoints=tuple(
                replace(each, ports=tuple(sorted((names[name], n) for name, n in each.ports)))
                for each in service.endpoints
            ),
        )

    return changed


def one_more_port(change: Callable[[Random, Port], Port]) -> Change:
    """Add a port to the service that is changed from its first."""
    return lambda chance, service: replace(
        service, ports=(*service.ports, change(chance, service.ports[0]))
    )


def virtual(change: Callable[[Random], tuple[str, ...]]) -> Change:
    """Give it virtual addresses."""
    return lambda chance, service: replace(service, addresses=change(chance))


def endpoints(change: Callable[[Random, Endpoint], Endpoint]) -> Change:
    """Change one endpoint."""

    def changed(chance: Random, service: Service) -> Service:
        old = chance.choice(service.endpoints)
        new = change(chance, old)
        return replace(
            service, endpoints=tuple(new if each is old else each for each in service.endpoints)
        )

    return changed


def endpoint_labels(change: Callable[[Random], tuple[str, str]]) -> Change:
    """Give one endpoint a label."""
    return endpoints(lambda chance, each: replace(each, labels=_with(each.labels, change(chance))))


def service_labels(change: Callable[[Random], tuple[str, str]]) -> Change:
    """Give the service a label."""
    return lambda chance, service: replace(service, labels=_with(service.labels, change(chance)))


def _with(labels: Labels, pair: tuple[str, str]) -> Labels:
    return tuple(sorted({**dict(labels), pair[0]: pair[1]}.items()))


def spoilt(chance: Random, text: str) -> str:
    """Return the text with one character in it that is in no name."""
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(_FORBIDDEN) + text[at:]


def dashed(chance: Random, text: str) -> str:
    """Return the text with one of its labels beginning or ending with a dash."""
    labels = text.split(".")
    at = chance.randrange(len(labels))
    labels[at] = chance.choice((f"-{labels[at]}", f"{labels[at]}-"))
    return ".".join(labels)


def random_text(chance: Random, longest: int = 6) -> str:
    """Return a text of few kinds of characters: a name, now and then."""
    return "".join(chance.choices(_NARROW, k=chance.randint(0, longest)))


def random_address(chance: Random) -> str:
    """Return a legal address with one character too many, too few, or another one."""
    text = legal_address(chance)
    at = chance.randrange(len(text))
    other: str = chance.choice(("", *"0123456789abf.:%/"))
    return text[:at] + other + text[at + chance.randint(0, 1) :]
