"""``make compose-local``: the services of compose/compose.yaml as plain processes, and a weight.

Shows that calls are spread by the weights that Nacos has, changes two of them as anyone would, and
shows that the calls follow. On a terminal, or with ``--keep``, all is left running until Ctrl-C.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp

from meshbridge.testing import Process, ProcessFailed
from rig.addresses import NetworkFailed
from rig.compose_counts import CLOSELY, FAILED, Share, counts, follow, shares
from rig.compose_file import ComposeRefused
from rig.compose_processes import Local, prepared
from rig.envoy import NoEnvoy
from rig.making import BuildFailed, Missing, say

PICTURE = """\
   Nacos <--- register --- dubbo-one, dubbo-two, spring-one, spring-two <----------+
     ^                                                                             |
     +--- meshbridge --xDS--> Envoy --- by the weights that Nacos has -------------+
                                ^
     dubbo-consumer, tri:// ----+---- spring-caller, @LoadBalanced"""

SERVICES = {
    "dubbo": ("providers:meshbridge.peers.Greeter::", ("dubbo-one", "dubbo-two")),
    "spring": ("orders", ("spring-one", "spring-two")),
}
"""What is called: as what it stands in Nacos, and its instances; the second gets another weight."""
WEIGHT = 3
SECONDS = 8
"""For which calls are counted before and after, if nothing else is said."""
SOON = 60.0
"""Seconds within which calls must be spread as the weights say, on a machine that is busy."""
ENOUGH = 200
"""Calls of each service at least, for chance not to make up their shares."""
PATIENCE = aiohttp.ClientTimeout(total=30)


class NotFollowed(Exception):  # noqa: N818 - it says what happened
    """Calls were not spread as the weights say, or there were too few; the message says which."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What was counted between two changes of weights."""

    followed: float
    """Seconds until calls were spread by the weights."""
    shares: Sequence[Share]
    failed: int

    @property
    def holds(self) -> bool:
        """Whether each instance got its part, and no call failed."""
        return self.failed == 0 and all(each.holds(CLOSELY) for each in self.shares)


class Watching:
    """Reads what the service ``watch`` writes, from now on, and shows it."""

    def __init__(self, watch: Process, needed: Collection[Process] = ()) -> None:
        """Take its process, and those without which there is nothing to wait for."""
        self._log = watch.log_file
        self._read = self._log.stat().st_size
        self._needed = {watch, *needed}

    async def seconds(self) -> AsyncGenerator[Counter[str]]:
        """Give the calls of each second, as they come; raises ProcessFailed when one has ended.

        What is not taken is given to the next who asks.
        """
        while True:
            while (line := self._line()) is not None:
                say(f"   {line}")
                seen = counts(line)
                if seen is not None:
                    yield seen
            for each in self._needed:
                if not each.running:
                    ended = f"{each.name} has ended with {each.exit_code}"
                    raise ProcessFailed(f"{ended}; what it wrote is in {each.log_file}")
            await asyncio.sleep(0.1)

    def _line(self) -> str | None:
        """Return the next whole line."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            line = log.readline()
        if not line.endswith(b"\n"):
            return None
        self._read += len(line)
        return line.decode(errors="replace").rstrip("\n")


def change(local: Local, service: str, weight: int) -> str:
    """Return the URL of Nacos that a PUT to changes the weight of a service's second instance."""
    known_as, (_, name) = SERVICES[service]
    instance = local.services[name]
    return (
        f"http://{local.nacos.address}/nacos/v1/ns/instance?serviceName={quote(known_as)}"
        f"&ip={instance.address}&port={instance.expose[0]}&ephemeral=true&weight={weight}"
    )


async def put(url: str) -> None:
    """Do it; raises OSError with Nacos' answer where that refuses."""
    async with aiohttp.ClientSession(timeout=PATIENCE) as session, session.put(url) as answer:
        if answer.status != 200:
            raise OSError(f"Nacos answered {answer.status}: {(await answer.text())[:300]}")


