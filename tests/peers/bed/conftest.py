"""Lets a test run with each kind of registry."""

from pathlib import Path

import pytest
from peers.bed.matrix import KINDS, Kind, Source


@pytest.fixture(scope="session", params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return what makes such a registry; a server that all share runs by now."""
    return KINDS[request.param](request)


@pytest.fixture
def source(kind: Kind, tmp_path: Path) -> Source:
    """Return a registry of the test's own, to be entered."""
    return kind(tmp_path)
