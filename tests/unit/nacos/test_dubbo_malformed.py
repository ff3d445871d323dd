"""Whatever stands in Nacos under Dubbo's names: a record spoils itself only, and is named."""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import pytest
from unit.nacos.dubbo_group import Group

from meshbridge import ServiceId

CORPUS: Final = Path(__file__).parents[2] / "corpus" / "nacos2"
KINDS: Final = ("dubbo2", "dubbo3-interface", "dubbo3-local", "dubbo3-remote", "dubbo3-consumer")
ODD: Final[Sequence[object]] = (
    None,
    "",
    " ",
    "x",
    "\x00\n",
    "é" * 700,
    "%zz",
    "{",
    "[]",
    "[[[",
    "*",
    "-1",
    "99999999999999999999",
    "1e400",
    -1,
    0,
    65_536,
    1.5,
    True,
    [],
    {},
    [None],
    {"a": {}},
)
GOOD: Final = "10.9.9.9"
"""The address of a record beside the odd one that is as it should be."""

Json = dict[str, object]


def captured(kind: str) -> Json:
    file = CORPUS / kind / "pushed.json"
    return cast("Json", json.loads(file.read_text()))["serviceInfo"]  # type: ignore[return-value]


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield where something stands, at every depth, also in a text that is JSON itself."""
    yield path
    if isinstance(value, dict):
        for key, each in cast("Json", value).items():
            yield from places(each, (*path, key))


def with_odd(record: Json, path: tuple[object, ...], odd: object) -> object:
    """Return the record with something else at the end of the path."""
    if not path:
        return odd
    changed = copy.deepcopy(record)
    held: Json = changed
    for key in path[:-1]:
        held = cast("Json", held[cast("str", key)])
    held[cast("str", path[-1])] = odd
    return changed


def cases() -> Iterator[tuple[str, str, object]]:
    """Yield kind, name and an odd instance: everything that stands in a record is replaced."""
    for kind in KINDS:
        info = captured(kind)
        (record, *_) = cast("list[Json]", info["hosts"])
        for path in places(record):
            for odd in ODD:
                yield kind, cast("str", info["name"]), with_odd(record, path, odd)


def good(kind: str) -> Json:
    info = captured(kind)
    (record, *_) = cast("list[Json]", info["hosts"])
    return {**record, "ip": GOOD}


def test_thousands_of_odd_records_spoil_themselves_only() -> None:
    beside = {kind: good(kind) for kind in KINDS}
    count = 0
    for kind, name, odd in cases():
        group = Group()
        group.put(name, odd, beside[kind])
        count += 1
        if kind == "dubbo3-consumer":
            assert group.held == {}
            continue
        addresses = [each.address for held in group.held.values() for each in held.instances]
        assert GOOD in addresses, odd
        named = [subject for subject, _ in group.reports]
        assert all(isinstance(each, ServiceId | tuple) for each in named)
        # It is told, or named, or it has become the record of another service's provider.
        assert len(addresses) + len(named) >= 2, odd
    assert count >= 2_000


def spoilt(form: str, text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return form.format(text[:at], text[at:])


@pytest.mark.parametrize("form", ["{0}", "{0}\x00{1}", "{0}{{{1}", "{1}{0}"])
def test_odd_texts_in_the_metadata_spoil_themselves_only(form: str) -> None:
    chance = random.Random(7)  # noqa: S311 - not a secret
    info = captured("dubbo3-local")
    (record, *_) = cast("list[Json]", info["hosts"])
    metadata = cast("dict[str, str]", record["metadata"])
    for key, text in metadata.items():
        for _ in range(20):
            odd = {
                **record,
                "metadata": {**metadata, key: spoilt(form, text, chance)},
            }
            group = Group()
            group.put("pay", odd, good("dubbo3-local"))
            addresses = [each.address for each in group.held["pay"].instances]
            assert GOOD in addresses
            assert len(addresses) + len(group.reports) == 2


def test_odd_names_are_services_or_named() -> None:
    chance = random.Random(8)  # noqa: S311 - not a secret
    signs = ":*.,/%@# \x00\né\ud800"
    for number in range(2_000):
        tail = "".join(chance.choice(signs + "ab") for _ in range(number % 20))
        group = Group()
        said = group.put(f"providers:{tail}", good("dubbo2"))
        assert said, tail
        assert group.reports, tail  # nothing of that name is the captured provider's
        group.drop(f"providers:{tail}")
        assert group.held == {}
