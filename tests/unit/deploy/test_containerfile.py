"""The Containerfile names what there is, installs only what is locked, and leaves no rights."""

import json
import tomllib
from typing import cast

from packaging.specifiers import SpecifierSet
from unit.deploy.shipped import (
    KUBERNETES,
    ROOT,
    Instruction,
    at,
    base,
    containerfile,
    document,
    each,
    of_kind,
)

BUILD, IMAGE = containerfile()


def rests(stage: list[Instruction], word: str) -> list[str]:
    return [each.rest for each in stage if each.word == word]


def test_both_stages_begin_with_one_base_of_a_python_that_the_project_takes() -> None:
    version = base().partition(":")[2].partition("-")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert rests(BUILD, "FROM") == ["${BASE} AS build"]
    assert rests(IMAGE, "FROM") == ["${BASE}"]
    assert SpecifierSet(project["project"]["requires-python"]).contains(version)
    assert f"Programming Language :: Python :: {version}" in project["project"]["classifiers"]


def test_it_copies_every_source_root_and_nothing_that_is_not_there() -> None:
    copied = {name for rest in rests(BUILD, "COPY") for name in rest.split()[:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = cast(
        "list[str]", at(project, "tool", "hatch", "build", "targets", "wheel", "packages")
    )

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {package.partition("/")[0] for package in packages} <= copied
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements"} <= copied


def test_whatever_it_installs_is_checked_by_hash_or_was_made_here() -> None:
    installs = [rest for rest in rests(BUILD, "RUN") if " pip " in rest]

    assert len(installs) == 3
    for command in installs:
        assert ("--require-hashes" in command) != ("--no-index" in command)
        assert "--no-deps" in command
    assert [rest for rest in rests(IMAGE, "RUN") if "pip" in rest] == []


def test_the_requirements_that_it_installs_are_there() -> None:
    words = [word for rest in rests(BUILD, "RUN") for word in rest.split()]
    named = [word for word in words if word.startswith("requirements/")]

    assert sorted(named) == [f"requirements/{name}.txt" for name in ("build", "run")]
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_it_runs_without_a_shell_as_the_user_of_the_manifests() -> None:
    pod = at(of_kind("StatefulSet"), "spec", "template", "spec")
    (user,) = rests(IMAGE, "USER")
    (entry,), (command,) = rests(IMAGE, "ENTRYPOINT"), rests(IMAGE, "CMD")

    assert (
        user
        == f"{at(pod, 'securityContext', 'runAsUser')}:{at(pod, 'securityContext', 'runAsGroup')}"
    )
    assert user.partition(":")[0] != "0"
    assert json.loads(entry) == ["/opt/meshbridge/bin/meshbridge"]
    assert json.loads(command) == at(pod, "containers", 0, "args")
    assert f"--owner={user.partition(':')[0]} " in rests(IMAGE, "RUN")[0]


def test_its_volume_is_where_the_state_is_kept() -> None:
    (volume,) = rests(IMAGE, "VOLUME")

    assert json.loads(volume) == [at(document(KUBERNETES / "meshbridge.yaml"), "state")]


def test_it_says_the_ports_of_the_pod() -> None:
    ports = each(of_kind("StatefulSet"), "spec", "template", "spec", "containers", 0, "ports")

    assert {str(at(port, "containerPort")) for port in ports} <= set(
        rests(IMAGE, "EXPOSE")[0].split()
    )
