"""The command line, in the process of the test: exit codes, and what goes to which stream."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from meshbridge.cli.app import command_line
from meshbridge.cli.ending import complain, printable
from rig.distribution import install

VALID = """
version: 1
registries: [{name: shop, adapter: file, path: services.yaml}]
outlets: {mcp: {listen: "127.0.0.1:0"}}
"""


def meshbridge(*arguments: str | Path) -> Result:
    """Run a command as if typed."""
    return CliRunner().invoke(command_line(), [str(each) for each in arguments])


def write(folder: Path, text: str) -> Path:
    """Write a configuration and return where it is."""
    path = folder / "meshbridge.yaml"
    path.write_text(text)
    return path


def test_help_names_every_command_and_each_teaches_by_an_example() -> None:
    top = meshbridge("--help")
    assert top.exit_code == 0
    for name in ("run", "check", "dump", "diff", "adapters", "demo"):
        assert f"\n  {name} " in top.stdout
        shown = meshbridge(name, "--help")
        assert shown.exit_code == 0
        assert f"Example:  meshbridge {name}" in shown.stdout
        assert "\x1b" not in shown.stdout


def test_the_table_of_dump_tells_who_is_sent_as_healthy_and_is_not(tmp_path: Path) -> None:
    """In one word: a pipe splits the columns at spaces. The JSON says what is sent."""
    path = write(tmp_path, VALID)
    bad = "{address: 10.1.0.1, port: 8080, healthy: false}"
    good = "{address: 10.1.0.2, port: 8080}"
    (tmp_path / "services.yaml").write_text(
        f"services:\n- {{name: down, instances: [{bad}]}}\n"
        f"- {{name: half, instances: [{bad}, {good}]}}\n"
    )
    _, _, *rows = meshbridge("dump", "-c", path).stdout.splitlines()
    assert [(row.split()[0], row.split()[4]) for row in rows] == [
        ("down.file", "unhealthy(sent-as-healthy)"),
        ("half.file", "healthy"),
    ]
    services = json.loads(meshbridge("dump", "-c", path, "--format", "json").stdout)
    assert [each["endpoints"][0]["health"] for each in services] == ["healthy", "healthy"]


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ((80, 80), "2 services, 2 instances at 1 place (address and port), 0"),
        ((1, 2, 2), "3 services, 3 instances at 2 places (address and port), 0"),
        ((80, 81), "2 services, 2 instances, 0"),
    ],
)
def test_check_says_at_how_many_places_instances_of_several_services_are(
    ports: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    """An instance stands in each service that it registers, and counts in each."""
    path = write(tmp_path, VALID)
    services = (
        f"{{name: s{number}, instances: [{{address: 10.1.0.2, port: {port}}}]}}"
        for number, port in enumerate(ports)
    )
    (tmp_path / "services.yaml").write_text(f"services: [{', '.join(services)}]\n")
    assert f"shop (file): {said} problems\n" in meshbridge("check", "-c", path).stdout


@pytest.mark.parametrize("pattern", ["Orders.file", "http://orders.file:80/api", "ORDERS", "ord*"])
def test_a_service_is_selected_by_what_people_paste(pattern: str, tmp_path: Path) -> None:
    path = write(tmp_path, VALID)
    one = "instances: [{address: 10.1.0.2, port: 8080}]"
    (tmp_path / "services.yaml").write_text(
        f"services: [{{name: orders, {one}}}, {{name: bills, {one}}}]\n"
    )
    done = meshbridge("dump", "-c", path, "--format", "json", "--service", pattern)
    assert [each["host"] for each in json.loads(done.stdout)] == ["orders.file"]


@pytest.mark.parametrize("pattern", ["*:80", "orders:8080"])
def test_what_is_no_url_is_a_pattern_with_all_that_it_says(pattern: str, tmp_path: Path) -> None:
    path = write(tmp_path, VALID)
    one = "instances: [{address: 10.1.0.2, port: 8080}]"
    (tmp_path / "services.yaml").write_text(f"services: [{{name: orders, {one}}}]\n")
    done = meshbridge("dump", "-c", path, "--format", "json", "--service", pattern)
    assert json.loads(done.stdout) == []


def test_the_version_is_that_of_the_distribution() -> None:
    assert meshbridge("--version").stdout == f"meshbridge {version('meshbridge')}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check"], ["dump", "--nonsense"], ["run", "-c"], ["check", "x"]]
)
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    result = meshbridge(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize("command", ["run", "check", "dump"])
def test_every_command_says_each_fault_in_a_line_and_ends_with_2(
    command: str, tmp_path: Path
) -> None:
    path = write(tmp_path, VALID.replace("path:", "paht:").replace("version: 1", "version: 0"))
    result = meshbridge(command, "-c", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"error: {path}:2: version: found 0; this version reads 1",
        (
            f'error: {path}:3: registries[0].paht: unknown key; did you mean "path"?; '
            "known here: adapter, guard, name, path, publish, required"
        ),
        f"error: {path}:3: registries[0].path: missing; it must be given",
    ]


@pytest.mark.parametrize("command", ["run", "check", "dump"])
def test_a_missing_configuration_is_said_in_a_line(command: str, tmp_path: Path) -> None:
    path = tmp_path / "nope.yaml"
    result = meshbridge(command, "-c", path)
    assert result.exit_code == 2
    assert result.stderr == f"error: {path}: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bridge_that_would_serve_nobody_is_told_how_to(command: str, tmp_path: Path) -> None:
    path = write(tmp_path, VALID.partition("outlets")[0])
    result = meshbridge(command, "-c", path)
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {path}: outlets: missing; say who is to be served: "
        "outlets: {xds: {}} for Envoy, {mcp: {}} for istiod\n"
    )


def test_check_offline_touches_no_registry(tmp_path: Path) -> None:
    """The file that the registry would read does not even exist."""
    path = write(tmp_path, VALID)
    result = meshbridge("check", "-c", path, "--offline")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{path}: valid: 1 registry; outlets: mcp\n"


def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    result = meshbridge("dump", "-c", write(tmp_path, VALID), "--format", "yaml")
    assert result.exit_code == 2
    assert result.stderr == ('error: --format: found "yaml"; allowed: envoy, istio, json, table\n')


def test_adapters_lists_what_is_installed_with_every_option() -> None:
    result = meshbridge("adapters")
    assert (result.exit_code, result.stderr) == (0, "")
    headings = [line for line in result.stdout.splitlines() if line[:1].strip()]
    own = f"(built in: meshbridge {version('meshbridge')})"
    assert headings == [
        f"adapter eureka  {own}",
        f"adapter file  {own}",
        f"adapter nacos  {own}",
        f"adapter zookeeper-dubbo  {own}",
        f"outlet mcp  {own}",
        f"outlet xds  {own}",
    ]
    rows = [line.split(maxsplit=1) for line in result.stdout.splitlines() if line[:2] == "  "]
    assert next(rest for key, rest in rows if key == "path").startswith("path  required  ")
    assert "secret" in next(rest for key, rest in rows if key == "password")


ACME = """
from collections.abc import Callable
from datetime import timedelta
from pydantic import BaseModel, Field
from meshbridge.settings import Duration, Secret

