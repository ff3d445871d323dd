"""What stands in compose/ is what Compose takes, and its files agree with each other."""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from unit.deploy.shipped import base

from meshbridge.settings.loading import load_settings
from meshbridge_xds.options import XdsOptions
from rig.bed import SOURCES, VERSIONS, versions
from rig.compose_counts import counts, follow, shares
from rig.compose_file import FILE, FOLDER, Compose, ComposeRefused, read
from rig.compose_processes import names

TEXT = FILE.read_text(encoding="utf-8")
SCHEMA = ("--builtin-schema", "vendor.compose-spec")
NAMED = re.compile(r"\b([a-z][a-z.-]*[a-z]):(\d+)\b")
"""A host by its name, and a port."""


@pytest.fixture
def compose() -> Compose:
    return read(TEXT, {})


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *SCHEMA, file],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_is_what_the_compose_specification_asks_for() -> None:
    done = checked(FILE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_that_the_specification_does_not_know_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(TEXT.replace("expose:", "exposes:"))

    assert "exposes" in checked(wrong).stdout


def test_a_variable_has_its_value_or_its_default() -> None:
    def places(**variables: str) -> set[str]:
        services = read(TEXT, variables).services.values()
        return {each.address.rpartition(".")[0] for each in services}

    assert places() == {"10.89.77"}
    assert places(SUBNET="") == {"10.89.77"}
    assert places(SUBNET="10.1.2") == {"10.1.2"}
    assert "host=10.1.2.21" in read(TEXT, {"SUBNET": "10.1.2"}).services["spring-one"].command


@pytest.mark.parametrize("wrong", ["${NOWHERE}", "$NOWHERE", "${SUBNET:?}"])
def test_a_variable_that_plain_processes_cannot_follow_is_refused(wrong: str) -> None:
    with pytest.raises(ComposeRefused, match="neither a value nor a default"):
        read(TEXT.replace("${SUBNET:-10.89.77}.21", wrong), {})


def test_two_dollars_are_one() -> None:
    text = TEXT.replace("service=orders", "service=$${orders}")

    assert "service=${orders}" in read(text, {}).services["spring-one"].command


def test_a_key_that_plain_processes_cannot_follow_is_refused_with_its_place() -> None:
    with pytest.raises(ComposeRefused, match=r"services\.watch\.privileged"):
        read(TEXT.replace("  watch:\n", "  watch:\n    privileged: true\n"), {})


def test_each_service_has_an_address_of_its_own_and_waits_for_services_that_can_be_asked(
    compose: Compose,
) -> None:
    services = compose.services

    assert len({each.address for each in services.values()}) == len(services)
    for service in services.values():
        for name, wanted in service.depends_on.items():
            assert wanted.condition == "service_started" or services[name].healthcheck, name


def test_who_does_not_hear_sigterm_as_the_first_process_is_not_the_first(compose: Compose) -> None:
    """Python does not without a handler of its own, and this one has none."""
    python = {name for name, it in compose.services.items() if it.command[:1] == ("python",)}

    assert python == {"watch"} == {name for name, it in compose.services.items() if it.init}


def test_no_image_is_the_latest_and_servers_are_those_of_the_peer_tests(compose: Compose) -> None:
    tags = {name: it.image.rpartition(":")[2] for name, it in compose.services.items()}
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))

    assert set(tags.values()).isdisjoint({"", "latest"})
    assert tags["nacos"] == f"v{versions('maven')['nacos2']}"
    assert tags["envoy"] == f"v{versions('envoy')['envoy']}"
    assert tags["meshbridge"] == project["project"]["version"]
    assert compose.services["watch"].image == base()


def test_who_is_called_by_name_is_there_and_listens_on_that_port(compose: Compose) -> None:
    listening = {
        (name, port)
        for own, service in compose.services.items()
        for name in (own, *service.aliases)
        for port in service.expose
    }
    said = {
        (host, int(port))
        for service in compose.services.values()
        for word in service.command
        for host, port in NAMED.findall(word)
        if host not in {"tri", "dubbo"}  # a protocol and the port that it is offered on
    }
    asked = {
        (it.healthcheck.test[3], int(it.healthcheck.test[4]))
        for it in compose.services.values()
        if it.healthcheck
    }
    (proxy,) = re.findall(
        r"-Dhttp\.proxyHost=(\S+) -Dhttp\.proxyPort=(\d+)",
        compose.services["spring-caller"].environment["JAVA_TOOL_OPTIONS"],
    )
    configured = {
        (host, int(port))
        for host, port in NAMED.findall((FOLDER / "meshbridge.yaml").read_text(encoding="utf-8"))
    }

    assert {("nacos", 8848), ("meshbridge.peers.greeter.dubbo", 50051)} <= said
    assert ("nacos", 8848) in configured
    assert (proxy[0], int(proxy[1])) in listening
    assert said | asked | configured <= listening


