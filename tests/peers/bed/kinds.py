"""The kinds of registries with which a test can run."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

import pytest
from peers.bed.matrix import Kind, file, nacos
from peers.bed.matrix_eureka import a_eureka, eureka
from peers.bed.matrix_nacos_dubbo import nacos_dubbo
from peers.bed.matrix_zookeeper import zookeeper


def _eureka(request: pytest.FixtureRequest) -> Kind:
    """Share one server among all tests that the request's scope has."""
    folder = request.getfixturevalue("tmp_path_factory").mktemp("eureka")
    stack = ExitStack()
    request.addfinalizer(stack.close)
    return partial(eureka, stack.enter_context(a_eureka(folder)))


KINDS: Mapping[str, Callable[[pytest.FixtureRequest], Kind]] = {
    "eureka": _eureka,
    "file": lambda _: file,
    "nacos": lambda request: partial(nacos, *request.getfixturevalue("nacos_with_applications")),
    "nacos-dubbo": lambda request: partial(
        nacos_dubbo, *request.getfixturevalue("nacos_with_applications")
    ),
    "zookeeper": lambda _: zookeeper,
}
