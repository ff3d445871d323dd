"""A subscription against a simple subscriber, over every order of events that Hypothesis finds."""

from collections.abc import Mapping

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from meshbridge_xds.exchange import WILDCARD, DeltaRequest, Response, StateRequest
from meshbridge_xds.resources import Resource, ResourceSet, ResourceType
from meshbridge_xds.subscription import Subscription

NAMES = st.sampled_from(["a", "b", "c", "d"])
VERSIONS = st.sampled_from(["1", "2", "3", "bad-1", "bad-2"])
WHOLE = ResourceType("whole")
PARTIAL = ResourceType("partial", whole=False, wildcard=False)
ONE_BY_ONE = ResourceType("one by one", whole=False, wildcard=False, part=1)
ALL_ONE_BY_ONE = ResourceType("all, one by one", whole=False, part=1)


def is_bad(resource: Resource) -> bool:
    return resource.version.startswith("bad")


class Peer(RuleBasedStateMachine):
    """One subscriber: asks, takes in, refuses what is bad, loses its connection."""

    kind = WHOLE
    delta = False

    def __init__(self) -> None:
        super().__init__()
        self.offered = ResourceSet({})
        self.asked: set[str] = set()
        self.view: dict[str, str] = {}
        self.wildcard = False
        self.words_name_names = True
        self.takes_the_good = True
        self.refused: set[tuple[str, str]] = set()
        self.nonce = ""
        self.on_the_way: Response | None = None

    @initialize(wildcard=st.booleans(), names=st.sets(NAMES), takes_the_good=st.booleans())
    def connects(self, *, wildcard: bool, names: set[str], takes_the_good: bool) -> None:
        self.takes_the_good = takes_the_good
        self.wildcard = wildcard and self.kind.wildcard
        self.asked = set() if self.wildcard else names or {"a"}
        self.connect({})

    def connect(self, known: Mapping[str, str]) -> None:
        self.server = Subscription(self.kind, delta=self.delta)
        self.server.offer(self.offered)
        self.on_the_way = None
        self.refused.clear()
        # A nonce of another stream, as istiod's clock reading or Envoy's last one: means nothing.
        self.nonce = "1" if self.delta else "from before"
        names = tuple(sorted(self.asked))
        if not self.delta:
            self.send(StateRequest(names, self.nonce))
        elif self.wildcard and names:
            self.send(DeltaRequest((WILDCARD, *names), known=known))
        else:
            self.send(DeltaRequest(names, known=known))

    def send(self, request: StateRequest | DeltaRequest) -> None:
        self.server.request(request)
        self.look()

    def look(self) -> None:
        """Let the server send what is due, if nothing is on the way."""
        response = self.server.respond()
        if response is not None:
            assert self.on_the_way is None, "two responses are unanswered"
            self.on_the_way = response

    @rule(name=NAMES, version=VERSIONS)
    def a_resource_changes(self, name: str, version: str) -> None:
        self.change({name: Resource(name, version, b"body")})

    @rule(changes=st.dictionaries(NAMES, st.none() | VERSIONS, min_size=2))
    def several_change_at_once(self, changes: dict[str, str | None]) -> None:
        self.change({n: Resource(n, v, b"body") if v else None for n, v in changes.items()})

    @rule(name=NAMES)
    def a_resource_goes(self, name: str) -> None:
        self.change({name: None})

    @precondition(lambda self: bool(self.offered.listed))
    @rule(data=st.data())
    def a_resource_goes_and_comes_back_as_it_was(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.offered.listed)))
        before = self.offered.listed[name]
        self.change({name: None})
        if self.on_the_way is not None:
            self.reads_and_answers()
        self.change({name: before})

    def change(self, touched: Mapping[str, Resource | None]) -> None:
        self.offered = self.offered.changed(touched)
        self.server.offer(self.offered)
        self.look()

    @rule()
    def the_history_of_the_offer_is_forgotten(self) -> None:
        self.offered = ResourceSet(self.offered.listed)
        self.server.offer(self.offered)
        self.look()

    @precondition(lambda self: self.delta or not self.wildcard)
    @rule(name=NAMES)
    def asks_for_one_more(self, name: str) -> None:
        self.asked.add(name)
        if self.delta:
            self.send(DeltaRequest(subscribe=(name,)))
        else:
            self.send(StateRequest(tuple(sorted(self.asked)), self.nonce))

    @precondition(lambda self: len(self.asked) > 1 or (self.delta and self.asked))
    @rule(data=st.data())
    def asks_for_one_less(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.asked)))
        self.asked.discard(name)
        self.view.pop(name, None)
        if self.delta:
            self.send(DeltaRequest(unsubscribe=(name,)))
        else:
            self.send(StateRequest(tuple(sorted(self.asked)), self.nonce))

    @rule(names=st.sets(NAMES, min_size=1))
    def is_told_again(self, names: set[str]) -> None:
        self.server.resend(names)
        self.look()

    @precondition(lambda self: self.on_the_way is not None)
    @rule()
    def reads_and_answers(self) -> None:
        response, self.on_the_way = self.on_the_way, None
        assert response is not None
        self.nonce = response.nonce
        resources = {n: r for n, r in response.resources.items() if self.wants(n)}
        bad = {name: each for name, each in resources.items() if is_bad(each)}
        if bad:
            for name, each in bad.items():
                assert (name, each.version) not in self.refused, "refused before, sent again"
                self.refused.add((name, each.version))
            if self.takes_the_good:
                self.take(response, {n: r for n, r in resources.items() if n not in bad}, bad)
            words = f"these are bad: {sorted(bad)}" if self.words_name_names else "no"
            self.answer(words)
        else:
            self.take(response, resources, {})
            self.answer(None)

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.asked

    def take(
        self, response: Response, good: Mapping[str, Resource], bad: Mapping[str, Resource]
    ) -> None:
        """Take in what it understands, as Envoy does even of what it refuses."""
        if self.kind.whole and not self.delta:
            self.view = {name: self.view[name] for name in bad if name in self.view}
        for name in response.removed if self.delta else ():
            self.view.pop(name, None)
        self.view.update({name: each.version for name, each in good.items()})

    def answer(self, error: str | None) -> None:
        if self.delta:
            self.send(DeltaRequest(nonce=self.nonce, error=error))
        else:
            self.send(StateRequest(tuple(sorted(self.asked)), self.nonce, error))

    # Who takes nothing of a refused response and comes back with old state cannot be told what to
    # drop without being told to drop what it refused; Envoy and gRPC take what is good.
    # Who wants nothing does not ask again; a first request without names would ask for everything.
    @precondition(lambda self: self.delta or self.takes_the_good)
    @precondition(lambda self: self.wildcard or bool(self.asked))
    @rule()
    def loses_its_connection(self) -> None:
        self.connect(dict(self.view) if self.delta else {})

    @rule()
    def comes_to_rest(self) -> None:
        for _ in range(40):
            if self.on_the_way is None:
                break
            self.reads_and_answers()
        assert self.on_the_way is None, "it never ends"
        offered = self.offered.listed
        for name in sorted({*offered, *self.view}):
            now = offered.get(name) if self.wants(name) else None
            if now is not None and not is_bad(now):
                assert self.view.get(name) == now.version
            elif now is None and (self.kind.whole or self.delta):
                assert name not in self.view
        assert all(not version.startswith("bad") for version in self.view.values())

    @invariant()
    def the_server_knows_what_it_waits_for(self) -> None:
        if hasattr(self, "server"):
            assert self.server.waiting == (self.on_the_way is not None)


