"""A list is whole when two full reads in a row agree; and what else is asked beside services."""

import asyncio
from collections.abc import Mapping

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from unit.nacos.pretended import Pretended, Session

from meshbridge import BadData, Health, RegistryRejected, RegistryUnavailable, ServiceId
from meshbridge.steps import at_once
from meshbridge_nacos import admin_api, listing
from meshbridge_nacos.admin_api import AdminApi
from meshbridge_nacos.asking import Page
from meshbridge_nacos.fuzzy import MOST_KNOWN, FuzzyWatch, Notice, notices
from meshbridge_nacos.listing import MOST_READS, PAGE, FullRead, NameList, Seen
from meshbridge_nacos.panic import clusters, corrected, truth
from meshbridge_nacos.parse import SLICE, Record, read_service
from meshbridge_nacos.standing import FORBIDDEN, LATER, REFUSED, SOON, WELL, Pauses, Standing

ORDERS = ServiceId("", "", "orders")


def no_push(group: str, name: str, info: Record) -> None:
    raise AssertionError((group, name, info))


class Server(Session):
    """Answers lists and fetches from what it was handed, one after the other."""

    def __init__(
        self,
        *pages: Page | Exception,
        answers: Mapping[str, list[Record | Exception]] | None = None,
    ) -> None:
        """Hold pages, and answers by path."""
        super().__init__(Pretended(), "public", no_push)
        self.pages = list(pages)
        self.answers = {path: list(each) for path, each in (answers or {}).items()}
        self.numbers: list[int] = []
        self.queries: list[Mapping[str, str]] = []

    async def page(self, group: str, number: int, size: int) -> Page:
        assert (group, size) == ("G", PAGE)
        self.numbers.append(number)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
        self.queries.append({"path": path, **query})
        if not self.answers.get(path):
            raise BadData(f"it answers 404 to {path}")
        answer = self.answers[path].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*names: str, count: int | None = None) -> Page:
    return Page(len(names) if count is None else count, names)


def names_of(server: Server) -> frozenset[str]:
    return asyncio.run(NameList(server, "G").all())


def test_two_reads_that_agree_are_the_list() -> None:
    server = Server(page("a", "b"), page("b", "a"))
    assert names_of(server) == {"a", "b"}
    assert server.numbers == [1, 1]


def test_reads_go_on_until_two_in_a_row_agree() -> None:
    assert names_of(
        Server(page("a"), page("a", "b"), page("a"), page("a", "c"), page("a", "c"))
    ) == {
        "a",
        "c",
    }


def test_all_pages_are_read_and_each_read_begins_anew() -> None:
    server = Server(*[page("a", "b", count=3), page("c", count=3)] * 2)
    assert names_of(server) == {"a", "b", "c"}
    assert server.numbers == [1, 2, 1, 2]


@pytest.mark.parametrize(
    "pages",
    [
        (page("a", "b", count=3), page("b", count=3)),
        (page("a", count=2), page(count=2)),
        (page("a", count=2), page("b", count=3), page(count=3)),
    ],
    ids=["a name on both pages", "a page too few", "another count"],
)
def test_pages_that_do_not_add_up_agree_with_nothing(pages: tuple[Page, ...]) -> None:
    with pytest.raises(RegistryUnavailable, match=r"no whole list of the group G: it counts \d"):
        names_of(Server(*pages * MOST_READS))


def test_while_services_come_too_fast_one_page_is_one_state() -> None:
    pages = [page(*(f"s{each}" for each in range(number))) for number in range(1, MOST_READS + 1)]
    assert len(names_of(Server(*pages))) == MOST_READS


def test_while_services_come_too_fast_several_pages_are_no_list() -> None:
    pages = list[Page]()
    for number in range(MOST_READS):
        pages += [page("a", count=2), page(f"s{number}", count=2)]
    with pytest.raises(RegistryUnavailable, match="it changes faster than it can be read"):
        names_of(Server(*pages))


def test_a_page_that_fails_fails_the_list() -> None:
    server = Server(page("a", count=2), RegistryUnavailable("lost"))
    with pytest.raises(RegistryUnavailable, match="lost"):
        names_of(server)


