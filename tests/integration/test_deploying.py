"""What deploy/ holds does what it says, as far as the programs of this machine can tell.

A program that is missing skips its test by name: none of them is needed to work on meshbridge.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from unit.deploy.schemas import OLDEST, faults
from unit.deploy.shipped import (
    DEPLOY,
    ISTIOD_POD,
    KUBERNETES,
    ROOT,
    SYSTEMD,
    at,
    containerfile,
    istiod_with_the_patch,
    manifests,
    named,
    text,
)

from rig.bed import in_ci

LARGEST_EXPOSURE = 20
"""Tenths of systemd's own measure of what a unit may do; 10 and less is hardly achievable."""


def program(name: str) -> str:
    """Return where it is, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine, and nothing of it was checked")
    return found


def said(*command: str | Path, folder: Path = ROOT, within: float = 60.0) -> str:
    """Return what a command writes to stdout; the test fails when it does not end with 0."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=within, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _names(documents: Sequence[object]) -> list[tuple[str, str]]:
    return sorted((text(it, "kind"), text(it, "metadata", "name")) for it in documents)


def test_kubectl_builds_the_kustomization() -> None:
    built = list(yaml.safe_load_all(said(program("kubectl"), "kustomize", KUBERNETES)))

    assert _names(built) == _names(manifests(KUBERNETES))
    assert [found for it in built for found in faults(it, OLDEST)] == []
    (bridge,) = [it for it in built if text(it, "kind") == "StatefulSet"]
    image = text(bridge, "spec", "template", "spec", "containers", 0, "image")
    assert image.startswith("registry.example/meshbridge:")
    assert {
        text(it, "metadata", "namespace") for it in built if text(it, "kind") != "Namespace"
    } == {"meshbridge"}


def test_kubectl_puts_the_bridge_into_an_istiod_of_any_revision(tmp_path: Path) -> None:
    """By the kustomization that deploy/README.md shows."""
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    site = tmp_path / "site"
    site.mkdir()
    (site / "kustomization.yaml").write_text(shown)
    (site / "istiod.yaml").write_text(_istiod("istiod-canary"))
    shutil.copytree(DEPLOY, tmp_path / "deploy")

    built = list(yaml.safe_load_all(said(program("kubectl"), "kustomize", site)))

    assert _names(built) == [("ConfigMap", "meshbridge"), ("Deployment", "istiod-canary")]
    assert [found for it in built for found in faults(it, OLDEST)] == []
    (istiod,) = [it for it in built if text(it, "kind") == "Deployment"]
    pod = at(istiod, "spec", "template", "spec")
    assert text(named(at(pod, "containers"), "discovery"), "image") == "pilot"
    assert text(named(at(pod, "initContainers"), "meshbridge"), "image").startswith("registry")
    assert named(at(pod, "volumes"), "local-certs")


def test_kubectl_patches_a_running_istiod(tmp_path: Path) -> None:
    istiod = tmp_path / "istiod.yaml"
    istiod.write_text(_istiod("istiod"))
    patch = ISTIOD_POD / "istiod.yaml"
    command = (program("kubectl"), "patch", "--local", "--output", "yaml")

    patched = yaml.safe_load(said(*command, "--filename", istiod, "--patch-file", patch))

    assert at(patched, "spec", "template", "spec", "initContainers") == at(
        istiod_with_the_patch(), "spec", "template", "spec", "initContainers"
    )


def _istiod(name: str) -> str:
    labels = {"app": "istiod"}
    pod: dict[str, object] = {
        "containers": [{"name": "discovery", "image": "pilot"}],
        "volumes": [{"name": "local-certs", "emptyDir": {}}],
    }
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "istio-system", "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
    )


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder of the units with programs that exist, and an istiod for the drop-in."""
    folder = tmp_path / "units"
    shutil.copytree(SYSTEMD, folder)
    it = folder / "meshbridge.service"
    it.write_text(it.read_text().replace("/opt/meshbridge/bin", str(Path(sys.executable).parent)))
    (folder / "istiod.service").write_text("[Service]\nExecStart=/bin/true\n")
    return folder


@pytest.mark.parametrize("name", ["meshbridge.service", "istiod.service"])
def test_systemd_takes_the_units(units: Path, name: str) -> None:
    """It ends with 0 for a setting that it does not know, and says so."""
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", f"./{name}"],
        cwd=units,
        env={"SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    said = done.stdout + done.stderr
    assert (done.returncode, [line for line in said.splitlines() if str(units) in line]) == (0, [])


def test_the_unit_may_do_little(units: Path) -> None:
    threshold = f"--threshold={LARGEST_EXPOSURE}"
    said(
        program("systemd-analyze"),
        "security",
        "--offline=yes",
        threshold,
        "./meshbridge.service",
        folder=units,
    )


def test_the_documented_certificate_is_one_for_the_service(tmp_path: Path) -> None:
    """The commands are taken from deploy/README.md as they stand."""
    openssl = program("openssl")
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(openssl .*?)^```$", readme, re.MULTILINE | re.DOTALL)

    said("sh", "-ec", block, folder=tmp_path)

    said(
        openssl, "verify", "-purpose", "sslserver", "-CAfile", "ca.crt", "tls.crt", folder=tmp_path
    )
    shown = said(
        openssl, "x509", "-in", "tls.crt", "-noout", "-ext", "subjectAltName", folder=tmp_path
    )
    assert "DNS:meshbridge.meshbridge.svc" in shown


@pytest.mark.slow
@pytest.mark.skipif(not in_ci(), reason="asks a package registry for a minute: CI=true runs it")
def test_what_the_containerfile_runs_makes_a_bridge_that_starts(tmp_path: Path) -> None:
    """Its first stage, with a folder in the place of the root; no image is made of it."""
    build, _ = containerfile()
    work = tmp_path / "src"
    for step in build:
        if step.word == "WORKDIR":
            work = tmp_path / step.rest.lstrip("/")
            work.mkdir(parents=True)
        elif step.word == "COPY":
            *sources, target = step.rest.split()
            for source in sources:
                _copy(ROOT / source, work / target)
        elif step.word == "RUN":
            command = re.sub(r"(?<=\s)/(?=\w)|^/", f"{tmp_path}/", step.rest)
            _run(re.sub(r"^python ", f"{Path(sys.executable).resolve()} ", command), work)

    made = tmp_path / "opt/meshbridge/bin"
    assert "nacos" in said(made / "meshbridge", "adapters")
    assert not (made / "pip").exists()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        made = shutil.ignore_patterns("__pycache__", "gen")
        shutil.copytree(source, target, ignore=made)
    else:
        shutil.copy(source, target)


def _run(command: str, folder: Path) -> None:
    said("/bin/sh", "-ec", command, folder=folder, within=240)
