"""Dumps for the tests of `meshbridge diff`, and the command as if typed."""

import json
from collections.abc import Mapping
from pathlib import Path

from typer.testing import CliRunner, Result

from meshbridge.cli.app import command_line


def diff(a: str | Path, b: str | Path, *options: str, stdin: str | None = None) -> Result:
    """Run the command as if typed."""
    return CliRunner().invoke(command_line(), ["diff", str(a), str(b), *options], input=stdin)


def endpoint(address: str = "10.1.0.1", **fields: object) -> dict[str, object]:
    """Return an endpoint as a dump holds it."""
    usual = {
        "address": address,
        "ports": {"http-80": 8080},
        "weight": 100,
        "health": "healthy",
        "locality": "cn/h",
        "labels": {"version": "v1"},
        "network": "",
        "service_account": "",
    }
    return usual | fields


def service(host: str, *endpoints: Mapping[str, object], **fields: object) -> dict[str, object]:
    """Return a service as a dump holds it."""
    usual: dict[str, object] = {
        "host": host,
        "namespace": "shop",
        "ports": [{"number": 80, "protocol": "http", "name": "http-80"}],
        "endpoints": list(endpoints),
        "labels": {},
        "version": "1",
        "sources": [{"registry": "shop", "name": host.partition(".")[0]}],
        "aliases": [],
        "addresses": [],
        "export_to": [],
    }
    return usual | fields


def write(path: Path, *services: Mapping[str, object]) -> Path:
    """Write a dump and return where it is."""
    path.write_text(json.dumps(services))
    return path
