"""Kubernetes takes the manifests as they stand, by its own schemas."""

import copy
from pathlib import Path
from typing import cast

import pytest
from unit.deploy.schemas import OLDEST, faults, versions
from unit.deploy.shipped import (
    ISTIOD_POD,
    KUBERNETES,
    ROOT,
    at,
    document,
    each,
    istiod_with_the_patch,
    manifests,
    number,
    of_kind,
    text,
)

SHIPPED = [*manifests(KUBERNETES), *manifests(ISTIOD_POD), istiod_with_the_patch()]
NOT_KUSTOMIZED = {"kustomization.yaml", "values.yaml"}


def _id(manifest: object) -> str:
    return f"{text(manifest, 'kind')}-{text(manifest, 'metadata', 'name')}"


@pytest.mark.parametrize("manifest", SHIPPED, ids=_id)
@pytest.mark.parametrize("version", versions())
def test_kubernetes_takes_every_manifest_and_knows_every_field(
    manifest: object, version: str
) -> None:
    assert faults(manifest, version) == []


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("spec",), "replcas", 2),
        (("spec", "template", "spec", "containers", 0, "livenessProbe"), "httpget", {}),
        (("spec", "template", "spec"), "terminationGracePeriodSeconds", "30s"),
        (("spec", "template", "spec", "containers", 0, "lifecycle", "preStop"), "sleep", 5),
    ],
)
def test_the_schemas_would_notice(path: tuple[str | int, ...], key: str, value: object) -> None:
    """A check that finds nothing must be one that can find something."""
    wrong = copy.deepcopy(of_kind("StatefulSet"))
    cast("dict[str, object]", at(wrong, *path))[key] = value

    assert faults(wrong, OLDEST) != []


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_a_kustomization_names_exactly_the_files_that_are_there(folder: Path) -> None:
    kustomization = document(folder / "kustomization.yaml")
    named = [str(name) for name in each(kustomization, "resources")]
    named += [text(patch, "path") for patch in each(kustomization, "patches")]
    for generator in each(kustomization, "configMapGenerator"):
        named += [str(name) for name in each(generator, "files")]

    assert sorted(named) == sorted(
        path.name for path in folder.iterdir() if path.name not in NOT_KUSTOMIZED
    )


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_a_kustomization_gives_the_bridge_its_image(folder: Path) -> None:
    (image,) = each(document(folder / "kustomization.yaml"), "images")

    assert {text(container, "image") for container in _bridges(folder)} == {text(image, "name")}


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_the_bridge_has_no_rights_and_a_read_only_root(folder: Path) -> None:
    """As the pod security standard ``restricted`` asks, and more."""
    (container,) = _bridges(folder)
    pod = at(of_kind("StatefulSet"), "spec", "template", "spec")
    rights = dict(cast("dict[str, object]", at(container, "securityContext")))
    if folder == KUBERNETES:
        rights |= cast("dict[str, object]", at(pod, "securityContext"))

    assert rights["runAsNonRoot"] is True
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
    assert rights["runAsUser"] == rights["runAsGroup"] != 0


@pytest.mark.parametrize("folder", [KUBERNETES, ISTIOD_POD], ids=lambda path: path.name)
def test_nothing_in_the_pods_needs_a_shell(folder: Path) -> None:
    (container,) = _bridges(folder)

    assert "command" not in cast("dict[str, object]", container)
    assert "sh" not in repr(container).replace("meshbridge", "").split("'")


def test_the_replicas_are_two_apart_and_one_is_left_when_nodes_are_drained() -> None:
    it = of_kind("StatefulSet")
    budget = of_kind("PodDisruptionBudget")
    spread = each(it, "spec", "template", "spec", "topologySpreadConstraints")

    assert number(it, "spec", "replicas") == 2
    assert number(budget, "spec", "maxUnavailable") == 1
    assert [text(each, "topologyKey") for each in spread] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]


def test_everything_selects_the_pods_by_their_label() -> None:
    """The label that docs/operations.md and docs/guard.md look for them by, too."""
    label = {"app": "meshbridge"}
    it = of_kind("StatefulSet")

    assert at(it, "spec", "selector", "matchLabels") == label
    assert (
        label.items()
        <= cast("dict[str, str]", at(it, "spec", "template", "metadata", "labels")).items()
    )
    for spread in each(it, "spec", "template", "spec", "topologySpreadConstraints"):
        assert at(spread, "labelSelector", "matchLabels") == label
    assert at(of_kind("PodDisruptionBudget"), "spec", "selector", "matchLabels") == label
    assert at(of_kind("NetworkPolicy"), "spec", "podSelector", "matchLabels") == label
    for name in ("meshbridge", "meshbridge-replicas"):
        assert at(of_kind("Service", name), "spec", "selector") == label
    assert "get pods -l app=meshbridge" in (ROOT / "docs" / "operations.md").read_text()


def test_the_statefulset_is_served_by_a_service_without_an_address() -> None:
    service = of_kind("Service", text(of_kind("StatefulSet"), "spec", "serviceName"))

    assert text(service, "spec", "clusterIP") == "None"


def _bridges(folder: Path) -> list[object]:
    """Return the containers of a pod that are bridges."""
    if folder == KUBERNETES:
        return each(of_kind("StatefulSet"), "spec", "template", "spec", "containers")
    patch = document(ISTIOD_POD / "istiod.yaml")
    return each(patch, "spec", "template", "spec", "initContainers")
