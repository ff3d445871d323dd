"""What is told of a tree, case by case; test_reading_model.py proves it over every order."""

from collections.abc import Mapping, Sequence

import pytest

from meshbridge_zookeeper_dubbo.persistent import NO_AUTH, NO_NODE, Event, Happened, Result
from meshbridge_zookeeper_dubbo.reading_nodes import ProtectedRootError, UnreadableTreeError
from meshbridge_zookeeper_dubbo.reading_state import State
from meshbridge_zookeeper_dubbo.tree import Want

Said = tuple[str, ...]


def interest(path: str) -> Want:
    """Want names of the first three levels, and data of what is called data."""
    if path.endswith("data"):
        return Want.DATA
    return Want.CHILDREN if path.count("/") < 4 and path != "/none" else Want.NOTHING


class Reader:
    """A state with a server that answers from a dictionary; keeps what is said."""

    def __init__(
        self, answers: Mapping[str, Result], *roots: str, recursive: bool = True, most: int = 100
    ) -> None:
        self.said: list[Said] = []
        self.answers = dict(answers)
        self.state = State(roots or ("/a",), interest, self, recursive=recursive)
        self.state.nodes.most = most

    def children(self, path: str, names: Sequence[str]) -> None:
        self.said.append(("children", path, *names))

    def added(self, path: str, name: str) -> None:
        self.said.append(("added", path, name))

    def removed(self, path: str, name: str) -> None:
        self.said.append(("removed", path, name))

    def data(self, path: str, data: bytes | None) -> None:
        self.said.append(("data", path, repr(data)))

    def settled(self) -> None:
        raise AssertionError("it is for those to say who do the reading")

    def guarded(self, path: str) -> None:
        self.said.append(("guarded", path))

    def read(self) -> list[Said]:
        """Answer all questions; return what was said since this was asked last."""
        while reads := self.state.next_reads(2):
            for node, read in reads:
                self.state.answered(node, read, self.answers.get(read.path, NO_NODE))
                while self.state.find(1):
                    pass
        said, self.said = self.said, []
        return said

    def happens(self, happened: Happened, path: str) -> list[Said]:
        self.state.happened(Event(happened, path))
        return self.read()


TREE: Mapping[str, Result] = {
    "/a": ["x"],
    "/a/x": ["providers", "data"],
    "/a/x/providers": ["url"],
    "/a/x/data": b"content",
}


def test_all_that_is_wanted_is_told_from_the_roots_down() -> None:
    reader = Reader(TREE, "/a", "/none")
    assert reader.read() == [
        ("children", "/a", "x"),
        ("children", "/a/x", "providers", "data"),
        ("children", "/a/x/providers", "url"),
        ("data", "/a/x/data", "b'content'"),
    ]
    assert not reader.state.nodes.busy
    assert reader.state.nodes.unread == 0
    assert reader.state.nodes.size == len("x" + "providers" + "data" + "url" + "content")


def test_a_child_that_comes_or_goes_is_told_without_a_reading() -> None:
    reader = Reader(TREE)
    reader.read()
    url = "/a/x/providers/new"
    for happened, said in ((Happened.CREATED, "added"), (Happened.DELETED, "removed")):
        reader.state.happened(Event(happened, url))
        assert not reader.state.nodes.busy
        assert reader.read() == [(said, "/a/x/providers", "new")]


def test_what_changes_where_nothing_is_wanted_is_not_told() -> None:
    reader = Reader(TREE)
    reader.read()
    reader.state.told = False
    for path in ("/a/x/providers/url/deeper", "/a/x/providers/url", "/b", "/"):
        assert reader.happens(Happened.CHANGED, path) == []
    for path in ("/a/x/providers/url/deeper", "/b/c"):
        assert reader.happens(Happened.CREATED, path) == []
        assert reader.happens(Happened.DELETED, path) == []
    assert not reader.state.told


def test_a_new_child_is_read_if_it_is_wanted() -> None:
    reader = Reader(TREE)
    reader.read()
    reader.answers |= {"/a/y": ["data"], "/a/y/data": b"other"}
    assert reader.happens(Happened.CREATED, "/a/y") == [
        ("added", "/a", "y"),
        ("children", "/a/y", "data"),
        ("data", "/a/y/data", "b'other'"),
    ]
    reader.answers["/a/y/data"] = b"changed"
    assert reader.happens(Happened.CHANGED, "/a/y/data") == [("data", "/a/y/data", "b'changed'")]


def test_what_is_below_a_child_that_has_gone_is_forgotten() -> None:
    reader = Reader(TREE)
    reader.read()
    assert reader.happens(Happened.DELETED, "/a/x") == [("removed", "/a", "x")]
    assert reader.happens(Happened.CHANGED, "/a/x/data") == []
    assert reader.state.nodes.size == 0


