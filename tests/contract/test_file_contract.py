"""The file adapter keeps the contract of the SDK."""

from contract.file_registry import FileRegistry

from meshbridge.testing import AdapterContract, RegistryUnderTest


class TestFile(AdapterContract):
    """Every promise, on a real file."""

    def registry(self) -> RegistryUnderTest:
        """Return a new file."""
        return FileRegistry()
