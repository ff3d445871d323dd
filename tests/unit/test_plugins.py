"""Plug-ins are found by name, loaded only when asked for, and named when they fail."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from meshbridge.errors import ConfigurationError
from meshbridge.plugins import installed, load_adapter, load_outlet
from rig.distribution import install

GOOD = """
from pydantic import BaseModel
class Acme:
    class Options(BaseModel): ...
"""

Add = Callable[..., None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Return what installs a distribution with one adapter module."""
    modules: list[str] = []

    def add(name: str, source: str, entries: Mapping[str, str], version: str = "1.0") -> None:
        module = name.replace("-", "_")
        modules.append(module)
        site = install(
            tmp_path / name,
            name,
            modules={module: source},
            entry_points={"meshbridge.adapters": entries},
            version=version,
        )
        monkeypatch.setattr(sys, "path", [str(site), *sys.path])

    yield add
    for module in modules:
        sys.modules.pop(module, None)


def test_what_is_built_in_is_installed_like_everything_else(add: Add) -> None:
    add("acme-registry", GOOD, {"acme": "acme_registry:Acme"}, "3.1")
    found = {plugin.name: plugin for plugin in installed("adapters")}
    assert {"file", "nacos", "acme"} <= set(found)
    assert found["file"].builtin
    assert not found["acme"].builtin
    assert str(found["acme"]) == 'adapter "acme" of acme-registry 3.1'
    assert {"mcp", "xds"} <= {plugin.name for plugin in installed("outlets")}


def test_a_plug_in_is_imported_only_when_it_is_loaded(add: Add) -> None:
    add("acme-registry", GOOD, {"acme": "acme_registry:Acme"})
    installed("adapters")
    assert "acme_registry" not in sys.modules
    assert load_adapter("acme").Options.model_fields == {}
    assert "acme_registry" in sys.modules


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known() -> None:
    with pytest.raises(ConfigurationError, match=r'found "nacoz"; did you mean "nacos"\?; '):
        load_adapter("nacoz")
    with pytest.raises(ConfigurationError, match=r'found "?"; installed: mcp, xds'):
        load_outlet("")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_of_this_name", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise RuntimeError('one\\ntwo')", "cannot be loaded: RuntimeError: one two; reinstall"),
        ("", "cannot be loaded: AttributeError"),
        ("class Acme: ...", "has no pydantic model named Options"),
        ("class Acme:\n    class Options: ...", "has no pydantic model named Options"),
    ],
)
def test_a_plug_in_that_fails_is_named_with_its_distribution(
    add: Add, source: str, said: str
) -> None:
    """The user must learn whose fault it is, in one line."""
    add("acme-registry", source, {"acme": "acme_registry:Acme"}, "3.1")
    with pytest.raises(ConfigurationError) as caught:
        load_adapter("acme")
    (fault,) = caught.value.faults
    assert fault.startswith('adapter "acme" of acme-registry 3.1 ')
    assert said in fault
    assert "\n" not in fault


def test_a_name_that_two_distributions_claim_belongs_to_neither(add: Add) -> None:
    """Which of them would run must not depend on the order of a directory."""
    add("acme-registry", GOOD, {"acme": "acme_registry:Acme"})
    add("other-registry", GOOD, {"acme": "other_registry:Acme"}, "2.0")
    with pytest.raises(
        ConfigurationError,
        match=r'"acme" is claimed by acme-registry 1\.0 and other-registry 2\.0; uninstall one',
    ):
        load_adapter("acme")
