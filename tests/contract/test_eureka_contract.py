"""The Eureka adapter keeps every adapter's contract against a server that speaks as Eureka does.

``tests/peers/test_eureka_contract.py`` holds it to the same against a real one.
"""

from contract.eureka_registry import ScriptedRegistry

from meshbridge.testing import AdapterContract, RegistryUnderTest


class TestEureka(AdapterContract):
    """Every law."""

    def registry(self) -> RegistryUnderTest:
        return ScriptedRegistry()
