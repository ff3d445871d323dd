"""The leaky adapter does not keep the contract, and is told where."""

from test_phonebook import Book

from meshbridge import Adapter, Context
from meshbridge.testing import AdapterContract, RegistryUnderTest
from meshbridge_leaky import Leaky


class LeakyBook(Book):
    """The same folder, watched by the leaky adapter."""

    def adapter(self, context: Context) -> Adapter:
        """Watch the folder."""
        return Leaky("book", self.options(), context)


class TestLeaky(AdapterContract):
    """Fails in exactly one place."""

    def registry(self) -> RegistryUnderTest:
        """Return a new folder."""
        return LeakyBook()