def test_a_look_reads_once_while_nothing_changes_and_else_twice() -> None:
    async def look() -> list[Seen]:
        pages = [page("a"), page("a"), page("a"), page("a", "b"), page("a", "b"), page(), page("c")]
        names = NameList(Server(*pages, page("c")), "G")
        await names.all()
        return [await names.look() for _ in range(4)]

    same, more, torn, settled = asyncio.run(look())
    assert same == Seen(frozenset("a"), whole=True)
    assert more == Seen(frozenset("ab"), whole=True)
    assert torn == Seen(frozenset("c"), whole=False), "what was seen at all may be asked for"
    assert settled == Seen(frozenset("c"), whole=True)


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=5), st.data())
def test_a_read_adds_up_only_if_nothing_is_missing_or_twice(
    contents: list[list[str]], data: st.DataObject
) -> None:
    held = {name for names in contents for name in names}
    count = data.draw(st.integers(0, 8))
    read = FullRead()
    for names in contents:
        read.take(Page(count, tuple(names)))
    assert read.names == held
    assert read.adds_up == (count == len(held))
    assert not read.is_one_state or len(contents) == 1


def test_fifty_thousand_names_are_one_page() -> None:
    many = tuple(
        f"providers:com.acme.some.long.package.Service{each}:1.0.0:" for each in range(50_000)
    )
    assert len(names_of(Server(page(*many), page(*many)))) == 50_000
    assert listing.PAGE >= 50_000


def test_notices_of_one_change_and_of_many_are_read() -> None:
    one = {"serviceKey": "public@@G@@a", "changedType": "ADD_SERVICE"}
    other = {"serviceKey": "public@@G@@providers:x@@y::", "changedType": "DELETE_SERVICE"}
    assert notices("public", one) == [Notice("G", "a", appeared=True)]
    assert notices("public", {"contexts": [one, other]}) == [
        Notice("G", "a", appeared=True),
        Notice("G", "providers:x@@y::", appeared=False),
    ]
    assert notices("prod", one) == []


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"serviceKey": None, "changedType": "ADD_SERVICE"},
        {"serviceKey": "public@@a", "changedType": "ADD_SERVICE"},
        {"serviceKey": "public@@@@a", "changedType": "ADD_SERVICE"},
        {"serviceKey": "public@@G@@a", "changedType": "HEARTBEAT"},
        {"contexts": ["public@@G@@a", None, 5, [0]]},
    ],
)
def test_what_is_no_notice_says_nothing(said: Record) -> None:
    assert notices("public", said) == []


def test_no_fuzzy_watch_is_asked_of_a_server_without_it_nor_for_too_many() -> None:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()

    def asked(ability: str, services: int) -> list[Mapping[str, object]]:
        registry = Pretended(abilities=frozenset({ability}))
        server = Session(registry, "public", no_push)
        fuzzy = FuzzyWatch(server, logger, lambda _: None)
        known = [("G", str(number)) for number in range(services)]
        if fuzzy.takes(len(known)):
            asyncio.run(fuzzy.watch("G", known))
        return server.asked

    assert len(asked("fuzzyWatch", MOST_KNOWN)) == 1
    assert asked("fuzzyWatch", MOST_KNOWN + 1) == []
    assert asked("lock", 1) == []


def test_what_administrators_are_told_is_asked_of_the_release_that_is_there() -> None:
    old = {"serviceList": [{"groupName": "G"}, {"groupName": ""}, {"groupName": None}, "G", {}]}
    server = Server(answers={"/v1/ns/catalog/services": [old, old]})
    admin = AdminApi(server)

    async def twice() -> list[frozenset[str]]:
        return [await admin.groups(), await admin.groups()]

    assert asyncio.run(twice()) == [{"G"}, {"G"}]
    assert [each["path"] for each in server.queries] == [
        "/v3/admin/ns/service/list",
        "/v1/ns/catalog/services",
        "/v1/ns/catalog/services",
    ]
    assert server.queries[1]["namespaceId"] == "public"


def test_all_pages_of_services_are_read_for_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_api, "PAGE", 2)
    monkeypatch.setattr(admin_api, "MOST_PAGES", 2)
    full: Record = {"data": {"pageItems": [{"groupName": "G"}, {"groupName": "H"}]}}
    last: Record = {"data": {"pageItems": [{"groupName": "I"}]}}
    server = Server(answers={"/v3/admin/ns/service/list": [full, last, full, full]})
    assert asyncio.run(AdminApi(server).groups()) == {"G", "H", "I"}
    assert [each["pageNo"] for each in server.queries] == ["1", "2"]
    with pytest.raises(RegistryUnavailable, match="lists over 4 services"):
        asyncio.run(AdminApi(server).groups())


