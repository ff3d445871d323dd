"""Makes one of what several places tell of one provider; pure.

The same address, port and protocol is one instance of an interface, whoever tells it. What its own
registration says goes before what its application says, but out of use it is if either says so.
"""

from collections.abc import Collection
from dataclasses import replace

from meshbridge import Health, Instance
from meshbridge_dubbo.provider import Provider


def unite(providers: dict[str, Provider], told: Provider) -> None:
    """Take what a registration of its own tells of a provider; they are kept by their ids.

    Of two about one address the newer counts: a restart leaves both for a while.
    """
    known = providers.get(told.instance.id)
    if known is None or _age(known) < _age(told):
        providers[told.instance.id] = told


def join(providers: dict[str, Provider], served: Provider) -> None:
    """Take what an application's instance serves besides what :func:`unite` has taken."""
    known = providers.get(served.instance.id)
    if known is None:
        providers[served.instance.id] = served
    elif served.instance.health is Health.DISABLED is not known.instance.health:
        out = replace(known.instance, health=Health.DISABLED)
        providers[served.instance.id] = replace(known, instance=out)


def once(providers: Collection[Provider]) -> Collection[Provider]:
    """Return the providers without those that another one names in its ``ext.protocol``.

    Dubbo 3.3 exports each protocol that a port understands by itself, too, and an application's
    metadata tell both (ServiceConfig.java, exportUrl: ``isExtra``).
    """
    further = {
        (each.instance.address, port.number, port.protocol)
        for each in providers
        if len(each.instance.ports) > 1
        for port in each.instance.ports[1:]
    }
    if not further:
        return providers
    return [each for each in providers if not _is_named(each.instance, further)]


def _age(provider: Provider) -> tuple[float, str]:
    """Return what orders providers of one id the same way however they came."""
    instance = provider.instance
    return instance.registered_at or 0.0, repr(instance)


def _is_named(instance: Instance, further: Collection[tuple[str, int, str]]) -> bool:
    port, *others = instance.ports
    return not others and (instance.address, port.number, port.protocol) in further
