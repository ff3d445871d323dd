"""What Dubbo has left in Nacos' configuration is read once it is needed, and again if need be."""

from collections.abc import Mapping

import pytest
from unit.nacos.dubbo_bed import V1, V3, Answer, Bed, Server, settle
from unit.nacos.dubbo_group import AT, GREETER, METADATA, REVISION, node, remote, url

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos import dubbo_configs
from meshbridge_nacos.dubbo_configs import AGAIN, LATEST, PATIENCE, RIPE
from meshbridge_nacos.parse import Record


def bed(**configurations: Answer) -> Bed:
    return Bed(Server(**configurations))


@pytest.mark.asyncio
async def test_all_metadata_are_read_before_the_first_word() -> None:
    it = Bed(Server())
    it.server.configurations[REVISION, "shop"] = METADATA
    it.group.put("shop", remote())
    await it.complete()
    assert it.group.ids(GREETER) == [AT]
    assert it.server.asked == [(REVISION, "shop")]
    assert it.news == 0


@pytest.mark.asyncio
async def test_the_first_word_does_not_wait_for_a_slow_configuration_centre() -> None:
    it = bed(**{f"mapping__a_I{number}": "old" for number in range(40)})
    for number in range(40):
        it.server.configurations[REVISION, f"shop-{number}"] = METADATA
        it.group.put(f"shop-{number}", remote(ip=f"10.0.0.{number}"))
    it.group.put("old", node(ip="10.0.1.1", revision=REVISION))

    def slow() -> None:
        it.time.now += PATIENCE / 20

    it.server.on_asked = slow
    await it.complete()
    in_time = it.group.ids(GREETER)
    assert 0 < len(in_time) < 40
    assert not [name for name in it.group.held if name.startswith("a.I")]

    it.server.on_asked = lambda: None
    async with it.runs():
        await it.time.passes(PATIENCE + 2 * AGAIN)
    assert len(it.group.ids(GREETER)) == 40
    assert len([name for name in it.group.held if name.startswith("a.I")]) == 40
    assert it.group.reports == [], "what is read later is no fault"


@pytest.mark.asyncio
async def test_the_first_word_does_not_wait_for_slow_lists_of_configurations() -> None:
    it = bed()
    for number in range(100):
        application = f"old-{number}"
        it.server.configurations["mapping", f"a.I{number}"] = application
        it.group.put(application, node(ip=f"10.0.1.{number}", revision=REVISION))

    def slow() -> None:
        it.time.now += PATIENCE / 4

    it.server.on_asked = slow
    await it.complete()
    assert it.time.now < 2 * PATIENCE

    it.server.on_asked = lambda: None
    async with it.runs():
        await it.time.passes(PATIENCE + 2 * AGAIN)
    assert len([name for name in it.group.held if name.startswith("a.I")]) == 100
    assert it.group.reports == []


@pytest.mark.asyncio
async def test_metadata_of_a_new_revision_are_read_at_once() -> None:
    it = Bed(Server())
    async with it.runs():
        it.configs.look()
        await settle()
        assert it.server.asked == []
        it.server.configurations[REVISION, "shop"] = METADATA
        it.group.put("shop", remote())
        it.configs.look()
        await settle()
        assert it.group.ids(GREETER) == [AT]
        assert it.news == 1