def test_a_list_that_lacks_a_child_forgets_what_is_below_it() -> None:
    reader = Reader(TREE)
    reader.read()
    reader.answers["/a"] = []
    assert reader.happens(Happened.CHILDREN, "/a") == [("children", "/a")]
    assert reader.happens(Happened.CHANGED, "/a/x/data") == []
    assert reader.state.nodes.size == 0


def test_a_root_that_goes_is_empty_until_it_comes_again() -> None:
    reader = Reader(TREE)
    reader.read()
    assert reader.happens(Happened.DELETED, "/a") == [("children", "/a")]
    assert reader.state.nodes.size == 0
    assert reader.happens(Happened.CREATED, "/a")[:2] == [
        ("children", "/a", "x"),
        ("children", "/a/x", "providers", "data"),
    ]


def test_a_node_that_vanishes_before_it_is_read_is_empty() -> None:
    reader = Reader({"/a": ["x", "data"]})
    assert reader.read() == [
        ("children", "/a", "x", "data"),
        ("children", "/a/x"),
        ("data", "/a/data", "None"),
    ]
    old = Reader({"/a": ["x"]}, recursive=False)
    assert old.read() == [("children", "/a", "x"), ("children", "/a/x")]
    old.answers["/a/x"] = ["providers"]
    assert ("children", "/a/x", "providers") in old.happens(Happened.CHILDREN, "/a")


def test_an_old_server_is_asked_to_look_out_for_a_root() -> None:
    reader = Reader({}, recursive=False)
    assert reader.read() == [("children", "/a")]
    reader.answers = dict(TREE) | {"/a": ["x"]}
    assert reader.happens(Happened.CREATED, "/a")[0] == ("children", "/a", "x")


def test_a_node_that_may_not_be_read_is_told_apart_once() -> None:
    reader = Reader({**TREE, "/a/x/providers": NO_AUTH, "/a/x/data": NO_AUTH})
    assert reader.read()[-2:] == [("guarded", "/a/x/providers"), ("guarded", "/a/x/data")]
    reader.state.nodes.check(1)
    assert reader.read() == []
    reader.answers = dict(TREE)
    for _ in range(2):
        reader.state.nodes.check(1)
    assert sorted(reader.read()) == [
        ("children", "/a/x/providers", "url"),
        ("data", "/a/x/data", "b'content'"),
    ]
    assert reader.state.overlooked == []


def test_what_may_no_longer_be_read_keeps_what_was_told() -> None:
    """It may still hold, also where a change is seen; and it is told again once it may be read."""
    reader = Reader(TREE)
    reader.read()
    reader.state.told = False
    reader.answers["/a/x/providers"] = reader.answers["/a/x/data"] = NO_AUTH
    for _ in range(2):
        reader.state.nodes.check(1)
    assert reader.read() == [("guarded", "/a/x/providers")]
    assert reader.state.told
    assert reader.happens(Happened.CHANGED, "/a/x/data") == [("guarded", "/a/x/data")]
    reader.answers = dict(TREE)
    for _ in range(2):
        reader.state.nodes.check(1)
    assert ("children", "/a/x/providers", "url") in reader.read()


def test_a_check_tells_what_no_watch_has_told_and_nothing_else() -> None:
    reader = Reader(TREE)
    reader.read()
    reader.happens(Happened.CREATED, "/a/x/providers/second")
    reader.answers["/a/x/providers"] = ["second", "url"]
    reader.state.nodes.check(1)
    assert reader.read() == []
    reader.answers["/a/x/providers"] = ["third", "url"]
    reader.state.nodes.check(1)
    assert reader.read() == [("children", "/a/x/providers", "third", "url")]
    assert reader.state.overlooked == ["/a/x/providers"]


def test_a_change_before_a_check_is_read_and_not_only_checked() -> None:
    reader = Reader(TREE)
    reader.read()
    reader.state.nodes.check(1)
    assert reader.happens(Happened.CHILDREN, "/a")[0] == ("children", "/a", "x")
    for each in (Happened.DELETED, Happened.CREATED):
        reader.state.nodes.check(1)
        reader.state.happened(Event(each, "/a"))
    assert reader.read()[:2] == [("children", "/a"), ("children", "/a", "x")]
    assert reader.state.overlooked == []


def test_a_root_that_may_not_be_read_is_no_tree() -> None:
    with pytest.raises(ProtectedRootError, match=r"^/a$"):
        Reader({"/a": NO_AUTH}).read()


def test_an_answer_that_means_nothing_is_no_tree() -> None:
    with pytest.raises(UnreadableTreeError, match="/a cannot be read: error -99"):
        Reader({"/a": -99}).read()


def test_there_are_bounds() -> None:
    with pytest.raises(UnreadableTreeError, match="more than 2 nodes"):
        Reader(TREE, most=2).read()
    reader = Reader(TREE)
    reader.state.nodes.most_bytes = 20
    with pytest.raises(UnreadableTreeError, match="more than 20 bytes"):
        reader.read()
