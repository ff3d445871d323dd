"""The commands as people run them: real processes, a file registry, real ports on loopback."""

import asyncio
import contextlib
import errno
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from rig.bridge import Bridge
from rig.waiting import until

VERSION = {"version": 1}
SERVICES = {
    "services": [
        {
            "name": "orders",
            "instances": [
                {"address": "10.1.0.1", "port": 8081, "weight": 1, "zone": "h"},
                {"address": "10.1.0.2", "port": 8081, "weight": 3},
                {"address": "10.1.0.3", "port": 0},
                {"address": "10.1.0.4", "port": 81, "weight": float("nan")},
                {"address": "10.1.0 .5", "port": 81},
                {"address": "127.0.0.1", "port": 81},
            ],
        },
        {"name": "!!!", "instances": [{"address": "10.1.0.6", "port": 1}]},
        {"name": "billing", "instances": [{"address": "10.1.0.7", "port": 90}]},
    ]
}
LEFT_OUT = {
    "orders, instance 10.1.0.3:0": "port",
    "orders, instance 10.1.0.4:81": "weight nan",
    "orders, instance 10.1.0 .5:81": "is not an IP address",
    "orders, instance 127.0.0.1:81": "loopback",
    "!!!": "no host can be made",
}
"""Things that cannot be published, and a word of the reason that must be given."""


def configuration(**changes: object) -> dict[str, object]:
    """Return a configuration that works beside ``services.yaml``, with these keys instead."""
    usual: dict[str, object] = {
        "version": 1,
        "registries": [{"name": "shop", "adapter": "file", "path": "services.yaml"}],
        "outlets": {"xds": {"listen": "127.0.0.1:0"}},
        "status": {"listen": "127.0.0.1:0"},
    }
    return usual | changes


def registry(**changes: object) -> dict[str, object]:
    """Return a configuration whose one registry has these keys instead."""
    entry: dict[str, object] = {"name": "shop", "adapter": "file", "path": "services.yaml"}
    return configuration(registries=[entry | changes])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file registry that holds good and impossible things."""
    (tmp_path / "services.yaml").write_text(json.dumps(SERVICES).replace("NaN", ".nan"))
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def meshbridge(
    folder: Path, command: str, content: Mapping[str, object], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command on a configuration in the folder, to its end."""
    path = folder / "meshbridge.yaml"
    path.write_text(json.dumps(content, indent=1))
    return subprocess.run(
        [sys.executable, "-m", "meshbridge", command, "-c", path, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (configuration(rigistries=[]), 'rigistries: unknown key; did you mean "registries"?'),
        (registry(required=1), "registries[0].required: found 1; true or false is allowed"),
        (registry(path=["x"]), "registries[0].path: found a list; must be the path of a file"),
        (
            configuration(
                registries=[
                    {
                        "name": "shop",
                        "adapter": "nacos",
                        "servers": ["127.0.0.1:8848"],
                        "discover-every": "10 sec",
                    }
                ]
            ),
            'registries[0].discover-every: found "10 sec"; must be a duration like 500ms, 10s',
        ),
        (registry(path="${env:MESHBRIDGE_NOT_SET}"), "variable MESHBRIDGE_NOT_SET is not set"),
        (registry(path="${file:/nope}"), "the file /nope cannot be read: No such file"),
        (
            registry(adapter="flie"),
            'registries[0].adapter: found "flie"; did you mean "file"?; installed: eureka, file',
        ),
        (
            configuration(
                registries=[
                    {"name": "shop", "adapter": "file", "path": "services.yaml"},
                    {"name": "shop", "adapter": "file", "path": "services.yaml"},
                ]
            ),
            'registries[1].name: found "shop", which is the name of registries[0] too',
        ),
        (
            configuration(outlets={"xds": {"listen": "0.0.0.0:0"}}),
            'outlets.xds: listens beyond loopback (0.0.0.0:0) without TLS; give it tls, or say "tl',
        ),
    ],
    ids=[
        "unknown key",
        "wrong type",
        "wrong kind",
        "bad duration",
        "unset variable",
        "missing file",
        "unknown adapter",
        "one name twice",
        "open listener",
    ],
)
def test_a_wrong_configuration_ends_the_start_with_one_line(
    folder: Path, content: Mapping[str, object], said: str
) -> None:
    """Exit code 2, nothing but the line, and no traceback."""
    done = meshbridge(folder, "run", content)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {folder}/meshbridge.yaml:")
    assert said in line


