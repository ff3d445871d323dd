"""Whether instances with a DNS name are published is for the outlets to say, of all registries."""

from pathlib import Path

import pytest

from meshbridge.settings.comparing import Fate, compare
from meshbridge.settings.loading import load_settings
from meshbridge.settings.model import Settings


def load(tmp_path: Path, outlets: str) -> Settings:
    path = tmp_path / "meshbridge.yaml"
    registry = "{name: shop, adapter: file, path: services.yaml}"
    path.write_text(f"{{version: 1, registries: [{registry}], outlets: {{{outlets}}}}}")
    return load_settings(path, {})


@pytest.mark.parametrize(
    ("outlets", "published"),
    [
        ("xds: {}", False),
        ("mcp: {}", False),
        ("mcp: {names: omit}", False),
        ("mcp: {names: resolve}", True),
        ("xds: {}, mcp: {names: resolve}", True),
    ],
)
def test_names_are_published_where_an_outlet_takes_them(
    tmp_path: Path, outlets: str, *, published: bool
) -> None:
    (registry,) = load(tmp_path, outlets).registries
    assert registry.publish.names is published


def test_a_registry_is_published_anew_when_an_outlet_begins_to_take_names(tmp_path: Path) -> None:
    """Without a new session: its adapter says the same as before."""
    plan = compare(load(tmp_path, "mcp: {}"), load(tmp_path, "mcp: {names: resolve}"))
    (registry,) = plan.registries
    assert (registry.fate, registry.keys) == (Fate.CHANGED, ("publish",))
