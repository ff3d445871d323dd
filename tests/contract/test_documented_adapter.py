"""The adapter that docs/adapters.md shows keeps the contract and the test it is shown with."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from meshbridge.testing import AdapterContract, RegistryUnderTest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"

NAMES = ("meshbridge_catalog", "test_catalog", "test_catalog_faults")


@pytest.fixture(autouse=True, scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """Import the page's pieces of Python under the names that the page gives them."""
    pieces = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    made: dict[str, ModuleType] = {}
    for name, code in zip(NAMES, pieces, strict=True):
        made[name] = sys.modules[name] = ModuleType(name)
        exec(compile(code, f"{PAGE.name}:{name}", "exec"), made[name].__dict__)  # noqa: S102
    yield made
    for name in made:
        del sys.modules[name]


class TestDocumentedAdapter(AdapterContract):
    """Every promise, on the page's own server."""

    def registry(self) -> RegistryUnderTest:
        """Return the page's server."""
        made: object = sys.modules["test_catalog"].CatalogServer()
        assert isinstance(made, RegistryUnderTest)
        return made


def test_half_an_answer_is_an_outage_as_the_page_shows(modules: dict[str, ModuleType]) -> None:
    modules["test_catalog_faults"].test_half_an_answer_is_an_outage()