@pytest.mark.asyncio
async def test_large_metadata_are_read_beside_all_else() -> None:
    it = Bed(Server())
    it.server.configurations[REVISION, "shop"] = METADATA + " " * 70_000
    it.group.put("shop", remote())
    await it.complete()
    assert it.group.ids(GREETER) == [AT]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, f"they cannot be read: there is no configuration shop in the group {REVISION}"),
        (RegistryUnavailable("gone"), "they cannot be read: gone"),
        (RegistryRejected("no right"), "they cannot be read: no right"),
        (BadData("no"), "they cannot be read: no"),
        ("[]", "they cannot be read: the metadata is a list, no object"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_read_is_said_and_tried_again_less_and_less_often(
    answer: Answer, reason: str
) -> None:
    it = Bed(Server())
    it.server.configurations[REVISION, "shop"] = answer
    it.group.put("shop", remote())
    await it.complete()
    assert [each for _, each in it.group.reports] == [reason]
    asked = it.server.asked
    asked.clear()
    async with it.runs():
        it.configs.look()
        await settle()
        assert (REVISION, "shop") not in asked
        await it.time.passes(100)
        tries = asked.count((REVISION, "shop"))
        assert 4 <= tries <= 6
        it.server.configurations[REVISION, "shop"] = METADATA
        await it.time.passes(LATEST)
        assert it.group.ids(GREETER) == [AT]
        assert it.group.reports[1:] == []


@pytest.mark.parametrize("path", [V3, V1])
@pytest.mark.asyncio
async def test_mappings_of_both_releases_and_definitions_tell_in_the_end(path: str) -> None:
    it = bed(mapping__a_Greeter="shop,other", mapping__a_Broken="a/b")
    it.server.lists = path
    it.server.configurations["mapping-a.Stock", "shop"] = "1"
    it.server.configurations["dubbo", "a.Stock:1.0:blue:provider:shop"] = "{}"
    it.server.configurations["dubbo", "a.Stock:2.0::provider:others"] = "{}"
    it.server.configurations["dubbo", "a.Hidden:::provider:shop"] = "{}"
    it.server.configurations["dubbo", "a.Stock:::consumer:shop"] = "{}"
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    assert it.group.held.keys() == {"shop", GREETER, "blue@@a.Stock#1.0"}
    assert it.server.tenants == {""}


@pytest.mark.parametrize("options", [{"lists": False}, {}])
@pytest.mark.asyncio
async def test_where_nobody_lists_mappings_those_of_known_interfaces_are_read(
    options: Mapping[str, bool],
) -> None:
    it = Bed(Server(mapping__a_Greeter="shop", mapping__a_Stock="shop"), **options)
    it.server.lists = "" if not options else V3
    it.server.namespace = "prod"
    it.group.put(f"providers:{GREETER}::", url(ip="10.0.0.9"))
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    assert it.group.ids(GREETER) == [AT, "dubbo://10.0.0.9:20880"]
    assert "a.Stock" not in it.group.held


@pytest.mark.asyncio
async def test_what_was_listed_holds_while_it_cannot_be_listed() -> None:
    it = bed(mapping__a_Greeter="shop")
    it.server.configurations["dubbo", "a.Greeter:1.0::provider:shop"] = "{}"
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    async with it.runs():
        it.server.lists = ""
        await it.time.passes(2 * AGAIN)
        assert it.group.ids(f"{GREETER}#1.0") == [AT]


@pytest.mark.asyncio
async def test_all_pages_of_a_list_are_read() -> None:
    it = bed()
    for number in range(1200):
        it.server.configurations[f"mapping-a.I{number}", "shop"] = "1"
    it.group.put("shop", node())
    await it.complete()
    assert len(it.group.held) == 1201


@pytest.mark.asyncio
async def test_a_list_without_an_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dubbo_configs, "MOST_PAGES", 1)
    it = bed()
    for number in range(1200):
        it.server.configurations[f"mapping-a.I{number}", "shop"] = "1"
    it.group.put("shop", node())
    await it.complete()
    assert len(it.group.held) == 501


@pytest.mark.asyncio
async def test_a_list_of_another_form_is_none() -> None:
    forms: list[Record] = [{"data": []}, {"pageItems": {}}]
    odd: list[object] = ["x", {"group": 1, "dataId": "a"}, {"group": "mapping", "dataId": ""}]

    class Odd(Server):
        async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
            assert (path, query["search"]) in {(V3, "blur"), (V1, "blur")}
            return forms.pop(0) if forms else {"pageItems": odd}

    it = Bed(Odd(mapping__a_Greeter="shop"))
    it.group.put("shop", node())
    await it.complete()
    assert it.group.held.keys() == {"shop"}
    async with it.runs():
        await it.time.passes(AGAIN + 2 * RIPE)
    assert forms == []
    assert it.server.asked == []


@pytest.mark.asyncio
async def test_a_server_that_does_not_answer_is_not_asked_in_other_words() -> None:
    """Each question may wait 10 s, and the first listing waits for all of them."""
    paths: list[str] = []

    class Silent(Server):
        async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
            assert query["search"] == "blur"
            paths.append(path)
            raise RegistryUnavailable("no answer within 10 s")

    it = Bed(Silent(mapping__a_Greeter="shop"))
    it.group.put("shop", node())
    await it.complete()
    assert paths == [V3]


@pytest.mark.asyncio
async def test_a_new_instance_is_given_time_before_its_mapping_is_gone_by() -> None:
    it = bed(mapping__a_Greeter="shop")
    async with it.runs():
        await it.time.passes(100)
        assert it.server.asked == []
        it.group.put("shop", node(revision=REVISION))
        await it.time.passes(RIPE)
        assert GREETER not in it.group.held
        await it.time.passes(RIPE)
        assert it.group.ids(GREETER) == [AT]


@pytest.mark.asyncio
async def test_mappings_are_read_again_while_they_are_needed_and_kept_while_they_cannot_be() -> (
    None
):
    it = bed(mapping__a_Greeter="shop")
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    async with it.runs():
        it.server.configurations["mapping", GREETER] = RegistryUnavailable("gone")
        await it.time.passes(AGAIN)
        assert it.group.ids(GREETER) == [AT]
        it.server.configurations["mapping", "a.Stock"] = "shop"
        it.group.put("other", node(ip="10.0.0.2"))
        await it.time.passes(RIPE)
        assert it.group.ids("a.Stock") == [AT]
        it.server.configurations["mapping", GREETER] = None
        await it.time.passes(AGAIN)
        assert GREETER not in it.group.held


@pytest.mark.asyncio
async def test_a_mapping_that_an_application_publishes_after_it_registered_is_soon_read() -> None:
    """Less and less often: it may be one that never comes."""
    it = bed(mapping__a_Greeter="shop")
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    assert it.group.ids(GREETER) == [AT]
    async with it.runs():
        it.server.configurations["mapping", "a.Stock"] = "shop"
        await it.time.passes(RIPE)
        assert it.group.ids("a.Stock") == [AT]
        it.server.asked.clear()
        await it.time.passes(20 * AGAIN)
        assert len(it.server.asked) <= 2 * (20 + 3)
