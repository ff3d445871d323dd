"""The table of servers at the end of a run."""

from rig.server import Start
from rig.starts import table

MIB = 1024 * 1024


def test_starts_of_one_kind_and_version_are_a_row_with_median_and_spread() -> None:
    starts = [
        Start("Nacos", "2.5.0", 9.0, 500 * MIB),
        Start("Envoy", "1.40.0", 0.1, 60 * MIB),
        Start("Nacos", "2.5.0", 7.0, 510 * MIB),
        Start("Nacos", "3.1.0", 12.0, 530 * MIB),
        Start("Nacos", "2.5.0", 20.0, 505 * MIB),
    ]
    assert [line.split() for line in table(starts)] == [
        ["server", "version", "starts", "ready", "after", "memory"],
        ["Envoy", "1.40.0", "1", "0.1", "(0.1-0.1)", "s", "60", "MiB"],
        ["Nacos", "2.5.0", "3", "9.0", "(7.0-20.0)", "s", "505", "MiB"],
        ["Nacos", "3.1.0", "1", "12.0", "(12.0-12.0)", "s", "530", "MiB"],
    ]