@pytest.mark.parametrize("place", ["outlets.xds", "outlets.mcp", "status"])
def test_a_port_in_use_ends_the_start_with_one_line(
    folder: Path, taken_port: int, place: str
) -> None:
    """Its place in the configuration, the address, and what to do; beside the JSON of the log."""
    listen = {"listen": f"127.0.0.1:{taken_port}"}
    section, _, outlet = place.partition(".")
    content = configuration(**{section: {outlet: listen} if outlet else listen})
    done = meshbridge(folder, "run", content)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith(f"error: {place}.listen: ")
    assert f"127.0.0.1:{taken_port}" in line
    assert "in use" in line
    assert "Traceback" not in done.stderr


def test_what_cannot_be_published_is_left_out_and_shown_by_dump(folder: Path) -> None:
    """The rest is served."""
    done = meshbridge(folder, "dump", configuration(), "--format", "json")
    assert done.returncode == 0, done.stderr
    hosts = {service["host"]: service for service in json.loads(done.stdout)}
    assert set(hosts) == {"orders.file", "billing.file"}
    served = [(each["address"], each["weight"]) for each in hosts["orders.file"]["endpoints"]]
    assert served == [("10.1.0.1", 100), ("10.1.0.2", 300)]
    problems = done.stderr.splitlines()
    assert len(problems) == len(LEFT_OUT)
    for thing, reason in LEFT_OUT.items():
        (line,) = [line for line in problems if line.startswith(f"problem: shop: {thing}: ")]
        assert reason in line


def test_the_table_has_a_whole_line_for_each_endpoint(folder: Path) -> None:
    """For a pipe: no colours, nothing cut, every line can be found by itself."""
    done = meshbridge(folder, "dump", configuration())
    first, *rest = done.stdout.splitlines()
    assert first == "# shop: 3 services, 8 instances"
    lines = [line.split() for line in rest]
    assert lines[0] == ["HOST", "PORTS", "ENDPOINT", "WEIGHT", "HEALTH", "LOCALITY", "SOURCE"]
    assert lines[1:] == [
        ["billing.file", "http-80", "10.1.0.7:90", "100", "healthy", "-", "shop:billing"],
        ["orders.file", "http-80", "10.1.0.1:8081", "100", "healthy", "/h", "shop:orders"],
        ["orders.file", "http-80", "10.1.0.2:8081", "300", "healthy", "-", "shop:orders"],
    ]
    assert "\x1b" not in done.stdout


def test_the_table_shows_which_endpoint_has_which_port(folder: Path) -> None:
    """And the ports of the host that no endpoint has."""
    both = [{"port": 20881, "protocol": "dubbo"}, {"port": 50052, "protocol": "tri"}]
    instances = [
        {"address": "10.1.0.1", "port": 20881, "protocol": "dubbo"},
        {"address": "10.1.0.2", "ports": both},
        {"address": "10.1.0.3", "port": 8080, "protocol": "http", "healthy": False},
    ]
    services = {"services": [{"name": "orders", "instances": instances}]}
    (folder / "services.yaml").write_text(json.dumps(services))
    done = meshbridge(folder, "dump", configuration())
    assert [line.split()[1:3] for line in done.stdout.splitlines()[2:]] == [
        ["dubbo-20880", "10.1.0.1:20881"],
        ["dubbo-20880,grpc-50051", "10.1.0.2:20881,10.1.0.2:50052"],
        ["http-80", "none"],
    ]


@pytest.mark.parametrize("pattern", ["orders", "orders.*", "o*.file"])
def test_a_service_is_dumped_by_its_host_or_by_its_name_in_the_registry(
    folder: Path, pattern: str
) -> None:
    done = meshbridge(folder, "dump", configuration(), "-f", "json", "-s", pattern)
    assert done.returncode == 0, done.stderr
    assert [service["host"] for service in json.loads(done.stdout)] == ["orders.file"]


