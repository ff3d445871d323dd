"""The real istiod reads from the outlet mcp over TLS, and not from one that it cannot trust."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshbridge.testing import ProcessFailed
from rig.bridge import Bridge
from rig.certificates import Authority
from rig.istiod import Istiod, Source

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

NAME = "mcp.example"


@asynccontextmanager
async def bridge(directory: Path, authority: Authority) -> AsyncGenerator[str]:
    """Serve a file over TLS; yields the address."""
    services = directory / "services.yaml"
    instance = {"address": "10.1.0.1", "port": 8081}
    services.write_text(json.dumps({"services": [{"name": "orders", "instances": [instance]}]}))
    certificate, key = authority.issue(directory, NAME)
    tls = {"certificate": str(certificate), "key": str(key)}
    configuration = {
        "version": 1,
        "registries": [{"name": "shop", "adapter": "file", "path": str(services)}],
        "outlets": {"mcp": {"listen": "127.0.0.1:0", "tls": tls}},
        "status": "none",
    }
    async with Bridge(directory, configuration) as running:
        yield await running.address("mcp")


def simple(authority: Authority, name: str = NAME) -> Mapping[str, object]:
    """Return the ``tlsSettings`` that trust an authority: its certificate stands in the text."""
    return {
        "mode": "SIMPLE",
        "caCertificates": authority.certificate.decode(),
        "sni": name,
        "subjectAltNames": [name],
    }


async def test_istiod_reads_over_tls_with_the_authority_in_its_configuration(
    tmp_path: Path,
) -> None:
    authority = Authority()
    async with (
        bridge(tmp_path, authority) as address,
        Istiod(tmp_path, [Source(address, simple(authority))]) as istiod,
    ):
        (entry,) = await istiod.stored("ServiceEntry")
        assert entry.hosts == ("orders.file",)
        assert entry.endpoints == ("10.1.0.1",)
        assert istiod.warnings() == []


@pytest.mark.parametrize(
    ("other", "name", "why"),
    [
        (True, NAME, "certificate signed by unknown authority"),
        (False, "else.example", f"certificate is valid for {NAME}, not else.example"),
    ],
    ids=["another authority", "another name"],
)
async def test_istiod_ends_with_the_reason_where_it_cannot_trust(
    other: bool,  # noqa: FBT001 - pytest hands it over by name
    name: str,
    why: str,
    tmp_path: Path,
) -> None:
    authority = Authority()
    async with bridge(tmp_path, authority) as address:
        trusted = Authority() if other else authority
        with pytest.raises(ProcessFailed, match="ended with 1 before it was ready") as failed:
            async with Istiod(tmp_path, [Source(address, simple(trusted, name))]):
                pass
    assert why in str(failed.value)


async def test_istiod_in_the_clear_gets_nothing_where_tls_is_spoken(tmp_path: Path) -> None:
    """Also with MUTUAL, which istiod speaks in the clear without a word."""
    async with bridge(tmp_path, Authority()) as address:
        for tls in (None, {"mode": "MUTUAL", "clientCertificate": "/none", "privateKey": "/none"}):
            with pytest.raises(ProcessFailed, match="ended with 1 before it was ready") as failed:
                async with Istiod(tmp_path, [Source(address, tls)]):
                    pass
            assert "MCP: failed running" in str(failed.value)
