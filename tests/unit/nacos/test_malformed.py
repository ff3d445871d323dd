"""Thousands of malformed records come over the wire: each spoils itself only, and each is told."""

import itertools
from collections.abc import Iterator

import pytest

from meshbridge import Adapter, Context, Listing, ServiceId
from meshbridge_nacos import Nacos, Options
from rig.scripted_nacos import Host, Message, ScriptedNacos
from rig.watching import watching

SCOPE = "public/DEFAULT_GROUP"
GOOD: Host = {"ip": "10.0.0.1", "port": 80, "weight": 1.0, "healthy": True, "enabled": True}
BAD_FIELDS: dict[str, tuple[object, ...]] = {
    "ip": (None, "", 7, 1.5, True, [], {}, ["10.0.0.2"], {"v4": "10.0.0.2"}),
    "port": (None, "80", "", 1.5, True, [], {}, [80], "x" * 10_000),
    "weight": (None, "heavy", "", "1.0", True, [], {}, "nan", 10**400, "\u0000"),
    "healthy": (None, "yes", 0, 1, [], {}, "true", "\u2028"),
    "enabled": (None, "no", 0, 1.0, [], {}, "false", ["x" * 1_000]),
    "clusterName": (5, True, [1], {"a": 1}, 1.5, ["hz"]),
    "metadata": ("a=b", 5, True, [], ["a"], {"a": 1}, {"a": []}, {"a": {"b": "c"}}, {"": False}),
}
ALWAYS_BAD: tuple[object, ...] = ([None], [[0]], [1.5, "x"])
"""No field of an instance is any of these."""
NO_RECORDS: tuple[object, ...] = (None, 0, -1, 1.5, True, "", "10.0.0.2:80", [], ["ip", "port"], {})
NO_LISTS: tuple[object, ...] = (None, {}, "[]", 0, True, "x" * 1_000, {"0": GOOD}, 1.5)
NO_SERVICES: tuple[object, ...] = (None, [], "orders", 5, True, [GOOD])


def deep(levels: int) -> object:
    """Return a list that is nested so deep."""
    nested: object = []
    for _ in range(levels):
        nested = [nested]
    return nested


def malformed() -> Iterator[object]:
    """Yield records of instances that cannot be read, no two alike."""
    yield from NO_RECORDS
    bad = [
        (field, value)
        for field, values in BAD_FIELDS.items()
        for value in itertools.chain(values, ALWAYS_BAD)
    ]
    for field, value in bad:
        yield GOOD | {"ip": "10.0.0.2", field: value}
    for (field, value), (other, another) in itertools.combinations(bad, 2):
        if field != other:
            yield GOOD | {"ip": "10.0.0.2", field: value, other: another}
    for levels in range(10, 60):
        yield GOOD | {"ip": "10.0.0.2", "weight": deep(levels)}


class Spoilt(ScriptedNacos):
    """Describes some services as no server does."""

    def __init__(self) -> None:
        """Spoil nothing yet."""
        super().__init__()
        self.described: dict[str, object] = {}
        """By a service's name: what stands in place of its list of instances."""

    def _info(self, service: str) -> Message:
        info = super()._info(service)
        return info | {"hosts": self.described[service]} if service in self.described else info


def adapter(server: ScriptedNacos, context: Context) -> Adapter:
    return Nacos("shop", Options.model_validate({"servers": [server.address]}), context)


@pytest.mark.asyncio
async def test_each_of_thousands_of_malformed_instances_spoils_itself_only() -> None:
    records = list(malformed())
    assert len(records) >= 2_000
    async with Spoilt() as server:
        for number, record in enumerate(records):
            server.services[f"s{number}"] = {}
            server.described[f"s{number}"] = [record, GOOD]
        async with watching(lambda context: adapter(server, context)) as watched:
            listing = await watched.listed(SCOPE, within=60)
            assert watched.failures == []
    served = {each.id.name: [one.address for one in each.instances] for each in listing.services}
    assert served == {f"s{number}": ["10.0.0.1"] for number in range(len(records))}
    named = [
        subject[0].name for subject in listing.unreadable if not isinstance(subject, ServiceId)
    ]
    assert sorted(named) == sorted(served)
    assert {subject for subject, _ in watched.reports} == set(listing.unreadable)
    assert all("\n" not in reason and len(reason) < 300 for _, reason in watched.reports)


@pytest.mark.asyncio
@pytest.mark.parametrize("pushed", [False, True], ids=["asked for", "pushed"])
async def test_a_malformed_service_spoils_itself_only(pushed: bool) -> None:  # noqa: FBT001 - pytest's
    async with Spoilt() as server:
        server.put("good", "10.0.0.1", 80)
        bad = {f"bad{number}": held for number, held in enumerate(NO_LISTS)}
        for name in bad:
            server.put(name, "10.0.0.9", 80)
        if not pushed:
            server.described |= bad
        async with watching(lambda context: adapter(server, context)) as watched:
            listing = await watched.listed(SCOPE)
            if pushed:
                for name, held in bad.items():
                    server.push(name, hosts=held)
            server.put("good", "10.0.0.2", 80)
            await watched.has("good", lambda found: len(found or ()) == 2)
            assert watched.failures == []
        subjects = {str(subject) for subject, _ in watched.reports}
    assert subjects == set(bad)
    if not pushed:
        assert {str(each) for each in listing.unreadable} == set(bad)


@pytest.mark.asyncio
async def test_a_push_of_no_service_is_none() -> None:
    async with ScriptedNacos() as server:
        server.put("good", "10.0.0.1", 80)
        async with watching(lambda context: adapter(server, context)) as watched:
            await watched.listed(SCOPE)
            for held in NO_SERVICES:
                server.push("good", groupName=held)
                server.push("good", name=held)
            server.push_raw("NotifySubscriberRequest", b'{"serviceInfo": [1, 2]}')
            server.put("good", "10.0.0.2", 80)
            await watched.has("good", lambda found: len(found or ()) == 2)
            assert [each for each in watched.said if isinstance(each, Listing)] == [watched.said[0]]
            assert watched.reports == []