def test_release_2_writes_the_default_namespace_as_nothing() -> None:
    said: Record = {"data": [{"namespace": ""}, {"namespace": "prod"}, {"namespace": 5}]}
    server = Server(answers={"/v1/console/namespaces": [said]})
    assert asyncio.run(AdminApi(server).namespaces()) == {"public", "prod"}


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {}}, {"data": "public"}])
def test_an_answer_without_a_list_is_no_empty_list(answer: Record) -> None:
    server = Server(answers={"/v3/admin/core/namespace/list": [answer]})
    with pytest.raises(BadData, match="holds no list; it answers 404"):
        asyncio.run(AdminApi(server).namespaces())


def test_a_refusal_is_no_reason_to_ask_elsewhere() -> None:
    server = Server(answers={"/v3/admin/core/namespace/list": [RegistryRejected("no right")]})
    with pytest.raises(RegistryRejected):
        asyncio.run(AdminApi(server).namespaces())
    assert len(server.queries) == 1


def test_instances_are_asked_for_in_each_cluster() -> None:
    """Without a cluster's name both releases answer for DEFAULT alone."""
    one, other = {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}
    server = Server(answers={"/v3/admin/ns/instance/list": [{"data": [one]}, {"data": [other]}]})
    found = asyncio.run(AdminApi(server).instances("G", "orders", ("DEFAULT", "hz")))
    assert found == [one, other]
    assert [each["clusterName"] for each in server.queries] == ["DEFAULT", "hz"]
    assert {(each["groupName"], each["serviceName"]) for each in server.queries} == {
        ("G", "orders")
    }


def host(number: int, **fields: object) -> dict[str, object]:
    return {"ip": f"10.0.0.{number}", "port": 80} | fields


def test_the_truth_takes_the_place_of_what_protection_says() -> None:
    info = {
        "reachProtectionThreshold": True,
        "hosts": [host(1), host(2, clusterName="hz"), host(3), host(4)],
    }
    service = read_service(ORDERS, info).service
    assert clusters(service) == ("DEFAULT", "hz")
    told = [
        host(1, healthy=False),
        host(2, healthy=True, clusterName="hz"),
        host(3, healthy=True, enabled=False),
        host(9),
        "no record",
        host(4, healthy="yes"),
    ]
    known = at_once(truth(ORDERS, told))
    assert [each.health for each in at_once(corrected(service, known)).instances] == [
        Health.UNHEALTHY,
        Health.HEALTHY,
        Health.DISABLED,
        Health.DEGRADED,
    ]


def test_others_get_a_turn_while_the_truth_about_many_is_put_in_place() -> None:
    hosts = [host(1, port=number) for number in range(3 * SLICE)]
    service = read_service(ORDERS, {"reachProtectionThreshold": True, "hosts": hosts}).service
    assert len(list(truth(ORDERS, hosts))) == 3
    assert len(list(corrected(service, at_once(truth(ORDERS, hosts))))) == 3


def test_nothing_fails_before_all_scopes_do() -> None:
    standing = Standing()
    gone, refused = RegistryUnavailable("gone"), RegistryRejected("no right")
    assert standing.outage() is None
    for scope in ("a", "b"):
        standing.add(scope)
    standing.fails("a", refused)
    assert standing.outage() is None, "of the other one nothing is known yet"
    standing.fails("b", refused)
    assert standing.outage() is refused
    standing.fails("b", gone)
    assert standing.outage() is gone
    standing.reads("a")
    assert standing.outage() is None
    standing.drop("a")
    assert standing.outage() is gone


def test_who_waits_for_a_word_of_scopes_waits_for_no_other_and_none_that_is_gone() -> None:
    async def wait() -> None:
        standing = Standing()
        for scope in ("a", "b", "c", "d"):
            standing.add(scope)
        waiting = asyncio.create_task(standing.spoken_of(["a", "b", "c", "stranger"]))
        standing.reads("a")
        standing.fails("b", RegistryUnavailable("gone"))
        await asyncio.sleep(0)
        assert not waiting.done()
        standing.drop("c")
        standing.drop("c")
        await waiting

    asyncio.run(wait())


def test_pauses_grow_while_it_fails_and_are_long_after_a_refusal() -> None:
    pauses, gone = Pauses(lambda: 1.0), RegistryUnavailable("gone")
    assert [pauses.after(gone, 0) for _ in range(7)] == [SOON, 0.5, 1, 2, LATER, LATER, LATER]
    assert Pauses(lambda: 0.0).after(gone, 0) == SOON / 2
    assert pauses.after(RegistryRejected("no"), 0) == REFUSED
    assert Pauses(lambda: 1.0, refused=FORBIDDEN).after(RegistryRejected("no"), 0) == FORBIDDEN
    assert pauses.after(gone, WELL) == SOON