def test_a_pattern_that_nothing_matches_is_a_no(folder: Path) -> None:
    done = meshbridge(folder, "dump", configuration(), "-f", "json", "-s", "nope*")
    assert done.returncode == 1
    assert json.loads(done.stdout) == []
    assert 'error: --service: no service is called like "nope*"' in done.stderr.splitlines()


@pytest.mark.parametrize(("form", "word"), [("istio", "ServiceEntry"), ("envoy", "10.1.0.7")])
def test_an_outlet_renders_its_format_whether_it_is_configured_or_not(
    folder: Path, form: str, word: str
) -> None:
    """Only xds is configured here; istio is mcp's."""
    done = meshbridge(folder, "dump", configuration(), "--format", form)
    assert done.returncode == 0, done.stderr
    assert word in done.stdout


def test_dump_prints_nothing_when_a_required_registry_cannot_be_read(folder: Path) -> None:
    """A part of the services must not look like all of them, least of all to kubectl apply."""
    (folder / "services.yaml").write_text("services: [")
    done = meshbridge(folder, "dump", configuration(), "--format", "istio", "--wait", "500ms")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: shop (file): services cannot be read: ")
    assert len(done.stderr.splitlines()) == 1


def test_check_says_what_each_registry_holds(folder: Path) -> None:
    done = meshbridge(folder, "check", configuration())
    assert done.returncode == 0, done.stderr
    valid, shop, *problems = done.stdout.splitlines()
    assert valid == f"{folder}/meshbridge.yaml: valid: 1 registry; outlets: xds"
    assert shop == "shop (file): 3 services, 8 instances, 5 problems"
    assert len(problems) == len(LEFT_OUT)


def test_check_is_a_no_when_a_registry_cannot_be_read(folder: Path) -> None:
    """The others are tried all the same."""
    other = folder / "other.yaml"
    other.write_text("services: [{name: users}]")
    entries = [
        {"name": "shop", "adapter": "file", "path": "nope.yaml"},
        {"name": "more", "adapter": "file", "path": "other.yaml"},
    ]
    done = meshbridge(folder, "check", configuration(registries=entries), "--wait", "500ms")
    assert done.returncode == 1
    assert done.stderr == ""
    _, shop, more = done.stdout.splitlines()
    assert shop.startswith("shop (file): services cannot be read: ")
    assert more == "more (file): 1 service, 0 instances, 0 problems"


def test_a_password_is_shown_nowhere(folder: Path) -> None:
    """Neither a literal one nor one from outside, whatever the command says about the registry."""
    entries = [
        {
            "name": name,
            "adapter": "nacos",
            "servers": ["127.0.0.1:1"],
            "username": "bridge",
            "password": password,
        }
        for name, password in (("literal", "hunter2"), ("outside", "${file:secret}"))
    ]
    (folder / "secret").write_text("hunter2\n")
    done = meshbridge(folder, "check", configuration(registries=entries), "--wait", "500ms")
    assert done.returncode == 1
    assert "cannot be read" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_a_table_says_first_what_of_it_could_not_be_read(folder: Path) -> None:
    """What is missing must not look like what is not there."""
    away = {"name": "old", "adapter": "file", "path": "old.yaml", "required": False}
    configured = configuration()
    configured["registries"] = [*cast("list[object]", configured["registries"]), away]
    done = meshbridge(folder, "dump", configured, "--wait", "500ms")
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert first.startswith("# shop: 3 services, 8 instances; old: 0 services, 0 instances, ")
    assert "services not read: " in first
    assert "old.yaml" in first


