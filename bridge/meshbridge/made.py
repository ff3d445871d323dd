"""An adapter as it was made: what it names is read once, so that asking for it can never raise."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Never

from meshbridge.adapter import Adapter, Emit
from meshbridge.outage import AdapterFault


@dataclass(frozen=True, slots=True)
class Made:
    """Stands before an adapter; the core asks it again and again, on behalf of all registries."""

    adapter: Adapter
    scopes: tuple[str, ...]
    settle: timedelta

    @classmethod
    def of(cls, adapter: Adapter) -> "Made":
        """Read what it names. Raises AdapterFault if that is nonsense, or what reading raises."""
        scopes, settle = adapter.scopes, adapter.settle
        _expect("scopes", scopes, tuple)
        _expect("settle", settle, timedelta)
        if not {type(scope) for scope in scopes} <= {str}:
            raise AdapterFault("its scopes hold something else than texts")
        return cls(adapter, scopes, settle)

    async def watch(self, emit: Emit) -> Never:
        """Watch with it."""
        await self.adapter.watch(emit)


def _expect(name: str, found: object, allowed: type) -> None:
    if not isinstance(found, allowed):
        raise AdapterFault(f"its {name} is {type(found).__qualname__}, not {allowed.__name__}")
