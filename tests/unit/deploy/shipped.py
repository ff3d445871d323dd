"""What stands in deploy/, read for tests."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
ISTIOD_POD = DEPLOY / "istiod-pod"
SYSTEMD = DEPLOY / "systemd"
CONFIGURATIONS = (KUBERNETES, ISTIOD_POD, SYSTEMD)
"""Folders with a ``meshbridge.yaml``."""

DRAINS = 10
"""Seconds within which a bridge that was told to stop has ended; docs/operations.md promises it."""


def documents(path: Path) -> list[object]:
    """Return the YAML documents of a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def document(path: Path) -> object:
    """Return the only YAML document of a file."""
    (found,) = documents(path)
    return found


def at(found: object, *keys: str | int) -> object:
    """Return what stands at these keys and places; raises KeyError or IndexError."""
    for key in keys:
        if isinstance(key, int):
            found = cast("list[object]", found)[key]
        else:
            found = cast("dict[str, object]", found)[key]
    return found


def each(found: object, *keys: str | int) -> list[object]:
    """Return the list at these keys, empty if there is none."""
    try:
        return cast("list[object]", at(found, *keys))
    except KeyError:
        return []


def text(found: object, *keys: str | int) -> str:
    """Return the text at these keys."""
    value = at(found, *keys)
    assert isinstance(value, str), value
    return value


def number(found: object, *keys: str | int) -> int:
    """Return the number at these keys."""
    value = at(found, *keys)
    assert isinstance(value, int), value
    return value


def named(found: object, name: str) -> object:
    """Return the item of a list that has the name."""
    (item,) = [item for item in cast("list[object]", found) if at(item, "name") == name]
    return item


def of_kind(kind: str, name: str = "meshbridge") -> object:
    """Return a manifest of deploy/kubernetes."""
    (found,) = [
        found
        for found in manifests(KUBERNETES)
        if (text(found, "kind"), text(found, "metadata", "name")) == (kind, name)
    ]
    return found


def manifests(folder: Path) -> list[object]:
    """Return what a kustomization applies: its resources, and the ConfigMaps that it makes."""
    kustomization = document(folder / "kustomization.yaml")
    found = [
        manifest
        for name in each(kustomization, "resources")
        for manifest in documents(folder / str(name))
    ]
    for generator in each(kustomization, "configMapGenerator"):
        files = [str(name) for name in each(generator, "files")]
        data = {name: (folder / name).read_text(encoding="utf-8") for name in files}
        metadata = {"name": at(generator, "name")}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return found


def istiod_with_the_patch() -> object:
    """Return a Deployment as Istio's chart makes it, with the bridge in its pod."""
    patch = document(ISTIOD_POD / "istiod.yaml")
    pod = cast("dict[str, object]", at(patch, "spec", "template", "spec"))
    labels = {"app": "istiod"}
    return {
        **cast("dict[str, object]", patch),
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {**pod, "containers": [{"name": "discovery", "image": "pilot"}]},
            },
        },
    }


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Containerfile."""

    word: str
    rest: str


def containerfile() -> list[list[Instruction]]:
    """Return the instructions of each stage, FROM first; what stands before the first is left."""
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    stages: list[list[Instruction]] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        assert not rest.endswith("\\"), "read line by line here"
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(Instruction(word, rest))
    return stages


def base() -> str:
    """Return the image that the Containerfile begins with unless told otherwise."""
    found = re.search(r"^ARG BASE=(\S+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert found
    return found[1]


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a unit, each with its values in their order."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found
