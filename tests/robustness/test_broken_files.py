"""The file registry is written in every broken way, hundreds of times, under load."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from robustness.bed import Instances, document, replace
from robustness.findings import Bar
from robustness.mesh import QUIET, Mesh, mesh
from robustness.subscriber import DeltaClient, channel, open_stream

from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge_xds.envoy.names import CDS, EDS, cluster_name
from rig.waiting import until

pytestmark = pytest.mark.asyncio
WRITES = 500
TRUTHS = 20
"""Changes in between that must be served: whoever reads nothing any more breaks no promise else."""
HELD = (0.01, 0.25)
"""Seconds that a broken file lies there: less and more than the adapter waits before it reads."""
Way = Callable[["Vandal"], Awaitable[None]]


@dataclass
class Vandal:
    """Breaks the file; ``text`` is what should stand in it."""

    file: Path
    chance: random.Random
    text: str = ""

    def mend(self) -> None:
        """Put the truth back, whatever lies there."""
        self.clear()
        replace(self.file, self.text)

    def clear(self) -> None:
        """Take away what lies there."""
        if self.file.is_dir() and not self.file.is_symlink():
            self.file.rmdir()
        else:
            self.file.unlink(missing_ok=True)

    def put(self, raw: bytes) -> None:
        """Write in place, as a careless program does."""
        self.file.write_bytes(raw)


async def cut_off(v: Vandal) -> None:
    v.put(v.text[: v.chance.randrange(len(v.text) - 1)].encode())


async def empty(v: Vandal) -> None:
    v.put(b"")


async def removed(v: Vandal) -> None:
    v.clear()


async def folder(v: Vandal) -> None:
    v.clear()
    v.file.mkdir()


async def dangling_link(v: Vandal) -> None:
    v.clear()
    v.file.symlink_to("nowhere")


async def named_pipe(v: Vandal) -> None:
    v.clear()
    os.mkfifo(v.file)


async def far_too_large(v: Vandal) -> None:
    with v.file.open("r+b") as file:
        file.truncate(17 * 1024 * 1024)


async def noise(v: Vandal) -> None:
    v.put(b"\xff\xfe" + v.chance.randbytes(v.chance.randrange(2000)))


async def byte_that_is_no_text(v: Vandal) -> None:
    at = v.chance.randrange(len(v.text))
    odd = v.chance.choice([b"\x00", b"\xc3\x28", b"\x07", b"\xed\xa0\x80"])
    v.put(v.text[:at].encode() + odd + v.text[at:].encode())


async def written_slowly(v: Vandal) -> None:
    """In pieces with pauses; every piece but the last ends in the middle of the brackets."""
    raw = v.text.encode()
    cuts = sorted(v.chance.randrange(len(raw) - 1) for _ in range(4))
    with v.file.open("wb", buffering=0) as file:
        for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            file.write(raw[start:end])
            await asyncio.sleep(v.chance.uniform(0.005, 0.06))


async def written_in_place(v: Vandal) -> None:
    """As blocks of YAML, in the pieces that buffered files write: each could pass for the whole."""
    raw = yaml.safe_dump(yaml.safe_load(v.text)).encode()
    with v.file.open("wb", buffering=0) as file:
        for start in range(0, len(raw), 8192):
            file.write(raw[start : start + 8192])


async def flapping(v: Vandal) -> None:
    """Whole and broken, in turn, faster than anyone reads."""
    for _ in range(20):
        replace(v.file, v.text)
        v.put(v.text[: v.chance.randrange(len(v.text) - 1)].encode())
        await asyncio.sleep(v.chance.uniform(0, 0.008))


async def one_bad_record(v: Vandal) -> None:
    """A service that is served loses its sense: it alone is unreadable, and keeps what it had."""
    v.put(v.text.replace('"port": 8080', '"port": "none of your business"', 1).encode())


def text(raw: str) -> Way:
    async def write(v: Vandal) -> None:
        v.put(raw.encode())

    return write


def around(before: str = "", after: str = "") -> Way:
    async def write(v: Vandal) -> None:
        v.put(f"{before}{v.text}{after}".encode())

    return write


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
WAYS: Mapping[str, Way] = {
    "cut off": cut_off,
    "empty": empty,
    "removed": removed,
    "a folder": folder,
    "a dangling link": dangling_link,
    "a named pipe": named_pipe,
    "far too large": far_too_large,
    "noise": noise,
    "a byte that is no text": byte_that_is_no_text,
    "only a comment": text("# services: will follow\n"),
    "only blanks": text(" \n\n"),
    "null": text("null\n"),
    "a list": text("- name: orders\n"),
    "a word": text("services\n"),
    "services without a value": text("services:\n"),
    "services as a mapping": text("services: {}\n"),
    "services misspelt": text("service: []\n"),
    "services twice": text("services: []\nservices: []\n"),
    "a second document": around(after="\n---\nservices: []\n"),
    "a tab": text("services:\n\t- name: orders\n"),
    "a tag": text("services: !!python/object/apply:os.abort []\n"),
    "a bomb of aliases": text(BOMB + "services: *i\n"),
    "nested too deep": text("services: " + "[" * 5000 + "]" * 5000),
    "an unknown alias": text("services: *orders\n"),
    "merge conflict": around(before="<<<<<<< mine\n", after="\n=======\n>>>>>>> theirs\n"),
}
"""Ways after which nothing of the file can be used."""
HARMLESS: Mapping[str, Way] = {
    "written slowly": written_slowly,
    "written in place": written_in_place,
    "flapping": flapping,
    "one bad record": one_bad_record,
}
"""Ways that end in the truth, or spoil one record."""


async def test_a_broken_file_never_empties_or_halves_what_is_served(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Whatever is written into the registry's file, and however often, all stays served."""
    with bar("1, broken services.yaml") as it:
        chance = it.chance()
        async with mesh(tmp_path, "DELTA_GRPC") as m, following(m) as heard:
            vandal = Vandal(m.bed.file, chance, document(m.services))
            updates = await m.bed.metric("^meshbridge_registry_updates_total")
            events, begun = len(m.istiod.events), time.monotonic()
            async with m.load.running():
                await asyncio.sleep(QUIET)
                first = time.monotonic()
                seen = await see_each_way(m, vandal, it)
                delays, truths = await vandalise(m, vandal, it)
                vandal.mend()
                await asyncio.sleep(QUIET)
            m.bed.must_run()
            updates = await m.bed.metric("^meshbridge_registry_updates_total") - updates
            m.judge_load(it, begun, first)
            it.at_least("broken writes", WRITES + len(WAYS), WRITES)
            it.at_least("ways that the bridge was seen to refuse, by their reason", seen, len(WAYS))
            it.void_unless(updates >= WRITES / 4, f"the bridge noticed {updates:g} writes only")
            it.at_least("times that the bridge noticed", int(updates), WRITES // 4)
            it.at_least("changes in between that were served", len(truths), TRUTHS)
            it.at_most("slowest of them, write to istiod", max(delays), 5.0, "s")
            deletions = [e for e in m.istiod.events[events:] if e.action == "delete"]
            lost = [e for e in deletions if "flap-" not in e.name]
            it.none("ServiceEntries of lasting services deleted in istiod", lost)
            it.none(
                f"of {len(m.istiod.responses)} responses to istiod, lacking a lasting endpoint",
                partial_to_istiod(m),
            )
            it.none(
                f"of {len(heard)} responses over xds, taking a lasting service or endpoint away",
                partial_over_xds(m, heard),
            )
            it.none("complaints in the bridge's log", m.bed.complaints())


async def see_each_way(m: Mesh, vandal: Vandal, it: Bar) -> int:
    """Break the file in each way until the bridge says that it cannot be read."""
    for name, way in WAYS.items():
        vandal.mend()
        await until(m.bed.stale, lambda why: not why, within=5)
        await way(vandal)
        try:
            why, _ = await until(m.bed.stale, bool, within=5)
        except AssertionError:
            it.void_unless("", f"the bridge did not notice that the file is: {name}")
            raise
        it.say(f"{name}: {why.partition(': ')[2][:90]}")
    vandal.mend()
    await until(m.bed.stale, lambda why: not why, within=5)
    return len(WAYS)


async def vandalise(m: Mesh, vandal: Vandal, it: Bar) -> tuple[list[float], list[str]]:
    """Break the file again and again, and change it truly in between."""
    chance, ways = vandal.chance, {**WAYS, **HARMLESS}
    counts: Counter[str] = Counter()
    delays: list[float] = []
    truths: list[str] = []
    for number in range(WRITES):
        name = chance.choice(sorted(ways))
        counts[name] += 1
        if vandal.file.is_fifo() or not vandal.file.is_file() or chance.random() < 0.5:
            vandal.mend()
        await ways[name](vandal)
        await asyncio.sleep(chance.uniform(*HELD))
        if number % (WRITES // TRUTHS) == 0:
            truths.append(f"flap-{number}")
            delays.append(await tell_truth(m, vandal, truths[-1]))
        if number % 100 == 99:
            it.say(f"{number + 1} of {WRITES} writes")
    it.void_unless(len(counts) == len(ways), f"drawn were only {sorted(counts)}")
    return delays, truths


async def tell_truth(m: Mesh, vandal: Vandal, name: str) -> float:
    """Write a whole file with another new service; return the seconds until istiod has it."""
    services: dict[str, Instances] = {**m.services, name: [("10.9.9.9", 8080)]}
    vandal.text = document(services)
    begun = time.monotonic()
    vandal.mend()
    await m.istiod.until(lambda: f"{name}.file" in m.istiod.hosts(), within=10)
    return time.monotonic() - begun


@asynccontextmanager
async def following(m: Mesh) -> AsyncGenerator[list[DeltaDiscoveryResponse]]:
    """Take all that an incremental subscriber of everything is told."""
    async with channel(m.bed.xds) as connected, asyncio.TaskGroup() as tasks:
        client = DeltaClient(open_stream(connected, delta=True))
        await client.ask(CDS)
        await client.ask(EDS, [cluster_name(f"{name}.file", 80) for name in m.services])

        async def follow() -> None:
            while True:
                await client.take(within=300)

        task = tasks.create_task(follow())
        try:
            yield client.received
        finally:
            task.cancel()
            client.call.cancel()


def partial_to_istiod(m: Mesh) -> list[str]:
    """Say which responses lacked what was registered all the time."""
    wrong, held = list[str](), dict[tuple[str, str], ServiceEntry]()
    for number, response in enumerate(m.istiod.responses):
        if not response.type_url.endswith("/ServiceEntry"):
            continue
        told: dict[str, set[str]] = {}
        for each in response.resources:
            resource, entry = Resource.FromString(each.value), ServiceEntry()
            which = resource.metadata.name, resource.metadata.version
            if resource.body.Unpack(entry):
                held[which] = entry
            # A stub says that what was told in this version is as it was.
            for host in held.get(which, ServiceEntry()).hosts:
                addresses = (at.address for at in held[which].endpoints)
                told.setdefault(host, set()).update(addresses)
        for name, instances in m.services.items():
            if not told.get(f"{name}.file", set()) >= {address for address, _ in instances}:
                wrong.append(f"response {number}: {name} is {told.get(f'{name}.file')}")
    return wrong


def partial_over_xds(m: Mesh, heard: list[DeltaDiscoveryResponse]) -> list[str]:
    """Say which responses took something away that was registered all the time."""
    lasting = {cluster_name(f"{name}.file", 80): each for name, each in m.services.items()}
    wrong = [
        f"{name} was removed"
        for response in heard
        for name in response.removed_resources
        if name in lasting
    ]
    for response in heard:
        if response.type_url == EDS:
            for each in response.resources:
                found = ClusterLoadAssignment.FromString(each.resource.value)
                number = sum(len(locality.lb_endpoints) for locality in found.endpoints)
                if each.name in lasting and number != len(lasting[each.name]):
                    wrong.append(f"{each.name} has {number} endpoints")
    return wrong
