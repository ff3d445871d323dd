"""The configurations in deploy/ are right, and what runs the bridge agrees with them."""

import re
from pathlib import Path
from typing import cast

import pytest
import yaml
from typer.testing import CliRunner
from unit.deploy.shipped import (
    CONFIGURATIONS,
    DEPLOY,
    DRAINS,
    ISTIOD_POD,
    KUBERNETES,
    ROOT,
    SYSTEMD,
    at,
    document,
    each,
    named,
    number,
    of_kind,
    text,
    unit,
)

from meshbridge.cli.app import command_line
from rig.certificates import Authority

OF_ISTIOD = {8080, 9876, 15010, 15012, 15014, 15017}
"""Ports that istiod has in its pod."""

POD = ("spec", "template", "spec")


def _configuration(folder: Path) -> object:
    return document(folder / "meshbridge.yaml")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _mcp(folder: Path) -> int:
    return _port(text(_configuration(folder), "outlets", "mcp", "listen"))


def _status(folder: Path) -> int:
    return _port(text(_configuration(folder), "status", "listen"))


def _paths(folder: Path) -> list[str]:
    """Return the absolute paths that a configuration names."""
    lines = (folder / "meshbridge.yaml").read_text(encoding="utf-8").splitlines()
    told = "\n".join(line.partition("# ")[0] for line in lines)
    return re.findall(r"(?:: |\$\{file:)(/[^\s}]+)", told)


def _bridge(folder: Path) -> object:
    if folder == KUBERNETES:
        return named(at(of_kind("StatefulSet"), *POD, "containers"), "meshbridge")
    return named(at(document(ISTIOD_POD / "istiod.yaml"), *POD, "initContainers"), "meshbridge")


@pytest.mark.parametrize("folder", CONFIGURATIONS, ids=lambda path: path.name)
def test_the_bridges_own_check_takes_the_configuration(folder: Path, tmp_path: Path) -> None:
    """With the files that it names in the place where they will be."""
    certificate, key = Authority().issue(tmp_path, "meshbridge.meshbridge.svc")
    configuration = (folder / "meshbridge.yaml").read_text(encoding="utf-8")
    for path in _paths(folder):
        if path.endswith(("tls.crt", "tls.key", "password")):
            here = tmp_path / Path(path).name
            source = {".crt": certificate, ".key": key}.get(here.suffix)
            here.write_bytes(b"secret\n" if source is None else source.read_bytes())
            configuration = configuration.replace(path, str(here))
    file = tmp_path / "meshbridge.yaml"
    file.write_text(configuration)

    done = CliRunner().invoke(command_line(), ["check", "--offline", "--config", str(file)])

    assert done.exit_code == 0, done.stderr
    assert "valid: 1 registry; outlets: mcp" in done.stdout


@pytest.mark.parametrize("folder", CONFIGURATIONS, ids=lambda path: path.name)
def test_istiod_is_never_asked_for_a_certificate(folder: Path) -> None:
    """It has none to show, so one that was required would shut it out."""
    assert "client-ca" not in str(_configuration(folder))


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_every_path_of_the_configuration_is_mounted(folder: Path) -> None:
    mounts = {text(each, "mountPath") for each in each(_bridge(folder), "volumeMounts")}
    parents = [{path, *(str(each) for each in Path(path).parents)} for path in _paths(folder)]

    assert _paths(folder)
    assert [found for found in parents if not found & mounts] == []


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_every_mount_has_its_volume(folder: Path) -> None:
    source = of_kind("StatefulSet") if folder == KUBERNETES else document(folder / "istiod.yaml")
    volumes = {text(each, "name") for each in each(source, *POD, "volumes")}
    volumes |= {
        text(claim, "metadata", "name") for claim in each(source, "spec", "volumeClaimTemplates")
    }

    assert {text(each, "name") for each in each(_bridge(folder), "volumeMounts")} == volumes


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_the_bridge_is_told_of_the_configuration_where_it_is_mounted(folder: Path) -> None:
    bridge = _bridge(folder)
    (mount,) = [
        text(mount, "mountPath")
        for mount in each(bridge, "volumeMounts")
        if text(mount, "mountPath").startswith("/etc/")
    ]
    (generator,) = each(document(folder / "kustomization.yaml"), "configMapGenerator")

    assert at(bridge, "args") == ["run", "--config", f"{mount}/meshbridge.yaml"]
    assert at(generator, "files") == ["meshbridge.yaml"]


def test_the_ports_of_the_pod_are_those_of_the_configuration() -> None:
    ports = at(_bridge(KUBERNETES), "ports")

    assert number(named(ports, "mcp"), "containerPort") == _mcp(KUBERNETES)
    assert number(named(ports, "status"), "containerPort") == _status(KUBERNETES)


