"""Services as a table: for people on a terminal, and in whole lines for a pipe."""

import sys
from collections.abc import Callable, Iterator

from meshbridge.cli.ending import printable, say
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Service
from meshbridge.snapshot import Snapshot

_HEADER = ("HOST", "PORTS", "ENDPOINT", "WEIGHT", "HEALTH", "LOCALITY", "SOURCE")
Row = tuple[str, ...]


def show_table(snapshot: Snapshot, unfit: Callable[[Service], Health | None]) -> None:
    """Print one row for each endpoint with its own ports, and one for a host's ports without any.

    ``unfit`` says of a service whose endpoints are sent as healthy for want of such what they are.

    On a terminal the columns fold into its width, and what repeats is left out; elsewhere every
    line stands for itself and nothing is ever cut.
    """
    rows = [
        tuple(map(printable, row))
        for host in sorted(snapshot.services)
        for row in _rows(snapshot.services[host], unfit(snapshot.services[host]))
    ]
    if sys.stdout.isatty():
        _show_on_terminal(rows)
        return
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEADER, *rows)
    )
    say("\n".join(lines))


def _rows(service: Service, unfit: Health | None) -> Iterator[Row]:
    source = ",".join(f"{source.registry}:{source.name}" for source in service.sources)
    for endpoint in service.endpoints:
        yield (
            service.host,
            ",".join(name for name, _ in endpoint.ports),
            _reached(endpoint),
            str(endpoint.weight),
            f"{unfit}(sent-as-{endpoint.health})" if unfit else str(endpoint.health),
            str(endpoint.locality) or "-",
            source,
        )
    behind = {name for endpoint in service.endpoints for name, _ in endpoint.ports}
    idle = [port.name for port in service.ports if port.name not in behind]
    if idle or not service.endpoints:
        yield service.host, ",".join(idle), "none", "-", "-", "-", source


def _reached(endpoint: Endpoint) -> str:
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return ",".join(f"{address}:{number}" for _, number in endpoint.ports)


def _show_on_terminal(rows: list[Row]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEADER:
        table.add_column(name.capitalize(), overflow="fold")
    host = ports = ""
    for row in rows:
        same = row[0] == host
        table.add_row(*(("", "" if row[1] == ports else row[1], *row[2:-1], "") if same else row))
        host, ports = row[:2]
    Console(markup=False, highlight=False).print(table)
