"""The phonebook keeps the contract that meshbridge ships."""

import tempfile
from datetime import timedelta
from pathlib import Path

from meshbridge import Adapter, Context
from meshbridge.testing import Ability, AdapterContract, RegistryUnderTest
from meshbridge_phonebook import Phonebook, PhonebookOptions


class Book(RegistryUnderTest):
    """A folder that does as it is told."""

    lacks = {  # noqa: RUF012 - declared as ClassVar in the kit
        Ability.REJECT: "a folder has no credentials",
        Ability.OVERFLOW: "a line more is a line more",
        Ability.REDIRECT: "a folder sends nobody elsewhere",
    }

    async def start(self) -> None:
        """Make the folder, and a place outside it where lines are written."""
        self._root = tempfile.TemporaryDirectory()
        self._folder = Path(self._root.name) / "book"
        self._folder.mkdir()
        self._lines: dict[str, dict[tuple[str, int], str]] = {}

    async def stop(self) -> None:
        """Remove everything."""
        self._root.cleanup()

    def adapter(self, context: Context) -> Adapter:
        """Watch the folder."""
        return Phonebook("book", self.options(), context)

    def options(self) -> PhonebookOptions:
        """Look often."""
        return PhonebookOptions(folder=self._folder, interval=timedelta(milliseconds=20))

    async def add(self, service: str, address: str, port: int) -> None:
        """Write one line more."""
        self._lines.setdefault(service, {})[address, port] = f"{address} {port}"
        self._write(service)

    async def change(self, service: str, address: str, port: int) -> None:
        """Write a note behind the line."""
        self._lines[service][address, port] = f"{address} {port} moved upstairs"
        self._write(service)

    async def remove(self, service: str, address: str, port: int) -> None:
        """Write one line less."""
        del self._lines[service][address, port]
        self._write(service)

    async def spoil(self, service: str, address: str, port: int) -> None:
        """Smudge the number."""
        self._lines[service][address, port] = f"{address} {port}?"
        self._write(service)

    async def fail(self) -> None:
        """Take the folder away."""
        self._folder.rename(self._folder.with_name("lost"))

    async def recover(self) -> None:
        """Put it back."""
        self._folder.with_name("lost").rename(self._folder)

    def _write(self, service: str) -> None:
        beside = Path(self._root.name) / "page"
        beside.write_text("\n".join(self._lines[service].values()))
        beside.rename(self._folder / service)


class TestPhonebook(AdapterContract):
    """Every promise, on a real folder."""

    def registry(self) -> RegistryUnderTest:
        """Return a new folder."""
        return Book()
