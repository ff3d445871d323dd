"""The Eureka adapter keeps every adapter's contract against a server that speaks as Eureka does.

``tests/peers/test_eureka_contract.py`` holds it to the same against a real one.
"""

import pytest
from contract.eureka_registry import ScriptedRegistry

from meshbridge.testing import AdapterContract, RegistryUnderTest
from meshbridge.testing.leaks import find_leaks
from meshbridge_eureka import trials
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import ScriptedEureka


class TestEureka(AdapterContract):
    """Every law."""

    def registry(self) -> RegistryUnderTest:
        return ScriptedRegistry()


class _BesideHanging(ScriptedRegistry):
    """The first of two servers, the other one of which takes questions and answers nothing."""

    def __init__(self) -> None:
        server, self._other = ScriptedEureka(), ScriptedEureka()
        self._other.misbehave(faults.hang)
        super().__init__(server, {"servers": [server.url, self._other.url]})

    async def start(self) -> None:
        await super().start()
        await self._other.start()

    async def stop(self) -> None:
        await super().stop()
        await self._other.stop()


def test_cancelled_while_others_are_tried_it_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trials, "PATIENCE", 0.2)
    found = find_leaks(_BesideHanging)
    assert (found.tasks, found.threads, found.files) == ((), (), ())
