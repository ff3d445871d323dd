"""What one subscriber has asked for and holds of one type, and what to tell it next.

Pure state of the xDS protocol, in both variants, without I/O or time. It promises: when the
subscriber has answered and nothing changes, it holds exactly what it asked for of what is offered,
except what it refused; what it refused is never sent to it again in that version; and at most one
response is unanswered, so that a slow subscriber skips what it had no time for.

Rules quoted as "xDS protocol" stand in Envoy's ``docs/root/api-docs/xds_protocol.rst``.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from meshbridge_xds.agenda import Agenda
from meshbridge_xds.exchange import Answer, DeltaRequest, Response, Standing, StateRequest
from meshbridge_xds.holding import Holding
from meshbridge_xds.interest import Change, Interest
from meshbridge_xds.part import Part
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
        self.sent_version = self.accepted_version = ""
        self._delta = delta
        self._whole = kind.whole and not delta
        self._asked = False
        self._offered: ResourceSet | None = None
        self._sent: Response | None = None
        self._count = 0
        self._interest = Interest(wildcard=kind.wildcard)
        self._holding = Holding()
        self._refusals = Refusals()
        # Names that it may hold in an older version though it has not said so: of responses that it
        # refused it may have taken a part, and state of an earlier stream may not have been told.
        self._unknown: set[str] = set()
        self._agenda = Agenda()

    @property
    def waiting(self) -> bool:
        """Whether a response is unanswered."""
        return self._sent is not None

    @property
    def unsettled(self) -> bool:
        """Whether :meth:`respond` has to look for something to say; it may find nothing."""
        return self._asked and self._sent is None and bool(self._agenda)

    @property
    def held(self) -> Mapping[str, Resource]:
        """What the subscriber holds, as far as it has said so."""
        return self._holding.now

    def refused(self) -> tuple[tuple[str, str], ...]:
        """Return (name, words) of each resource that is held back now, sorted."""
        if (offered := self._offered) is None or not self._refusals:
            return ()
        now = ((name, self._interest.pick(offered, name)) for name in self._refusals.names())
        said = ((name, self._refusals.words(each)) for name, each in now if each)
        return tuple((name, words) for name, words in said if words)

    def standing(self, name: str) -> Standing | None:
        """Return how one resource stands; ``None``: the subscriber does not ask for it."""
        if self._offered is None or not self._interest.covers({name}):
            return None
        offered = self._interest.pick(self._offered, name)
        sent = self._sent.resources.get(name) if self._sent else None
        return Standing.of(offered, sent, self.held.get(name), self._refusals.words(offered))

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
            self._take_all(request, first=first)
        else:
            self._doubt(self._interest.names - set(request.names))
        return answer

    def offer(self, resources: ResourceSet) -> None:
        """Take in what is offered now."""
        if resources is self._offered:
            return
        self._agenda.doubt(resources.touched(self._offered))
        self._offered = resources

    def resend(self, names: AbstractSet[str]) -> None:
        """Tell of these names again, if they are asked for, whatever the subscriber holds."""
        self._agenda.tell(self._interest.among(names))

    def respond(self) -> Response | None:
        """Return the response that is due now, if any, and remember it as sent."""
        offered = self._offered
        if offered is None or not self.unsettled:
            return None
        agenda, part, candidates = self._agenda, Part(self.kind.part), list[str]()
        due, owed, parted = agenda.due, agenda.owed, bool(agenda.rest)
        if self._is_all_news(offered):
            part.fresh = offered.listed
        else:
            candidates = self._candidates(offered)
        for name in candidates:
            if part.full:
                break
            now, held = self._interest.pick(offered, name), self.held.get(name)
            if now is not None and self._refusals.has(now):
                part.look_at_refused(held, due=name in due)
            else:
                part.look(name, now, held, due=name in due, taken=name in self._unknown)
        agenda.worked_off(candidates[part.looked_at :])
        return self._compose(offered, part, owed=owed, ended=parted and not agenda.rest)

    def _compose(
        self, offered: ResourceSet, part: Part, *, owed: bool, ended: bool
    ) -> Response | None:
        """Return what says this, if it needs saying; ``ended``: it is the last of several parts."""
        gone, resources = tuple(part.removed), part.all()
        if not self._whole and not self._delta and gone:
            # A partial response of this variant cannot say it; clients drop what nothing names.
            self._holding.drop(gone)
            gone = ()
        if not (resources or gone or (owed and (self._whole or self._delta))):
            return None
        everything = self._interest.wildcard and not self._interest.names and not self._agenda.rest
        complete = resources is offered.listed or (
            (everything or (ended and self._interest.is_all(offered))) and not self.refused()
        )
        if self._whole:
            resources = offered.listed if complete else self._selection(offered)
        version = offered.version if resources is offered.listed else versions_version(resources)
        self._unknown.difference_update(gone)
        if self._whole:
            self._unknown &= resources.keys()  # it drops what is not among them
        self._count += 1
        self.sent_version, stubs = version, self._whole and self.kind.stubs
        self._sent = Response(
            nonce=str(self._count),
            version=version,
            resources=resources,
            removed=gone,
            fresh=tuple(part.fresh.values()),
            full=part.in_order(self.held) if stubs and part.fresh is not resources else None,
            complete=offered if complete else None,
            run=offered.run(part.fresh) if self.kind.part and part.is_all_fresh else None,
        )
        return self._sent

    def _is_all_news(self, offered: ResourceSet) -> bool:
        """Whether it is a first answer of exactly what is listed, the same for all who ask so."""
        return (
            self._agenda.everything
            and not self.held
            and not self._refusals
            and self._interest.is_all(offered)
            and self._agenda.due <= offered.listed.keys()
            and not (self.kind.part and offered.size > self.kind.part)
        )

    def _candidates(self, offered: ResourceSet) -> list[str]:
        """Return the names that may be news and concern the subscriber, sorted."""
        agenda = self._agenda
        if agenda.everything:
            held = self.held.keys() | self._unknown
            return sorted(self._interest.wanted(offered) | held | agenda.due)
        return agenda.rest if agenda.only_rest else sorted(self._interest.among(agenda.names()))

    def _selection(self, offered: ResourceSet) -> dict[str, Resource]:
        """Return all that is asked for, in the held version where the newest was refused."""
        chosen: dict[str, Resource] = {}
        for name in sorted(self._interest.wanted(offered)):
            now = self._interest.pick(offered, name)
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
        if self._whole or self._delta:
            self._unknown.update(sent.resources.keys() - self.held.keys())
        held = ((name, self.held.get(name)) for name in bad)
        self._holding.drop(
            name for name, each in held if each and each.version == bad[name].version
        )
        # The rest of the response may or may not have been taken: it is told again.
        self._agenda.doubt((*sent.resources, *sent.removed))
        told = {each.name for each in sent.fresh} if self._whole else sent.resources.keys()
        self._agenda.tell((told | set(sent.removed)) - bad.keys())
        return Answer(refused=tuple(sorted(bad)), words=error)

    def _accept(self, sent: Response) -> None:
        """Let the subscriber hold what was sent, but for what it has dropped since."""
        self.accepted_version = sent.version
        if self._unknown:  # seldom, and what was sent may be all there is
            self._unknown.difference_update(sent.resources)
        if sent.complete and self._interest.is_all(sent.complete):
            self._holding.share(sent.complete.listed)
            return
        self._holding.drop(sent.removed)
        if self._interest.covers(sent.resources.keys()):
            self._holding.put(sent.resources)
        else:
            kept = self._interest.among(sent.resources.keys())
            self._holding.put({name: sent.resources[name] for name in kept})

    def _take_all(self, request: StateRequest, *, first: bool) -> None:
        """Take all names of a state-of-the-world request in."""
        change = self._interest.replace(request.names)
        self._owe(change)
        self._agenda.owed = self._agenda.owed or first
        self._agenda.due = self._interest.among(self._agenda.due)
        self._agenda.tell(change.told)
        if (change.given_up or change.wildcard_ended) and not self._interest.wildcard:
            self._forget_unnamed()

    def _take_difference(self, request: DeltaRequest, *, first: bool) -> None:
        """Take the names of a delta request in."""
        change = self._interest.amend(request, first=first)
        self._owe(change)
        # Whoever subscribes (again) or falls back on the wildcard has forgotten what it held, so
        # it is told whatever we think it holds (xDS protocol, "Subscribing to Resources").
        if first:
            known = self._interest.among(request.known.keys())
            self._holding.put({name: Resource(name, request.known[name]) for name in known})
            self._agenda.tell(change.told - self.held.keys() if self.held else change.told)
        else:
            self._agenda.tell(change.told)
        if self._interest.wildcard:
            self._agenda.tell(change.given_up)
        elif change.given_up or change.wildcard_ended:
            self._forget_unnamed()

    def _owe(self, change: Change) -> None:
        """Owe an answer about everything to who asks for everything from now on."""
        if change.wildcard_begun:
            self._agenda.owed = True
            self._agenda.doubt(None)

    def _doubt(self, names: AbstractSet[str]) -> None:
        """Expect that the subscriber does not hold these any more."""
        if names:
            self._holding.drop(names)
            self._agenda.doubt(names)

    def _forget_unnamed(self) -> None:
        """Forget all about names that are not asked for any more."""
        self._holding.drop([name for name in self.held if name not in self._interest.names])
        if self._sent is not None:
            # It may ask for everything again before it answers, but has forgotten what it held.
            self._sent = replace(self._sent, complete=None)
        self._agenda.due &= self._interest.names
        self._unknown &= self._interest.names
