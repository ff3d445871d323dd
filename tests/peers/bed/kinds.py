"""The kinds of registries with which a test can run."""

from collections.abc import Callable, Mapping
from functools import partial

import pytest
from peers.bed.matrix import Kind, file, nacos
from peers.bed.matrix_nacos_dubbo import nacos_dubbo
from peers.bed.matrix_zookeeper import zookeeper

KINDS: Mapping[str, Callable[[pytest.FixtureRequest], Kind]] = {
    "file": lambda _: file,
    "nacos": lambda request: partial(nacos, *request.getfixturevalue("nacos_with_applications")),
    "nacos-dubbo": lambda request: partial(
        nacos_dubbo, *request.getfixturevalue("nacos_with_applications")
    ),
    "zookeeper": lambda _: zookeeper,
}
