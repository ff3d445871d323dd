"""A file registry that does as the contract tells it."""

import json
import tempfile
from pathlib import Path

from meshbridge import Adapter, Context
from meshbridge.testing import Ability, RegistryUnderTest
from meshbridge_file import File, FileOptions
from meshbridge_file.yaml import MOST_BYTES

Record = dict[str, object]


class FileRegistry(RegistryUnderTest):
    """Writes the file as the adapter's documentation asks: beside it, then renamed."""

    lacks = {  # noqa: RUF012 - declared as ClassVar above
        Ability.REJECT: "a file has no credentials",
        Ability.REDIRECT: "a file sends nobody elsewhere; what it names is not opened",
    }

    def __init__(self) -> None:
        """Be ready to start."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._services: dict[str, dict[tuple[str, int], Record]] = {}
        self._reachable = True

    @property
    def path(self) -> Path:
        """The file."""
        assert self._folder is not None
        return Path(self._folder.name) / "services.yaml"

    async def start(self) -> None:
        """Write an empty registry."""
        self._folder = tempfile.TemporaryDirectory()
        self._write()

    async def stop(self) -> None:
        """Remove the file with its folder."""
        if self._folder is not None:
            self._folder.cleanup()

    def adapter(self, context: Context) -> Adapter:
        """Watch the file."""
        return File("files", FileOptions(path=self.path), context)

    async def add(self, service: str, address: str, port: int) -> None:
        """Write one more instance."""
        instance: Record = {"address": address, "port": port}
        self._services.setdefault(service, {})[address, port] = instance
        self._write()

    async def change(self, service: str, address: str, port: int) -> None:
        """Write another weight."""
        self._services[service][address, port]["weight"] = 2.5
        self._write()

    async def remove(self, service: str, address: str, port: int) -> None:
        """Write one instance less."""
        del self._services[service][address, port]
        self._write()

    async def fail(self) -> None:
        """Take the file away."""
        self._reachable = False
        self.path.unlink()

    async def recover(self) -> None:
        """Write it again."""
        self._reachable = True
        self._write()

    async def spoil(self, service: str, address: str, port: int) -> None:
        """Misspell a key."""
        self._services[service][address, port]["wieght"] = 1
        self._write()

    async def overflow(self) -> None:
        """Write more than is read."""
        self.path.write_bytes(b"#" * (MOST_BYTES + 1))

    def _write(self) -> None:
        if not self._reachable:
            return
        services = [
            {"name": name, "instances": list(instances.values())}
            for name, instances in self._services.items()
        ]
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps({"services": services}))
        beside.rename(self.path)