class DeltaPeer(Peer):
    """The same in the delta variant, for a type with wildcard."""

    delta = True

    @precondition(lambda self: not self.wildcard)
    @rule()
    def asks_for_everything(self) -> None:
        self.wildcard = True
        self.send(DeltaRequest(subscribe=(WILDCARD,)))

    @precondition(lambda self: self.wildcard)
    @rule()
    def asks_no_more_for_everything(self) -> None:
        self.wildcard = False
        self.view = {name: each for name, each in self.view.items() if name in self.asked}
        self.send(DeltaRequest(unsubscribe=(WILDCARD,)))


class PartialPeer(Peer):
    """State of the world for a type whose responses hold only what changed."""

    kind = PARTIAL


class PartialDeltaPeer(Peer):
    """Delta for a type without wildcard."""

    kind = PARTIAL
    delta = True


class OneByOne(PartialPeer):
    """State of the world, in parts of one resource each."""

    kind = ONE_BY_ONE


class OneByOneDelta(PartialDeltaPeer):
    """Delta, in parts of one resource each."""

    kind = ONE_BY_ONE


class AllOneByOneDelta(DeltaPeer):
    """Delta with the wildcard, in parts of one resource each."""

    kind = ALL_ONE_BY_ONE


class Mute(Peer):
    """Refuses without saying what; then nothing may be repeated, and it must end."""

    def __init__(self) -> None:
        super().__init__()
        self.words_name_names = False

    @rule()
    def comes_to_rest(self) -> None:
        for _ in range(40):
            if self.on_the_way is None:
                return
            self.reads_and_answers()
        raise AssertionError("it never ends")


class MuteDelta(Mute):
    """The same in the delta variant."""

    delta = True


MANY = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_a_subscriber_of_everything_ends_up_with_what_is_offered() -> None:
    """State of the world, wildcard or names: the view is the offer but for what is refused."""
    run_state_machine_as_test(Peer, settings=MANY)


def test_a_delta_subscriber_ends_up_with_what_is_offered() -> None:
    """Delta, wildcard and names together, with versions known from an earlier stream."""
    run_state_machine_as_test(DeltaPeer, settings=MANY)


def test_a_subscriber_of_parts_ends_up_with_what_is_offered() -> None:
    """State of the world where a response holds only what changed (EDS, RDS)."""
    run_state_machine_as_test(PartialPeer, settings=MANY)


def test_a_delta_subscriber_of_names_ends_up_with_what_is_offered() -> None:
    """Delta where only names can be asked for (EDS, RDS)."""
    run_state_machine_as_test(PartialDeltaPeer, settings=MANY)


def test_who_is_answered_in_parts_ends_up_with_what_is_offered() -> None:
    """State of the world: whatever changes, goes or is refused between two parts."""
    run_state_machine_as_test(OneByOne, settings=MANY)


def test_who_is_answered_in_parts_of_a_difference_ends_up_with_what_is_offered() -> None:
    """Delta by names: whatever changes, goes or is refused between two parts."""
    run_state_machine_as_test(OneByOneDelta, settings=MANY)


def test_who_asks_for_everything_in_parts_ends_up_with_what_is_offered() -> None:
    """Delta with the wildcard: whatever changes, goes or is refused between two parts."""
    run_state_machine_as_test(AllOneByOneDelta, settings=MANY)


def test_a_refusal_without_names_repeats_nothing_and_ends() -> None:
    """State of the world: who says only "no" is not asked again."""
    run_state_machine_as_test(Mute, settings=MANY)


def test_a_delta_refusal_without_names_repeats_nothing_and_ends() -> None:
    """Delta: who says only "no" is not asked again."""
    run_state_machine_as_test(MuteDelta, settings=MANY)
