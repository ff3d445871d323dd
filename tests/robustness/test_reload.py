"""Bar 29: a configuration that changes again and again touches only what changed."""

import asyncio
import json
import random
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from robustness.bed import Bed, document, replace
from robustness.findings import Bar

from meshbridge.admin.client import ask
from meshbridge.admin.reloading import RELOAD, Reload, Reloaded
from meshbridge.configuration import Result
from rig.distribution import install

pytestmark = pytest.mark.asyncio
TURNS = 40
SERVICES = 30
WRONG = ("registries: [", "", "version: 2\n", "{}", '{"version": 1, "registries": []}')

SESSIONS = """
import asyncio, json
from datetime import timedelta
from pathlib import Path
from meshbridge import Instance, InstancePort, Listing, RegisteredService, ServiceId
from meshbridge.settings import ConfigPath, Section

class Options(Section):
    path: ConfigPath
    again: int = 0

class Sessions:
    '''Reads a file, and prints the number of each session that it opens.'''
    Options = Options
    settle = timedelta(seconds=1)
    scopes = ("all",)
    opened = 0

    def __init__(self, name, options, context):
        self.name, self.options = name, options

    async def watch(self, emit):
        Sessions.opened += 1
        print(f"session {Sessions.opened} of {self.name}", flush=True)
        listed = json.loads(Path(self.options.path).read_text())["services"]
        emit(Listing("all", tuple(
            RegisteredService(ServiceId("", "", each["name"]), tuple(
                Instance(one["address"], one["address"], (InstancePort(one["port"], "http"),))
                for one in each["instances"]
            ))
            for each in listed
        )))
        await asyncio.Event().wait()
"""


@dataclass
class Found:
    """What the turns showed."""

    missing: list[str] = field(default_factory=list[str])
    """Hosts of registries nobody changed that were not served at some look."""
    versions: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Of hosts nobody changed."""
    strange: list[str] = field(default_factory=list[str])
    """Reloads that came to something else than they should."""
    slowest: float = 0.0
    restarted: int = 0
    looks: int = 0


async def test_registries_that_nobody_changed_keep_their_sessions(
    tmp_path: Path, bar: Callable[[str], Bar], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good files, wrong ones and lossy ones, in any order, and signals in between."""
    with bar("29, reload") as it:
        folder = install(
            tmp_path / "strangers",
            "sessions",
            modules={"sessions": SESSIONS},
            entry_points={"meshbridge.adapters": {"sessions": "sessions:Sessions"}},
        )
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
        bed = Bed(tmp_path, keeping={"admin": str(tmp_path / "a.sock"), "state": "state"})
        bed.bridge.configuration.write_text(json.dumps(configuration(bed, tmp_path, {}, {})))
        for name in ("kept", "changing"):
            services = {f"{name}-{n}": [(f"10.1.0.{n}", 80)] for n in range(SERVICES)}
            replace(tmp_path / f"{name}.json", document(services))
        found = Found()
        async with bed.bridge:
            await bed.ready()
            async with asyncio.TaskGroup() as tasks:
                over = asyncio.Event()
                tasks.create_task(look(bed, found, over))
                await reload_again_and_again(bed, tmp_path, it.chance(), found)
                over.set()
        sessions = re.findall(r"^session \d+ of (\w+)$", bed.bridge.process.log, re.MULTILINE)
        it.void_unless(found.restarted, "no adapter was restarted")
        it.void_unless(found.looks > TURNS, "nobody looked at what was served")
        it.at_most("sessions of the registry nobody changed", sessions.count("kept"), 1)
        expected = 1 + found.restarted
        it.at_most(
            "sessions of the other, beyond its restarts", sessions.count("changing"), expected
        )
        it.none("hosts nobody changed that were missing at some look", found.missing)
        moved = [host for host, versions in found.versions.items() if len(versions) > 1]
        it.none("hosts nobody changed that changed their version", moved)
        it.none("reloads that came to something else", found.strange)
        it.at_most("slowest reload", found.slowest, 5.0, "s")
        it.none("complaints in the log", bed.complaints())


def configuration(
    bed: Bed, folder: Path, publish: Mapping[str, object], options: Mapping[str, object]
) -> dict[str, object]:
    """Return one in which the second registry has these rules and options."""
    registries = [
        {
            "name": name,
            "adapter": "sessions",
            "path": str(folder / f"{name}.json"),
            "publish": {"domain": name, **(publish if name == "changing" else {})},
            **(options if name == "changing" else {}),
        }
        for name in ("kept", "changing")
    ]
    return {
        "version": 1,
        "registries": registries,
        "outlets": {"xds": {"listen": bed.xds}, "mcp": {"listen": bed.mcp}},
        "status": {"listen": bed.status},
        "admin": str(folder / "a.sock"),
        "state": str(folder / "state"),
    }


def registries(configuration: Mapping[str, object]) -> list[object]:
    """Return those of a configuration."""
    return list(cast("list[object]", configuration["registries"]))


async def reload_again_and_again(
    bed: Bed, folder: Path, chance: random.Random, found: Found
) -> None:
    """Write something else at each turn, and see that it comes to what it should."""
    options: dict[str, object] = {}
    for turn in range(TURNS):
        kind = chance.choice(("rules", "options", "wrong", "lossy", "order"))
        text: str | None = None
        expected = {Result.APPLIED, Result.UNCHANGED}
        if kind == "wrong":
            text, expected = chance.choice(WRONG), {Result.INVALID}
        elif kind == "options":
            options = {"again": turn + 1}
            found.restarted += 1
        changed = configuration(bed, folder, {"aliases": [f"{{service}}-t{turn}"]}, options)
        if kind == "lossy":
            only = configuration(bed, folder, {"include": ["changing-1"]}, options)["registries"]
            changed["registries"], changed["max-loss"] = only, "10%"
            expected = {Result.REFUSED}
        elif kind == "order":
            changed["registries"] = [*reversed(registries(changed))]
        replace(bed.bridge.configuration, json.dumps(changed) if text is None else text)
        if chance.random() < 0.3:
            for _ in range(chance.randrange(1, 30)):
                bed.bridge.process.send(signal.SIGHUP)
        begun = time.monotonic()
        (answer,) = await ask([folder / "a.sock"], RELOAD, Reload(), Reloaded)
        found.slowest = max(found.slowest, time.monotonic() - begun)
        result = answer.value.result if answer.value is not None else answer.refusal
        if result not in expected:
            found.strange.append(f"turn {turn}: {kind} came to {result}")
        await asyncio.sleep(chance.uniform(0, 0.3))


async def look(bed: Bed, found: Found, over: asyncio.Event) -> None:
    """Look at what is served all the time."""
    async with aiohttp.ClientSession() as session:
        while not over.is_set():
            async with session.get(f"http://{bed.status}/api/services") as answer:
                services = {each["host"]: each["version"] for each in await answer.json()}
            for number in range(SERVICES):
                host = f"kept-{number}.kept"
                if host in services:
                    found.versions.setdefault(host, set()).add(services[host])
                else:
                    found.missing.append(host)
            found.looks += 1
            await asyncio.sleep(0.01)