class Acme:
    class Options(BaseModel):
        servers: list[str] = Field(description="Where it is")
        poll_every: Duration = timedelta(minutes=5)
        token: Secret = Secret("built-in")
        mode: str | int = "fast"
        started: list[int] = Field(default_factory=lambda: [1])
    def __init__(self, name, options, context): ...

class Broken:
    Options = None
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a third party's adapter, and one that is none."""
    site = install(
        tmp_path / "site",
        "acme-registry",
        version="3.1",
        modules={"acme_registry": ACME},
        entry_points={
            "meshbridge.adapters": {
                "acme": "acme_registry:Acme",
                "broken": "acme_registry:Broken",
            }
        },
    )
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    yield
    sys.modules.pop("acme_registry", None)


@pytest.mark.usefixtures("third_party")
def test_adapters_shows_a_third_partys_options_and_says_what_cannot_be_loaded() -> None:
    """The others are listed all the same, and no default shows a secret."""
    result = meshbridge("adapters")
    assert result.exit_code == 1
    block = result.stdout.partition("adapter acme  ")[2].partition("\n\n")[0].splitlines()
    assert block[0] == "(third party: acme-registry 3.1)"
    assert [" ".join(line.split()) for line in block[1:]] == [
        "servers list of text required Where it is",
        "poll-every duration 5m",
        "token secret ***",
        "mode text or whole number fast",
        "started list of whole number [1]",
    ]
    assert "adapter nacos  (built in" in result.stdout
    assert result.stderr == (
        'error: adapter "broken" of acme-registry 3.1 is no adapter: acme_registry:Broken has no '
        "pydantic model named Options; reinstall or upgrade acme-registry\n"
    )


def test_what_a_registry_holds_cannot_forge_a_line_or_steer_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    complain("orders\nerror: all is lost \x1b[2J")
    assert capsys.readouterr().err == "error: orders\\nerror: all is lost \\x1b[2J\n"
    assert printable("订单 ok") == "订单 ok"


def test_help_does_not_wait_for_what_only_a_command_needs() -> None:
    """The rule behind a quick start: no gRPC, no web server, no YAML, no plug-in."""
    code = (
        "import sys, json; sys.argv = ['meshbridge', '--help']\n"
        "from meshbridge.cli import main\n"
        "try: main()\n"
        "except SystemExit: sys.stderr.write(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    modules: list[str] = json.loads(done.stderr)
    slow = {"grpc", "aiohttp", "yaml", "watchfiles", "prometheus_client", "meshbridge_xds"}
    assert not slow & set(modules)