def test_the_pods_are_probed_where_the_bridge_answers() -> None:
    bridge = _bridge(KUBERNETES)
    asked = {
        name: (text(bridge, name, "httpGet", "path"), text(bridge, name, "httpGet", "port"))
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert asked == {
        "startupProbe": ("/livez", "status"),
        "livenessProbe": ("/livez", "status"),
        "readinessProbe": ("/readyz", "status"),
    }


def test_a_bridge_has_time_to_drain_before_it_is_killed() -> None:
    pod = at(of_kind("StatefulSet"), *POD)
    waits = number(_bridge(KUBERNETES), "lifecycle", "preStop", "sleep", "seconds")
    (limit,) = unit("meshbridge.service")["TimeoutStopSec"]

    assert number(pod, "terminationGracePeriodSeconds") > waits + DRAINS
    assert int(limit.removesuffix("s")) > DRAINS


def test_the_network_policy_lets_in_istiod_and_out_to_the_registries() -> None:
    policy = of_kind("NetworkPolicy")
    ((istiod, let_in), (_, metrics)) = [
        (at(rule, "from", 0), at(rule, "ports", 0, "port"))
        for rule in each(policy, "spec", "ingress")
    ]
    ports = {
        at(port, "port") for rule in each(policy, "spec", "egress") for port in each(rule, "ports")
    }
    servers = [
        _port(str(server))
        for registry in each(_configuration(KUBERNETES), "registries")
        for server in each(registry, "servers")
    ]

    assert (let_in, metrics) == ("mcp", "status")
    assert at(istiod, "podSelector", "matchLabels") == {"app": "istiod"}
    # Nacos speaks gRPC 1000 above its port.
    assert ports == {53, *servers, *(server + 1000 for server in servers)}


def test_istiod_is_told_the_address_of_the_service_and_its_name() -> None:
    service = of_kind("Service")
    namespace = text(document(KUBERNETES / "kustomization.yaml"), "namespace")
    host = f"{text(service, 'metadata', 'name')}.{namespace}.svc"
    (port,) = each(service, "spec", "ports")
    _, ours = _sources(DEPLOY / "istio" / "values.yaml")

    assert text(port, "targetPort") == "mcp"
    assert text(ours, "address") == f"xds://{host}:{number(port, 'port')}"
    assert text(ours, "tlsSettings", "mode") == "SIMPLE"
    assert text(ours, "tlsSettings", "sni") == host
    assert at(ours, "tlsSettings", "subjectAltNames") == [host]
    assert f"subjectAltName=DNS:{host}\\n" in (DEPLOY / "README.md").read_text()


def test_helm_and_istioctl_and_the_documents_tell_istiod_the_same() -> None:
    told = _sources(DEPLOY / "istio" / "values.yaml")
    operator = document(DEPLOY / "istio" / "istiooperator.yaml")
    shown = re.findall(
        r"^```yaml\n(configSources:.*?)^```$",
        (ROOT / "docs" / "istio.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )

    assert each(operator, "spec", "meshConfig", "configSources") == told
    assert [each(yaml.safe_load(block), "configSources") for block in shown] == [told]


@pytest.mark.parametrize("folder", ["istio", "istiod-pod"])
def test_istiod_goes_on_to_read_the_resources_of_kubernetes(folder: str) -> None:
    """Of two resources of one name that of the first source wins: the user's own."""
    assert text(_sources(DEPLOY / folder / "values.yaml")[0], "address") == "k8s://"


def test_a_bridge_in_istiods_pod_has_ports_of_its_own_and_istiod_finds_it() -> None:
    _, ours = _sources(ISTIOD_POD / "values.yaml")
    bridge = _bridge(ISTIOD_POD)
    (port,) = each(bridge, "ports")
    listens = text(_configuration(ISTIOD_POD), "outlets", "mcp", "listen")

    assert at(ours, "address") == f"xds://{listens}"
    assert {_mcp(ISTIOD_POD), _status(ISTIOD_POD)}.isdisjoint(OF_ISTIOD)
    assert number(port, "containerPort") == _status(ISTIOD_POD)
    assert text(bridge, "livenessProbe", "httpGet", "path") == "/livez"
    assert text(bridge, "livenessProbe", "httpGet", "port") == text(port, "name")


@pytest.mark.parametrize("folder", [ISTIOD_POD, SYSTEMD], ids=lambda path: path.name)
def test_a_bridge_beside_an_istiod_looks_at_what_that_holds(folder: Path) -> None:
    assert at(_configuration(folder), "outlets", "mcp", "debug") == ["http://127.0.0.1:15014"]


def test_a_bridge_in_istiods_pod_listens_before_istiod_starts_and_goes_on() -> None:
    bridge = _bridge(ISTIOD_POD)
    host, port = text(_configuration(ISTIOD_POD), "outlets", "mcp", "listen").split(":")

    assert text(bridge, "restartPolicy") == "Always"
    assert f'("{host}", {port})' in text(bridge, "startupProbe", "exec", "command", 2)
    assert "readinessProbe" not in cast("dict[str, object]", bridge)


def test_the_unit_runs_the_configuration_and_keeps_what_it_names() -> None:
    it, configuration = unit("meshbridge.service"), _configuration(SYSTEMD)
    (state,), (run,), (credential,) = (
        it["StateDirectory"],
        it["RuntimeDirectory"],
        it["LoadCredential"],
    )
    (start,), (started,) = it["ExecStart"], it["ExecStartPost"]

    assert start.endswith("run --config /etc/meshbridge/meshbridge.yaml")
    assert f"('127.0.0.1', {_mcp(SYSTEMD)})" in started
    assert text(configuration, "state") == f"/var/lib/{state}"
    assert Path(text(configuration, "admin")).parent == Path("/run", run)
    name = credential.partition(":")[0]
    assert f"/run/credentials/meshbridge.service/{name}" in _paths(SYSTEMD)
    assert (it["Restart"], it["Type"], it["DynamicUser"]) == (["always"], ["exec"], ["yes"])
    assert {_mcp(SYSTEMD), _status(SYSTEMD)}.isdisjoint(OF_ISTIOD)


def test_istiod_is_started_after_the_bridge_and_again_if_it_was_too_early() -> None:
    it = unit("istiod.service.d/meshbridge.conf")

    assert it["After"] == it["Wants"] == ["meshbridge.service"]
    assert it["Restart"] == ["always"]
    assert it["StartLimitIntervalSec"] == ["0"]


def _sources(path: Path) -> list[object]:
    return each(document(path), "meshConfig", "configSources")
