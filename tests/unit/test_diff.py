"""`meshbridge diff` on files: what is printed, what the code is, and what cannot be compared."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from meshbridge.cli.app import command_line
from meshbridge.cli.diff.sources import (
    NotComparable,
    RunningBridge,
    RunningIstiod,
    SavedFile,
    Source,
    StandardInput,
    shown,
    source_of,
)

CAPTURED = Path(__file__).parent / "testing" / "captured"


def diff(a: str | Path, b: str | Path, *options: str, stdin: str | None = None) -> Result:
    """Run the command as if typed."""
    return CliRunner().invoke(command_line(), ["diff", str(a), str(b), *options], input=stdin)


def endpoint(address: str = "10.1.0.1", **fields: object) -> dict[str, object]:
    """Return an endpoint as a dump holds it."""
    usual = {
        "address": address,
        "ports": {"http-80": 8080},
        "weight": 100,
        "health": "healthy",
        "locality": "cn/h",
        "labels": {"version": "v1"},
    }
    return usual | fields


def service(host: str, *endpoints: Mapping[str, object], **fields: object) -> dict[str, object]:
    """Return a service as a dump holds it."""
    usual: dict[str, object] = {
        "host": host,
        "namespace": "shop",
        "ports": [{"number": 80, "protocol": "http", "name": "http-80"}],
        "endpoints": list(endpoints),
        "labels": {},
        "version": "1",
        "sources": [{"registry": "shop", "name": host.partition(".")[0]}],
        "aliases": [],
        "addresses": [],
    }
    return usual | fields


def write(path: Path, *services: Mapping[str, object]) -> Path:
    """Write a dump and return where it is."""
    path.write_text(json.dumps(services))
    return path


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """Return a dump."""
    return write(
        tmp_path / "a.json",
        service("billing.file", endpoint()),
        service("orders.file", endpoint(), endpoint("10.1.0.2")),
        service("stock.file"),
    )


def test_the_same_content_is_no_difference_whatever_version_it_has(a: Path, tmp_path: Path) -> None:
    services = json.loads(a.read_text())
    b = write(tmp_path / "b.json", *({**each, "version": "2"} for each in reversed(services)))
    result = diff(a, b)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "no differences: 3 hosts in both\n"


def test_what_differs_is_shown_by_host_with_minus_and_plus(a: Path, tmp_path: Path) -> None:
    b = write(
        tmp_path / "b.json",
        service("carts.file"),
        service(
            "orders.file",
            endpoint(weight=300, health="degraded", labels={"version": "v2", "lane": ""}),
            endpoint("fd00::1", locality=""),
            namespace="web",
            ports=[{"number": 81, "protocol": "http", "name": "http-81"}],
            labels={"team": "blue"},
            aliases=["orders"],
            addresses=["240.1.1.1"],
            sources=[{"registry": "east", "name": "orders"}],
        ),
        service("stock.file"),
    )
    result = diff(a, b)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        f"3 hosts differ: 1 only in {a}, 1 only in {b}, 1 changed; 1 alike",
        f"--- {a}",
        f"+++ {b}",
        "- billing.file: http-80; 1 endpoint",
        "+ carts.file: http-80; 0 endpoints",
        "  orders.file",
        "    namespace: shop -> web",
        "    - port http-80: 80, http",
        "    + port http-81: 81, http",
        "    + alias orders",
        "    + virtual address 240.1.1.1",
        "    + label team=blue",
        "    - source shop:orders",
        "    + source east:orders",
        "    - endpoint 10.1.0.2 http-80=8080: weight 100, healthy, cn/h, version=v1",
        "    + endpoint fd00::1 http-80=8080: weight 100, healthy, version=v1",
        (
            "    endpoint 10.1.0.1 http-80=8080: weight 100 -> 300, health healthy -> degraded, "
            'label version v1 -> v2, label lane none -> ""'
        ),
    ]


def test_json_has_all_that_differs_for_machines(a: Path, tmp_path: Path) -> None:
    changed = service("orders.file", endpoint(weight=1), endpoint("10.1.0.3"), aliases=["orders"])
    b = write(tmp_path / "b.json", service("billing.file", endpoint()), changed)
    result = diff(a, b, "--format", "json", "--limit", "1")
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout) == {
        "a": {"name": str(a), "hosts": 3},
        "b": {"name": str(b), "hosts": 2},
        "same": 1,
        "only_a": [service("stock.file", version="")],
        "only_b": [],
        "changed": [
            {
                "host": "orders.file",
                "aliases": {"only_a": [], "only_b": ["orders"]},
                "changed_endpoints": [
                    {"a": endpoint(), "b": endpoint(weight=1), "fields": ["weight"]}
                ],
                "endpoints": {
                    "only_a": [endpoint("10.1.0.2")],
                    "only_b": [endpoint("10.1.0.3")],
                },
            }
        ],
        "not_compared": [],
    }
    same = diff(a, a, "--format", "json")
    assert same.exit_code == 0
    assert json.loads(same.stdout)["changed"] == []


def test_what_is_shown_is_bounded_in_hosts_and_in_lines_of_a_host(tmp_path: Path) -> None:
    empty = write(tmp_path / "a.json", service("h00.file"))
    many = (endpoint(f"10.1.0.{n}") for n in range(9))
    hosts = (service(f"h{n:02}.file") for n in range(1, 20))
    full = write(tmp_path / "b.json", service("h00.file", *many), *hosts)
    lines = diff(empty, full, "--limit", "4").stdout.splitlines()
    assert lines[0].startswith(f"20 hosts differ: 19 only in {full}, 1 changed; 0 alike")
    assert [line for line in lines[3:] if not line.startswith("    ")] == [
        "  h00.file",
        *(f"+ h0{n}.file: http-80; 0 endpoints" for n in (1, 2, 3)),
        "and 16 more: --limit 20 shows them all",
    ]
    assert lines[8] == "    and 5 more"


@pytest.mark.parametrize("pattern", ["orders", "orders.*", "alias"])
def test_a_service_is_chosen_by_any_of_its_names_on_either_side(
    a: Path, tmp_path: Path, pattern: str
) -> None:
    b = write(tmp_path / "b.json", service("orders.file", endpoint(), aliases=["alias"]))
    result = diff(a, b, "--service", pattern)
    assert result.exit_code == 1
    assert result.stdout.startswith("1 host differs: 1 changed; 0 alike\n")


def test_a_pattern_that_nothing_matches_compares_nothing(a: Path) -> None:
    result = diff(a, a, "--service", "nope*")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == 'error: --service: no service is called like "nope*" on either side\n'


def test_a_dump_is_compared_with_what_is_piped_in(a: Path) -> None:
    assert diff(a, "-", stdin=a.read_text()).exit_code == 0
    result = diff("-", a, stdin="[]")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"3 hosts differ: 3 only in {a}; 0 alike\n--- -\n")


def test_stdin_can_be_one_side_only() -> None:
    result = diff("-", "-")
    assert result.exit_code == 2
    assert result.stderr == ("error: -: stdin can be one side only; name a file for the other\n")


def test_a_dump_that_is_older_is_compared_in_what_it_says(a: Path, tmp_path: Path) -> None:
    services: list[dict[str, object]] = json.loads(a.read_text())
    services[0]["aliases"] = ["billing"]
    newer = write(tmp_path / "newer.json", *services)
    for each in services:
        del each["aliases"], each["addresses"]
    older = write(tmp_path / "older.json", *services)
    result = diff(newer, older)
    assert (result.exit_code, result.stdout) == (0, "no differences: 3 hosts in both\n")
    assert result.stderr == (
        f"note: not compared: virtual addresses and aliases ({older} does not say them)\n"
    )


def test_an_istiods_answer_is_compared_in_what_it_was_told(tmp_path: Path) -> None:
    """No health, no dubbo apart from tcp, and only what came from a bridge."""
    configz = json.loads((CAPTURED / "istiod-configz.json").read_text())
    b = tmp_path / "configz"
    b.write_text(json.dumps([*configz, {"kind": "ServiceEntry", "metadata": {"name": "own"}}]))
    pay = service(
        "pay.file",
        endpoint(ports={"dubbo-20880": 20880, "http-80": 8080}, locality="", labels={}),
        endpoint("10.1.0.9", health="degraded"),
        ports=[
            {"number": 80, "protocol": "http", "name": "http-80"},
            {"number": 20880, "protocol": "dubbo", "name": "dubbo-20880"},
        ],
        addresses=["249.161.0.145"],
    )
    a = write(tmp_path / "a.json", pay)
    result = diff(a, b, "--service", "pay*")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[3:] == [
        "  pay.file",
        "    + endpoint fd00::1 http-80=8080: weight 100, healthy",
    ]
    assert result.stderr.splitlines() == [
        (
            "note: not compared: health and endpoints that are not healthy, dubbo apart from tcp, "
            f"what istiod would refuse ({b} is never told)"
        ),
        f"note: not compared: 1 ServiceEntries in {b} that no bridge sent",
    ]
    assert diff(b, b).exit_code == 0


def test_a_configuration_is_compared_by_what_its_registries_hold(a: Path, tmp_path: Path) -> None:
    instance = {"address": "10.1.0.1", "port": 8080, "zone": "cn/h", "metadata": {"version": "v1"}}
    other = {**instance, "address": "10.1.0.2", "weight": 2}
    services = [
        {"name": "billing", "instances": [instance]},
        {"name": "orders", "instances": [instance, other]},
        {"name": "stock"},
    ]
    (tmp_path / "services.yaml").write_text(json.dumps({"services": services}))
    config = tmp_path / "meshbridge.yaml"
    config.write_text(
        "{version: 1, registries: [{name: shop, adapter: file, path: services.yaml}]}"
    )
    result = diff(a, config)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "1 host differs: 1 changed; 2 alike",
        f"--- {a}",
        f"+++ {config}",
        "  orders.file",
        "    endpoint 10.1.0.2 http-80=8080: weight 100 -> 200",
    ]


@pytest.mark.parametrize(("required", "code"), [("true", 2), ("false", 1)])
def test_a_registry_that_cannot_be_read_is_not_compared(
    a: Path, tmp_path: Path, required: str, code: int
) -> None:
    """Its services must not look like ones that are gone, unless the configuration allows it."""
    config = tmp_path / "meshbridge.yaml"
    registry = f"{{name: shop, adapter: file, path: nope.yaml, required: {required}}}"
    config.write_text(f"{{version: 1, registries: [{registry}]}}")
    result = diff(config, a, "--wait", "500ms")
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert f": {config}: shop (file): services cannot be read: " in line
    assert bool(result.stdout) == (code == 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "it is no JSON: Input data was truncated"),
        ("[1]", "it is no dump of services: Expected `object`, got `int` - at `$[0]`"),
        ('[{"host": "a"}]', "it is no dump of services: Object missing required field `namespace`"),
        ("[" * 100_000, "it is no dump of services: "),
        (
            '[{"kind": "ServiceEntry", "metadata": 1}]',
            "it is no answer of istiod's /debug/configz: ",
        ),
        (
            json.dumps([service("x"), service("x")]),
            "host 'x' stands in it twice",
        ),
        (
            json.dumps([service("x", endpoint(health="fine"))]),
            "it is no dump of services: Invalid enum value 'fine' - at `$[0].endpoints[0].health`",
        ),
    ],
)
def test_a_file_that_is_no_dump_is_said_in_a_line(
    a: Path, tmp_path: Path, text: str, said: str
) -> None:
    b = tmp_path / "b.json"
    b.write_text(text)
    result = diff(a, b)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {b}: {said}")


def test_a_file_that_is_not_there_is_said_with_how_a_bridge_is_named(a: Path) -> None:
    result = diff(a, "127.0.0.1:15014")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: 127.0.0.1:15014: cannot be read: No such file or directory; "
        "a running bridge is named like http://127.0.0.1:15014\n"
    )


def test_a_file_that_is_too_large_is_not_read(
    a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshbridge.cli.diff.sources.LARGEST", 2)
    result = diff(a, write(tmp_path / "b.json"), "--format", "text")
    assert result.exit_code == 2
    assert "it is larger than" in result.stderr


@pytest.mark.parametrize("arguments", [["a"], ["a", "b", "c"], ["a", "b", "--limit", "0"]])
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(command_line(), ["diff", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_unknown_format_is_answered_with_the_known_ones(a: Path) -> None:
    result = diff(a, a, "--format", "yaml")
    assert result.exit_code == 2
    assert result.stderr == 'error: --format: found "yaml"; allowed: text, json\n'


def test_help_teaches_how_a_side_is_named() -> None:
    shown = CliRunner().invoke(command_line(), ["diff", "--help"])
    assert shown.exit_code == 0
    for word in ("istiod+http://", "/debug/configz", "http://HOST:PORT", "stdin", "Exit code 0"):
        assert word in shown.stdout
    assert "Example:  meshbridge diff" in shown.stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http://h:1", RunningBridge("http://h:1/api/services")),
        ("http://h:1/", RunningBridge("http://h:1/api/services")),
        ("https://h/bridge", RunningBridge("https://h/bridge/api/services")),
        ("http://h:1/api/services", RunningBridge("http://h:1/api/services")),
        ("http://h:1/debug/configz", RunningIstiod("http://h:1/debug/configz")),
        ("istiod+http://h:1", RunningIstiod("http://h:1/debug/configz")),
        ("istiod+https://h:1/debug/configz", RunningIstiod("https://h:1/debug/configz")),
        ("meshbridge.yaml", SavedFile(Path("meshbridge.yaml"))),
        ("-", StandardInput()),
    ],
)
def test_sides_are_told_apart_by_how_they_are_written(typed: str, meant: Source) -> None:
    assert source_of(typed) == meant


@pytest.mark.parametrize(
    "typed", ["ftp://h", "http://", "http://h:x", "http://[::1", "istiod+a://b"]
)
def test_what_is_no_such_url_is_refused_in_a_line(typed: str) -> None:
    with pytest.raises(NotComparable, match=r"^[^\n]+$") as error:
        source_of(typed)
    assert str(error.value).startswith(f"{typed}: ")


def test_a_password_in_a_url_is_not_shown() -> None:
    assert shown("http://me:hunter2@h:1/x") == "http://***@h:1/x"
    assert shown("http://h:1/x@y") == "http://h:1/x@y"
    assert shown("me@home.json") == "me@home.json"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_an_answer_that_cannot_be_written_is_neither_a_yes_nor_a_no(a: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "meshbridge", "diff", a, a],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: stdout cannot be written: ")


def test_names_can_neither_forge_a_line_nor_steer_a_terminal(tmp_path: Path) -> None:
    a = write(tmp_path / "a.json", service("x\n+ y \x1b[2J"))
    result = diff(a, write(tmp_path / "b.json"))
    assert result.stdout.splitlines()[3:] == ["- x\\n+ y \\x1b[2J: http-80; 0 endpoints"]
