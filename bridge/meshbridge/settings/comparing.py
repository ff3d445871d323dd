"""In what two configurations differ, and so what of a running bridge must change: pure."""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshbridge.settings.model import OutletSettings, RegistrySettings, Settings


class Fate(enum.StrEnum):
    """What becomes of a registry or an outlet."""

    KEPT = "kept"
    CHANGED = "changed"
    """Its adapter goes on; what is made of what it says differs."""
    RESTARTED = "restarted"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of one registry or outlet, and because of which keys."""

    name: str
    fate: Fate
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What must change; secrets count, and are in no line."""

    registries: tuple[Difference, ...]
    """Those of the new configuration in its order, then those that are removed."""
    outlets: tuple[Difference, ...]
    """Likewise."""
    others: tuple[str, ...]
    """Further keys that differ: ``status``, ``max-loss``."""
    faults: tuple[str, ...]
    """What cannot be changed in a running bridge, a line each."""

    @property
    def touches_registries(self) -> bool:
        """Whether any registry is not simply kept."""
        return any(each.fate is not Fate.KEPT for each in self.registries)

    def lines(self) -> tuple[str, ...]:
        """Return what changes, a line each; nothing if nothing does."""
        return (
            *_lines("registry", self.registries),
            *_lines("outlet", self.outlets),
            *(f"{key}: changed" for key in self.others),
        )


def compare(old: Settings, new: Settings) -> Plan:
    """Return what must change to get from one configuration to the other."""
    others: tuple[tuple[str, object, object], ...] = (
        ("status", old.status, new.status),
        ("max-loss", old.keeping.max_loss, new.keeping.max_loss),
    )
    return Plan(
        tuple(_registries(old.registries, new.registries)),
        tuple(_outlets(old.outlets, new.outlets)),
        tuple(key for key, before, after in others if before != after),
        tuple(_faults(old, new)),
    )


def _registries(
    old: tuple[RegistrySettings, ...], new: tuple[RegistrySettings, ...]
) -> Iterator[Difference]:
    before = {each.name: each for each in old}
    for after in new:
        known = before.pop(after.name, None)
        if known is None:
            yield Difference(after.name, Fate.ADDED)
            continue
        restarting = [
            key
            for key, differs in (
                (
                    "adapter",
                    (known.adapter, known.adapter_type) != (after.adapter, after.adapter_type),
                ),
                ("options", known.options != after.options),
                ("files", known.files != after.files),
            )
            if differs
        ]
        changing = [
            key
            for key, differs in (
                ("required", known.required != after.required),
                ("publish", _rules(known) != _rules(after)),
                ("guard", known.guard != after.guard),
                ("order", known.publish.order != after.publish.order),
            )
            if differs
        ]
        fate = Fate.RESTARTED if restarting else Fate.CHANGED if changing else Fate.KEPT
        yield Difference(after.name, fate, (*restarting, *changing))
    yield from (Difference(name, Fate.REMOVED) for name in before)


def _rules(registry: RegistrySettings) -> tuple[object, ...]:
    return registry.publish.rules, registry.publish.names


def _outlets(
    old: tuple[OutletSettings, ...], new: tuple[OutletSettings, ...]
) -> Iterator[Difference]:
    before = {each.name: each for each in old}
    for after in new:
        known = before.pop(after.name, None)
        if known is None:
            yield Difference(after.name, Fate.ADDED)
            continue
        keys = [
            key
            for key, differs in (
                ("outlet", known.outlet_type is not after.outlet_type),
                ("options", known.options != after.options),
                ("files", known.files != after.files),
            )
            if differs
        ]
        yield Difference(after.name, Fate.RESTARTED if keys else Fate.KEPT, tuple(keys))
    yield from (Difference(name, Fate.REMOVED) for name in before)


def _faults(old: Settings, new: Settings) -> Iterator[str]:
    for key, before, after in (
        ("state", old.keeping.state, new.keeping.state),
        ("admin", old.keeping.admin, new.keeping.admin),
    ):
        if before != after:
            yield (
                f"{key}: found {after or 'nothing'}, and the running bridge has "
                f"{before or 'none'}: that changes with a restart only; restart it, or put it back"
            )


def _lines(kind: str, differences: Iterable[Difference]) -> Iterator[str]:
    for each in differences:
        if each.fate is not Fate.KEPT:
            why = f" ({', '.join(each.keys)})" if each.keys else ""
            yield f"{kind} {each.name}: {each.fate}{why}"