def test_a_terminal_gets_a_table_that_fits_it(folder: Path) -> None:
    """What repeats is left out; nothing that a registry says is taken for markup or a command."""
    path = folder / "meshbridge.yaml"
    path.write_text(json.dumps(configuration()))
    services = [
        {"name": "[red]a", "instances": [{"address": f"10.1.0.{n}", "port": 80} for n in (1, 2)]}
    ]
    (folder / "services.yaml").write_text(json.dumps({"services": services}))
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "meshbridge", "dump", "-c", path],
        stdout=inside,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm"},
    ) as dump:
        os.close(inside)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side was closed
            while part := os.read(terminal, 65536):
                shown += part
        os.close(terminal)
    assert dump.returncode == 0
    rows = shown.decode().splitlines()
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", row)) <= 100 for row in rows)
    assert "shop:[red]a" in rows[2]
    assert "10.1.0.2:80" in rows[3]
    assert "shop:" not in rows[3]


@pytest.mark.asyncio
async def test_what_cannot_be_published_is_left_out_and_shown_by_a_running_bridge(
    folder: Path,
) -> None:
    """In ``/api/problems``, in the registry's own words; the rest is served."""
    async with Bridge(folder, configuration()) as bridge:
        await bridge.address("xds")
        url = f"http://{await bridge.address('status')}"

        async with aiohttp.ClientSession(url) as client:

            async def is_ready() -> bool:
                async with client.get("/readyz") as answer:
                    return answer.status == 200

            await bridge.process.ready(is_ready, within=10)
            async with client.get("/api/problems") as answer:
                problems = {each["subject"]: each for each in await answer.json()}
            async with client.get("/api/services") as answer:
                hosts = [each["host"] for each in await answer.json()]
    assert set(problems) == set(LEFT_OUT)
    for thing, reason in LEFT_OUT.items():
        assert problems[thing]["registry"] == "shop"
        assert reason in problems[thing]["reason"]
        assert problems[thing]["remedy"]
    assert hosts == ["billing.file", "orders.file"]


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_bridge_cleanly(folder: Path, number: signal.Signals) -> None:
    async with Bridge(folder, configuration()) as bridge:
        await bridge.address("xds")
        bridge.process.send(number)
        assert await bridge.process.exited(within=10) == 0
    events = [line["event"] for line in bridge.events("started") + bridge.events("stopped")]
    assert events == ["started", "stopped"]
    assert bridge.events("stopping")[0]["signal"] == number.name


def test_a_reader_that_goes_away_early_sees_no_complaint(folder: Path) -> None:
    """``meshbridge dump | head -1``."""
    path = folder / "meshbridge.yaml"
    path.write_text(json.dumps(configuration()))
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "meshbridge", "dump", "-c", path],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as dump:
        os.close(writing)
        _, complaints = dump.communicate(timeout=60)
    assert dump.returncode == 1
    assert complaints == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_an_answer_that_cannot_be_written_is_a_no(folder: Path) -> None:
    path = folder / "meshbridge.yaml"
    path.write_text(json.dumps(configuration()))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "meshbridge", "dump", "-c", path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == f"error: stdout cannot be written: {os.strerror(errno.ENOSPC)}\n"


def test_the_bridge_outlives_whoever_read_its_log(folder: Path) -> None:
    """``meshbridge run 2> >(head -1)``: what cannot be logged is lost, and traffic is not."""
    path = folder / "meshbridge.yaml"
    path.write_text(json.dumps(configuration()))
    command = [sys.executable, "-m", "meshbridge", "run", "-c", str(path)]
    # An unbuffered log has nothing left to be written at the end.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=buffered) as run:
        assert run.stderr is not None
        lines = (json.loads(line) for line in run.stderr)
        status = next(line["address"] for line in lines if line.get("name") == "status")
        run.stderr.close()
        (folder / "services.yaml").write_text("services: [{")

        async def readiness() -> str:
            async with aiohttp.request("GET", f"http://{status}/readyz") as answer:
                return await answer.text()

        asyncio.run(until(readiness, lambda text: "stale" in text, within=10))
        run.terminate()
        assert run.wait(15) == 0


def test_a_closed_stdout_is_no_fault(folder: Path) -> None:
    """``meshbridge check >&-``."""
    path = folder / "meshbridge.yaml"
    path.write_text(json.dumps(configuration()))
    command = 'exec "$0" -m meshbridge check -c "$1" >&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, path],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
