"""How far a host has come with the subscribers of each outlet."""

from collections.abc import Iterable, Mapping
from typing import Final

from meshbridge.explaining.values import OutletTold
from meshbridge.looking import Slices
from meshbridge.mirror import Mirror
from meshbridge.outlet import Delivering, Delivery, Outlet
from meshbridge.service import Service

_MOST: Final = 10


async def delivered(
    outlets: Mapping[str, Outlet], service: Service, address: str, slices: Slices
) -> tuple[OutletTold, ...]:
    """Return what each outlet's subscribers were sent and acknowledged of a service.

    ``address`` is that of the endpoint that was asked for, or empty.
    """
    found: list[OutletTold] = []
    for name, outlet in sorted(outlets.items()):
        note = _untold(outlet, service, address)
        if not isinstance(outlet, Delivering):
            asking = len(outlet.subscribers())
            note = "; ".join((*([note] if note else ()), f"{name} cannot tell versions of a host"))
            found.append(OutletTold(name, service.host, asking, 0, 0, (), (), note))
            continue
        behind: list[Delivery] = []
        held: list[Delivery] = []
        asking = current = not_asking = 0
        for each in outlet.delivered(service):
            late = [one for one in each if one.held != one.offered]
            asking += bool(each)
            not_asking += not each
            current += bool(each) and not late
            behind = _kept((*behind, *late))
            held = [*held, *(one for one in each if one.held == one.offered)][:_MOST]
            await slices.breathe()
        found.append(
            OutletTold(
                name, service.host, asking, current, not_asking, tuple(behind), tuple(held), note
            )
        )
    return tuple(found)


def _kept(behind: Iterable[Delivery]) -> list[Delivery]:
    return sorted(behind, key=lambda each: not each.refused)[:_MOST]


def _untold(outlet: Outlet, service: Service, address: str) -> str:
    """Return what of the service the outlet leaves out, by its own word."""
    if not isinstance(outlet, Mirror):
        return ""
    told = outlet.told(service)
    if told is None:
        return f"{outlet.mirrors} is told nothing of it: it would refuse the host"
    kept = {(each.address, each.ports) for each in told.endpoints}
    left_out = [each for each in service.endpoints if (each.address, each.ports) not in kept]
    if not left_out:
        return ""
    mine = f", {address} among them" if any(each.address == address for each in left_out) else ""
    return (
        f"{outlet.mirrors} is not told {len(left_out)} of {len(service.endpoints)} endpoints"
        f"{mine} (never: {outlet.untold})"
    )
