"""What one subscriber has asked for and holds of one type, and what to tell it next.

Pure state of the xDS protocol, in both variants, without I/O or time. It promises: when the
subscriber has answered and nothing changes, it holds exactly what it asked for of what is offered,
except what it refused; what it refused is never sent to it again in that version; and at most one
response is unanswered, so that a slow subscriber skips what it had no time for.

Rules quoted as "xDS protocol" stand in Envoy's ``docs/root/api-docs/xds_protocol.rst``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from meshbridge_xds.exchange import WILDCARD, Answer, DeltaRequest, Response, StateRequest
from meshbridge_xds.exchange import check_number as _check_number
from meshbridge_xds.holding import Holding
from meshbridge_xds.refusal import Refusals, blamed
from meshbridge_xds.resources import Resource, ResourceSet, ResourceType, versions_version


class Subscription:
    """The state of one (stream, type), in one of the two variants.

    Each event is one call: :meth:`request`, :meth:`offer`, :meth:`resend`. After any of them
    :meth:`respond` returns the response that is due, if one is, and counts it as sent.
    """

    def __init__(self, kind: ResourceType, *, delta: bool) -> None:
        """Start before the first request."""
        self.kind = kind
        self.sent_version = ""
        self.accepted_version = ""
        self._delta = delta
        self._whole = kind.whole and not delta
        self._asked = False
        self._offered: ResourceSet | None = None
        self._sent: Response | None = None
        self._count = 0
        # What is asked for.
        self._wildcard = False
        self._named_once = False
        self._names: set[str] = set()
        self._holding = Holding()
        self._refusals = Refusals()
        # What to look at next: names that may differ (None: all), names to tell of in any case,
        # and whether an answer is owed even if there is nothing to tell.
        self._doubtful: set[str] | None = None
        self._due: set[str] = set()
        self._owed = False

    @property
    def waiting(self) -> bool:
        """Whether a response is unanswered."""
        return self._sent is not None

    @property
    def unsettled(self) -> bool:
        """Whether :meth:`respond` has to look for something to say; it may find nothing."""
        if not self._asked or self._sent is not None:
            return False
        return self._doubtful is None or bool(self._owed or self._doubtful or self._due)

    @property
    def held(self) -> Mapping[str, Resource]:
        """What the subscriber holds, as far as it has said so."""
        return self._holding.now

    def refused(self) -> tuple[tuple[str, str], ...]:
        """Return (name, words) of each resource that is held back now, sorted."""
        if (offered := self._offered) is None or not self._refusals:
            return ()
        now = ((name, self._current(offered, name)) for name in self._refusals.names())
        said = ((name, self._refusals.words(each)) for name, each in now if each)
        return tuple((name, words) for name, words in said if words)

    def request(self, request: StateRequest | DeltaRequest) -> Answer:
        """Take a request in and say what it meant.

        A stale one (nonce of an older response) asks for nothing; but what it leaves out was
        forgotten, though the next one may name it again. A delta request's names always count,
        since it says them once. Raises RequestRefused.
        """
        first, self._asked = not self._asked, True
        answer = self._take_nonce(request.nonce, request.error)
        if isinstance(request, DeltaRequest):
            self._take_difference(request, first=first)
        elif not self._count or request.nonce in ("", str(self._count)):
            # A nonce before the first response means nothing: istiod sends a clock's reading.
            self._take_all(set(request.names), first=first)
        else:
            self._doubt(self._names.difference(request.names))
        return answer

    def offer(self, resources: ResourceSet) -> None:
        """Take in what is offered now."""
        if resources is self._offered:
            return
        touched = resources.touched(self._offered)
        self._offered = resources
        if touched is None or self._doubtful is None:
            self._doubtful = None
        else:
            self._doubtful |= touched

    def resend(self, names: Iterable[str]) -> None:
        """Tell of these names again, if they are asked for, whatever the subscriber holds."""
        self._due.update(names if self._wildcard else self._names.intersection(names))

    def respond(self) -> Response | None:
        """Return the response that is due now, if any, and remember it as sent."""
        offered = self._offered
        if offered is None or not self.unsettled:
            return None
        if self._is_all_news(offered):
            owed, self._owed, self._doubtful, self._due = self._owed, False, set(), set()
            return self._compose(offered, offered.listed, {}, (), owed=owed)
        fresh: dict[str, Resource] = {}
        again: dict[str, Resource] = {}
        removed: list[str] = []
        for name in self._candidates(offered):
            now, held = self._current(offered, name), self.held.get(name)
            if now is None:
                if held or name in self._due:
                    removed.append(name)
            elif self._refusals.has(now):
                if held and held.body and name in self._due:
                    again[name] = held
            elif held is None or held.version != now.version:
                fresh[name] = now
            elif name in self._due:
                again[name] = now
        owed, self._owed, self._doubtful, self._due = self._owed, False, set(), set()
        return self._compose(offered, fresh, again, removed, owed=owed)

    def _compose(
        self,
        offered: ResourceSet,
        fresh: Mapping[str, Resource],
        again: Mapping[str, Resource],
        removed: Iterable[str],
        *,
        owed: bool,
    ) -> Response | None:
        """Return the response that says this, or nothing where nothing needs to be said."""
        gone = tuple(removed)
        if not self._whole and not self._delta and gone:
            # A partial response of this variant cannot say it; clients drop what nothing names.
            self._holding.drop(gone)
            gone = ()
        resources: Mapping[str, Resource] = {**fresh, **again} if again else fresh
        if not (resources or gone or (owed and (self._whole or self._delta))):
            return None
        complete = resources is offered.listed or (
            self._wildcard and not self._names and not self.refused()
        )
        if self._whole:
            resources = offered.listed if complete else self._selection(offered)
        version = offered.version if resources is offered.listed else versions_version(resources)
        self._count += 1
        self.sent_version = version
        self._sent = Response(
            nonce=str(self._count),
            version=version,
            resources=resources,
            removed=gone,
            fresh=tuple(fresh.values()),
            complete=offered if complete else None,
        )
        return self._sent

    def _is_all_news(self, offered: ResourceSet) -> bool:
        """Whether exactly what is listed is asked for, and nothing of it is held: a first answer.

        It is the same for all who ask so, which saves looking at each name for each of them.
        """
        return (
            self._doubtful is None
            and not self.held
            and not self._refusals
            and self._asks_for_all(offered)
            and self._due <= offered.listed.keys()
        )

    def _asks_for_all(self, offered: ResourceSet) -> bool:
        """Whether exactly what is listed is asked for."""
        if self._wildcard:
            return not self._names
        listed = offered.listed.keys()
        return len(self._names) == len(listed) and self._names <= listed

    def _candidates(self, offered: ResourceSet) -> list[str]:
        """Return the names that may be news and concern the subscriber, sorted."""
        if self._doubtful is None:
            names = self._names | self.held.keys() | self._due
            if self._wildcard:
                names |= offered.listed.keys()
            return sorted(names)
        names = self._doubtful | self._due
        if not self._wildcard:
            names &= self._names
        return sorted(names)

    def _current(self, offered: ResourceSet, name: str) -> Resource | None:
        """Return what is offered under a name that is asked for."""
        if name in self._names:
            return offered.get(name)
        return offered.listed.get(name) if self._wildcard else None

    def _selection(self, offered: ResourceSet) -> dict[str, Resource]:
        """Return all that is asked for, in the held version where the newest was refused."""
        names = self._names | offered.listed.keys() if self._wildcard else self._names
        chosen: dict[str, Resource] = {}
        for name in sorted(names):
            now = self._current(offered, name)
            if now and self._refusals.has(now):
                now = self.held.get(name)
            if now and now.body:
                chosen[name] = now
        return chosen

    def _take_nonce(self, nonce: str, error: str | None) -> Answer:
        """Take the answer to the last response in, if it is one."""
        sent = self._sent
        if sent is None or nonce != sent.nonce:
            return Answer()
        self._sent = None
        if error is None:
            self._accept(sent)
            return Answer(accepted=True)
        bad = {each.name: each for each in blamed(error, sent.fresh, sent.resources)}
        if not bad:
            # Nothing to hold back (a removal, an empty list): saying it again would never end.
            self._accept(sent)
            return Answer(words=error)
        for each in bad.values():
            self._refusals.add(each, error)
        held = ((name, self.held.get(name)) for name in bad)
        self._holding.drop(
            name for name, each in held if each and each.version == bad[name].version
        )
        # The rest of the response may or may not have been taken: it is told again.
        if self._doubtful is not None:
            self._doubtful.update(sent.resources, sent.removed)
        told = {each.name for each in sent.fresh} if self._whole else sent.resources.keys()
        self._due.update((told | set(sent.removed)) - bad.keys())
        return Answer(refused=tuple(sorted(bad)), words=error)

    def _accept(self, sent: Response) -> None:
        """Let the subscriber hold what was sent, but for what it has dropped since."""
        self.accepted_version = sent.version
        if sent.complete and self._asks_for_all(sent.complete):
            self._holding.share(sent.complete.listed)
            return
        self._holding.drop(sent.removed)
        if self._wildcard or self._names >= sent.resources.keys():
            self._holding.put(sent.resources)
        else:
            kept = self._names & sent.resources.keys()
            self._holding.put({name: sent.resources[name] for name in kept})

    def _take_all(self, names: set[str], *, first: bool) -> None:
        """Take all names of a state-of-the-world request in."""
        _check_number(len(names))
        # Empty means everything only for those who never named anything (xDS protocol, "How the
        # client specifies what resources to return").
        legacy = self.kind.wildcard and not names and not self._named_once
        self._named_once = self._named_once or bool(names)
        was_wildcard, self._wildcard = self._wildcard, legacy or WILDCARD in names
        names.discard(WILDCARD)
        if self._wildcard and not was_wildcard:
            self._owed, self._doubtful = True, None
        self._owed = self._owed or first
        self._due = (
            (self._due | (names - self._names))
            if self._wildcard
            else ((self._due & names) | (names - self._names))
        )
        dropped = self._names - names or (was_wildcard and not self._wildcard)
        self._names = names
        if dropped and not self._wildcard:
            self._forget_unnamed()

    def _take_difference(self, request: DeltaRequest, *, first: bool) -> None:
        """Take the names of a delta request in."""
        subscribe, unsubscribe = set(request.subscribe), set(request.unsubscribe)
        was_wildcard = self._wildcard
        if WILDCARD in subscribe or (first and not subscribe and self.kind.wildcard):
            self._wildcard = True
        elif WILDCARD in unsubscribe:
            self._wildcard = False
        subscribe.discard(WILDCARD)
        ended = unsubscribe & self._names
        self._names = (self._names - unsubscribe) | subscribe
        _check_number(len(self._names))
        if self._wildcard and not was_wildcard:
            self._owed, self._doubtful = True, None
        if first:
            self._holding.put(
                {
                    name: Resource(name, version)
                    for name, version in request.known.items()
                    if self._wildcard or name in self._names
                }
            )
            subscribe -= self.held.keys()
        # Whoever subscribes (again) or falls back on the wildcard has forgotten what it held, so
        # it is told whatever we think it holds (xDS protocol, "Subscribing to Resources").
        self._due |= subscribe
        if self._wildcard:
            self._due |= ended
        elif ended or was_wildcard:
            self._forget_unnamed()

    def _doubt(self, names: set[str]) -> None:
        """Expect that the subscriber does not hold these any more."""
        if names:
            self._holding.drop(names)
            if self._doubtful is not None:
                self._doubtful |= names

    def _forget_unnamed(self) -> None:
        """Forget all about names that are not asked for any more."""
        self._holding.drop([name for name in self.held if name not in self._names])
        if self._sent is not None:
            # It may ask for everything again before it answers, but has forgotten what it held.
            self._sent = replace(self._sent, complete=None)
        self._due &= self._names
