"""No two servers get one port, not even in runs beside each other."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rig import ports
from rig.ports import COLUMN, THOUSAND, free_port

TESTS = Path(__file__).resolve().parents[2]
OTHER = "from rig.ports import free_port; print(*(free_port() for _ in range(100)))"


def test_a_port_is_not_handed_out_again_soon() -> None:
    assert len({free_port() for _ in range(200)}) == 200


def test_what_lies_at_an_offset_is_handed_out_to_nobody_else_before_something_listens() -> None:
    others = 1000, 1001, -1000
    handed_out: list[int] = []
    for _ in range(12):
        port = free_port(*others)
        handed_out += [port, *(port + other for other in others), free_port()]
    assert len(set(handed_out)) == len(handed_out)


def test_another_process_has_other_ports() -> None:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", OTHER]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    columns = {int(port) % THOUSAND // COLUMN for port in said.stdout.split()}

    assert len(columns) == 1
    assert columns != {free_port() % THOUSAND // COLUMN}


def test_a_port_where_something_listens_is_not_free_nor_is_one_that_lies_at_an_offset() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as free_port looks
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        assert port not in {free_port() for _ in range(300)}
        assert port - 1000 not in {free_port(1000) for _ in range(300)}


def test_what_is_free_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_port: int) -> bool:
        return False

    monkeypatch.setattr(ports, "_is_free", taken)
    with pytest.raises(OSError, match=r"no free port between 20000 and 31000 with offsets \(7,\)"):
        free_port(7)