def test_health_checks_ask_the_service_itself(compose: Compose) -> None:
    asked = {
        name: it.healthcheck.test[3] for name, it in compose.services.items() if it.healthcheck
    }

    assert {*asked} == {*compose.services} - {"dubbo-consumer", "watch"}
    assert asked == {name: name for name in asked}


def test_what_the_machine_can_reach_is_published_on_loopback_only(compose: Compose) -> None:
    for service in compose.services.values():
        for published in service.ports:
            address, outside, inside = published.split(":")
            assert address == "127.0.0.1"
            assert outside == inside
            assert int(inside) in service.expose


def test_each_mounted_file_is_there_and_used(compose: Compose) -> None:
    for service in compose.services.values():
        words = {*service.command, *(service.healthcheck.test if service.healthcheck else ())}
        for inside, outside in service.files.items():
            assert outside.is_file()
            assert inside in words


def test_the_bridge_and_envoy_listen_where_the_file_says(compose: Compose) -> None:
    settings = load_settings(FOLDER / "meshbridge.yaml", {})
    (outlet,) = settings.outlets
    options = outlet.options
    assert isinstance(options, XdsOptions)
    bootstrap = yaml.safe_load((FOLDER / "envoy.yaml").read_text(encoding="utf-8"))
    admin = bootstrap["admin"]["address"]["socket_address"]["port_value"]
    (cluster,) = bootstrap["static_resources"]["clusters"]
    (places,) = cluster["load_assignment"]["endpoints"]
    (place,) = places["lb_endpoints"]
    bridge = place["endpoint"]["address"]["socket_address"]

    assert settings.status is not None
    assert {*compose.services["meshbridge"].expose} == {
        options.listen.port,
        settings.status.listen.port,
    }
    assert {*compose.services["envoy"].expose} == {admin, *(it.listen.port for it in options.http)}
    assert bridge == {"address": "meshbridge", "port_value": options.listen.port}


def test_the_image_of_the_applications_is_built_with_the_versions_of_the_peer_tests(
    compose: Compose,
) -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    script = re.search(r"\$\((sed .*) versions\.toml\)", text)
    assert script is not None

    said = subprocess.run(
        ["/bin/sh", "-c", f"{script[1]} {VERSIONS}"], capture_output=True, text=True, check=True
    ).stdout.split()

    wanted = {f"-D{name}.version={version}" for name, version in versions("maven").items()}
    assert wanted <= {*said}
    for service in compose.services.values():
        if service.peer:
            assert (SOURCES / service.peer / "pom.xml").is_file()
            assert service.build is not None
            assert (FOLDER / service.build.context).resolve() == SOURCES.parent
            built_by = FOLDER / service.build.context / service.build.dockerfile
            assert built_by.resolve() == FOLDER / "Containerfile"


def test_names_and_aliases_lead_to_the_addresses(compose: Compose) -> None:
    lines = names(compose.services).splitlines()

    assert "127.0.0.1 localhost" in lines
    assert "10.89.77.4 envoy meshbridge.peers.greeter.dubbo" in lines
    assert len(lines) == len(compose.services) + 1


def test_a_line_of_the_watch_tells_the_calls_of_each_instance() -> None:
    line = "14:05:01   dubbo-one  49   dubbo-two 148   failed 0"

    assert counts(line) == {"dubbo-one": 49, "dubbo-two": 148, "failed": 0}
    assert counts("Envoy's envoy:15000 does not tell: refused") is None


def test_a_share_is_held_against_the_weights() -> None:
    one, two = shares({"one": 24, "two": 76, "other": 50}, {"one": 1, "two": 3})

    assert (one.found, one.wanted) == (0.24, 0.25)
    assert (two.found, two.wanted) == (0.76, 0.75)
    assert one.holds(0.02)
    assert not one.holds(0.005)
    assert [each.found for each in shares({}, {"one": 1})] == [0.0]


@pytest.mark.parametrize(
    ("seen", "holds"),
    [
        ({"one": 12, "two": 38, "left": 25, "right": 25}, True),
        ({"one": 25, "two": 25, "left": 25, "right": 25}, False),
        ({"one": 12, "two": 38}, False),
        ({"one": 1, "two": 3, "left": 2, "right": 2}, False),
    ],
    ids=["as the weights say", "not", "one service is not called", "too few to tell"],
)
def test_a_second_is_as_the_weights_say_if_each_service_is(
    seen: dict[str, int], *, holds: bool
) -> None:
    assert follow(Counter(seen), [{"one": 1, "two": 3}, {"left": 1, "right": 1}]) is holds
