"""Istio's own chart, rendered by istioctl, takes what deploy/ adds to it."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from unit.deploy.schemas import OLDEST, faults
from unit.deploy.shipped import DEPLOY, ISTIOD_POD, at, document, each, named, text

from rig.bed import IstioPrograms


def generated(istio: IstioPrograms, operator: Path) -> str:
    """Return what istioctl would install."""
    done = subprocess.run(
        [istio.istioctl, "manifest", "generate", "--filename", operator],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_kind(documents: str, kind: str, name: str) -> object:
    """Return one of many manifests."""
    (found,) = [
        found
        for found in yaml.load_all(documents, Loader=yaml.CSafeLoader)
        if found and (text(found, "kind"), text(found, "metadata", "name")) == (kind, name)
    ]
    return found


def sources(documents: str) -> list[object]:
    """Return the config sources that istiod is told of."""
    mesh = text(of_kind(documents, "ConfigMap", "istio"), "data", "mesh")
    return each(yaml.safe_load(mesh), "configSources")


def test_istioctl_tells_istiod_the_config_sources(istio: IstioPrograms) -> None:
    operator = DEPLOY / "istio" / "istiooperator.yaml"
    told = each(document(operator), "spec", "meshConfig", "configSources")

    assert sources(generated(istio, operator)) == told


@pytest.mark.parametrize("folder", ["istio", "istiod-pod"])
def test_the_chart_takes_the_values(folder: str, istio: IstioPrograms, tmp_path: Path) -> None:
    """What Helm is given, by way of istioctl, which has the chart inside."""
    values = document(DEPLOY / folder / "values.yaml")
    operator = tmp_path / "operator.yaml"
    kind = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator"}
    operator.write_text(yaml.safe_dump({**kind, "spec": {"values": values}}))

    assert sources(generated(istio, operator)) == each(values, "meshConfig", "configSources")


def test_the_bridge_goes_into_the_pod_of_the_chart(istio: IstioPrograms, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on this machine, and nothing of it was checked")
    operator = DEPLOY / "istio" / "istiooperator.yaml"
    site = tmp_path / "site"
    site.mkdir()
    (site / "istiod.yaml").write_text(generated(istio, operator))
    (site / "kustomization.yaml").write_text(
        "resources: [istiod.yaml]\ncomponents: [../deploy/istiod-pod]\n"
    )
    shutil.copytree(DEPLOY, tmp_path / "deploy")

    done = subprocess.run(
        [kubectl, "kustomize", site], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    istiod = of_kind(done.stdout, "Deployment", "istiod")
    pod = at(istiod, "spec", "template", "spec")
    assert faults(istiod, OLDEST) == []
    assert text(named(at(pod, "initContainers"), "meshbridge"), "restartPolicy") == "Always"
    taken = {
        at(port, "containerPort")
        for container in each(pod, "containers")
        for port in each(container, "ports")
    }
    (ours,) = each(
        document(ISTIOD_POD / "istiod.yaml"), "spec", "template", "spec", "initContainers"
    )
    assert taken
    assert taken.isdisjoint({at(port, "containerPort") for port in each(ours, "ports")})
    assert text(istiod, "spec", "template", "metadata", "labels", "app") == "istiod"
