"""The parts of the corpus: one for each server, with the programs that take part."""

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rig.bed import SOURCES, versions
from rig.corpus import eureka, nacos, zookeeper
from rig.corpus.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Part:
    """What is captured of one server."""

    programs: tuple[str, ...]
    """The Java programs of tests/peers/servers that run."""
    capture: Callable[[Path, Shelf], Coroutine[None, None, None]]
    """Runs them in a folder and puts what they write on a shelf."""

    def versions(self) -> dict[str, str]:
        """Return the pinned versions of all that its programs are made of."""
        poms = "".join((SOURCES / name / "pom.xml").read_text() for name in self.programs)
        used = set(re.findall(r"\$\{(\w+)\.version\}", poms))
        return {name: pin for name, pin in versions("maven").items() if name in used}


PARTS = {
    "zookeeper": Part(("zookeeper", "dubbo2", "dubbo3", "spring-zookeeper"), zookeeper.capture),
    "nacos2": Part(
        ("nacos2", "dubbo2", "dubbo3", "spring-nacos"), partial(nacos.capture, release=2)
    ),
    "nacos3": Part(
        ("nacos3", "dubbo2", "dubbo3", "spring-nacos"), partial(nacos.capture, release=3)
    ),
    "eureka": Part(("eureka", "spring-eureka"), eureka.capture),
}
