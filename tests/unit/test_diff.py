"""`meshbridge diff` on files: what is printed, what the code is, and what cannot be compared."""

import json
import os
import sys
from pathlib import Path

import pytest
from unit.dumps import diff, endpoint, service, write

CAPTURED = Path(__file__).parent / "testing" / "captured"


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
            endpoint("fd00::1", locality="", network="dc2", service_account="pay"),
            namespace="web",
            ports=[{"number": 81, "protocol": "http", "name": "http-81"}],
            labels={"team": "blue"},
            aliases=["orders"],
            addresses=["240.1.1.1"],
            sources=[{"registry": "east", "name": "orders"}],
            export_to=["."],
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
        "    + export to .",
        "    - endpoint 10.1.0.2 http-80=8080: weight 100, healthy, cn/h, version=v1",
        (
            "    + endpoint fd00::1 http-80=8080: weight 100, healthy, version=v1, network dc2, "
            "service account pay"
        ),
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


@pytest.mark.parametrize(
    "pattern", ["orders", "orders.*", "alias", "Orders.File", "http://alias:80/x"]
)
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
    for each in (saved := json.loads(a.read_text())):
        for known in each["endpoints"]:  # what publishing adds
            known["labels"]["service.istio.io/canonical-name"] = each["sources"][0]["name"]
    write(a, *saved)
    result = diff(a, config)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "1 host differs: 1 changed; 2 alike",
        f"--- {a}",
        f"+++ {config}",
        "  orders.file",
        "    endpoint 10.1.0.2 http-80=8080: weight 100 -> 200",
    ]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes only text as a name")
def test_a_file_may_have_a_name_that_is_no_text(a: Path, tmp_path: Path) -> None:
    b = write(tmp_path / os.fsdecode(b"\xff.json"))
    result = diff(a, b)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[2] == f"+++ {tmp_path}/\\udcff.json"
    assert json.loads(diff(a, b, "-f", "json").stdout)["b"] == {"name": str(b), "hosts": 0}
