"""What a whole `meshbridge run` costs that reads a large estate from a real Nacos."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.nacos_adapter import SHAPES, Place
from benchmarks.samples import Figure
from benchmarks.starts import Start, started


async def starts(place: Place, folder: Path, runs: int, say: Callable[[str], None]) -> list[Figure]:
    """Start a bridge again and again, without what it has stored, until everything is served."""
    made = list[Start]()
    for number in range(runs):
        folder_of_its_own = folder / f"{place.namespace}-{number}"
        made.append(await started(folder_of_its_own, _configuration(place)))
        cost = f"{made[-1].seconds:.2f} s, {made[-1].memory / 1e6:.0f} MB"
        say(f"Nacos {place.server}, {place.shape}, start {number + 1}/{runs}: {cost}")
    times, spent = [each.seconds for each in made], [each.processor for each in made]
    weights, late = [each.memory / 1e6 for each in made], [each.late for each in made]
    prefix = f"{place.server}, {SHAPES[place.shape]}"
    what = f"{prefix}: looks at its event loop in which it was over 20 ms late"
    return [
        Figure(f"{prefix}: start of `run` → everything is served", "s", times, cpu=spent),
        Figure(f"{prefix}: memory of the whole bridge then", "MB", weights),
        Figure(what, "looks", late, 0.0, always=True),
    ]


def _configuration(place: Place) -> dict[str, object]:
    registry = {
        "name": "estate",
        "adapter": "nacos",
        "servers": [place.address],
        "namespaces": [place.namespace],
        "guard": {"settle": "0s"},
    }
    outlets = {"xds": {"listen": "127.0.0.1:0"}}
    return {"version": 1, "registries": [registry], "outlets": outlets}