@contextlib.asynccontextmanager
async def bound(seconds: float, what: str) -> AsyncGenerator[None]:
    """Raise NotFollowed with what has not become true when the block takes longer."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise NotFollowed(f"{what} within {seconds:g} s") from None


async def measured(watching: Watching, second: int, seconds: int, *, soon: float = SOON) -> Phase:
    """Wait until calls are spread by the weights, then count them for so many seconds at least.

    ``second`` is the weight of the second instance of each service. It counts on until there are
    :data:`ENOUGH`. Raises NotFollowed, and ProcessFailed as Watching does.
    """
    services = [{one: 1, two: second} for _, (one, two) in SERVICES.values()]
    begun = time.monotonic()
    total: Counter[str] = Counter()
    failed = 0
    async with contextlib.aclosing(watching.seconds()) as each_second:
        async with bound(soon, f"calls were not spread by the weights {services}"):
            async for seen in each_second:
                failed += seen[FAILED]
                if follow(seen, services):
                    break
        followed = time.monotonic() - begun
        few = f"{seconds} s with {ENOUGH} calls of each service were not counted"
        async with bound(soon + 3 * seconds, few):
            async for seen in each_second:
                failed += seen[FAILED]
                total += seen
                seconds -= 1
                if seconds <= 0 and all(
                    sum(total[name] for name in weights) >= ENOUGH for weights in services
                ):
                    break
    every = [share for weights in services for share in shares(total, weights)]
    return Phase(followed, every, failed)


async def play(local: Local, seconds: int) -> Sequence[Phase]:
    """Count, change a weight of each service, and count again."""
    processes = local.processes
    watching = Watching(processes["watch"], processes.values())
    say("\nCalls that each instance got, in each second:")
    before = await measured(watching, 1, seconds)
    say(f"\nThe second instance of each service gets weight {WEIGHT}, by Nacos' HTTP interface:")
    for service in SERVICES:
        url = change(local, service, WEIGHT)
        say(f"   curl -X PUT '{url}'")
        await put(url)
    after = await measured(watching, WEIGHT, seconds)
    return before, after


def table(phases: Sequence[Phase]) -> list[str]:
    """Return what was counted, a line for each instance, and what it should be."""
    lines = [f"   {'':<12}" + "".join(f"{'weight':>8}{'calls':>8}{'share':>8}" for _ in phases)]
    for each in zip(*(phase.shares for phase in phases), strict=True):
        cells = (f"{it.weight:>8}{it.calls:>8}{it.found:>8.1%}" for it in each)
        lines.append(f"   {each[0].name:<12}" + "".join(cells))
    failed = "".join(f"{phase.failed:>16}{'':8}" for phase in phases)
    lines.append(f"   {'failed':<12}{failed.rstrip()}")
    took = f"{phases[-1].followed:.1f} s after the change calls were spread by the new weights"
    return [*lines, f"   {took} (the counts come once a second)"]


def hints(local: Local) -> list[str]:
    """Return what can be tried while it runs."""
    at: Mapping[str, str] = {name: it.address for name, it in local.services.items()}
    back = [f"curl -X PUT '{change(local, service, 1)}'" for service in SERVICES]
    return [
        *(f"another weight     {line}" for line in back),
        f"a call             curl http://{at['spring-caller']}:8080/call/orders",
        f"the same by name   curl -H 'Host: orders.nacos' http://{at['envoy']}:15001/who",
        f"what is served     curl http://{at['meshbridge']}:15014/api/services",
        f"what is wrong      curl http://{at['meshbridge']}:15014/api/problems",
        f"Envoy's own view   curl http://{at['envoy']}:15000/clusters",
        f"what they log      ls {local.directory}/*.log",
    ]


async def told(local: Local, seconds: int, *, keep: bool) -> bool:
    """Play it, tell what was counted, and return whether that is what the weights ask for."""
    phases = await play(local, seconds)
    good = all(phase.holds for phase in phases)
    verdict = "" if good else "   NOT what the weights ask for, or calls failed.\n"
    say("\n".join(["", *table(phases), verdict]))
    if keep:
        say("All of it runs until Ctrl-C, which also removes it.\n")
        say("".join(f"   {hint}\n" for hint in hints(local)))
        async for _ in Watching(local.processes["watch"]).seconds():
            pass  # each is shown as it comes
    return good


async def show(seconds: int, *, keep: bool) -> int:
    """Start all, play it, and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="meshbridge-compose.") as folder:
        say(f"compose/compose.yaml as plain processes of this machine:\n{PICTURE}\n")
        with prepared(Path(folder), say) as local:
            try:
                await local.start()
                good = await told(local, seconds, keep=keep)
            finally:
                await local.end()
    return 0 if good else 1


def main(words: Sequence[str]) -> int:
    """Run it; return 1 where calls do not follow, 2 where it cannot be run here."""
    parser = argparse.ArgumentParser(prog="make compose-local", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="to count, at least")
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    chosen = parser.parse_args(words)
    if chosen.seconds < 1:
        parser.error(f"--seconds is {chosen.seconds}; one is the least")
    if sys.platform != "linux":
        say("compose-local: it needs Linux, for addresses and names of its own (and root)")
        return 2
    keep: bool = chosen.keep or sys.stdout.isatty()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # they clear away as Ctrl-C does
    try:
        return asyncio.run(show(chosen.seconds, keep=keep))
    except KeyboardInterrupt:
        say("\nStopped; nothing of it is left.")
        return 0 if keep else 130
    except (Missing, NoEnvoy) as missing:
        say(f"compose-local: it cannot be run: {missing}; `make peers` says all that is missing")
        return 2
    except (ComposeRefused, BuildFailed, NetworkFailed, OSError) as failed:
        say(f"compose-local: it cannot be run: {failed}")
        return 2
    except (ProcessFailed, NotFollowed, aiohttp.ClientError) as failed:
        say(f"compose-local: {failed}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
