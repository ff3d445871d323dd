"""What all namespaces of one registry share during one watch."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Never, TypeVar, cast

from meshbridge import BadData, Context, Emit, Gone, Listing, RegistryUnavailable, Stale
from meshbridge.apart import apart
from meshbridge.errors import RegistryRejected, foremost
from meshbridge_nacos.asking import OnPush, Questions
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.standing import Failure, Standing

T = TypeVar("T")

OpenSession = Callable[[str, OnPush], AbstractAsyncContextManager[Questions]]
"""Opens a session about a namespace; see :class:`meshbridge_nacos.access.Access`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a watch is made of; its scopes fail one by one, and it fails when all have."""

    open_session: OpenSession
    context: Context
    emit: Emit
    listed: set[str]
    """Scopes that were listed before, in whichever watch: what comes next comes after a gap."""
    every: float
    """Seconds between two looks for what is new."""
    admin: bool
    """Whether the admin API is to be asked."""
    registrations: dict[str, Registrations] = field(default_factory=dict[str, Registrations])
    """What each scope held when it was read last, in whichever watch."""
    standing: Standing = field(default_factory=Standing)

    def list_nothing(self, scope: str) -> None:
        """Say that a scope was read which stands for the list of other ones and holds nothing."""
        self.emit(Listing(scope, (), after_gap=scope in self.listed))
        self.note_listed(scope)

    def note_listed(self, scope: str) -> None:
        """Note that a scope was read whole."""
        self.listed.add(scope)
        self.standing.reads(scope)

    def fail(self, scopes: Iterable[str], failure: Failure) -> None:
        """Say that scopes are stale; raises why nothing can be read when that is so."""
        failed = list(scopes)
        for scope in failed:
            self.standing.fails(scope, failure)
        if (outage := self.standing.outage()) is not None:
            raise outage
        for scope in failed:
            self.emit(Stale(scope, str(failure)))

    def forget(self, scope: str) -> None:
        """Say that a scope is gone."""
        self.standing.drop(scope)
        self.registrations.pop(scope, None)
        if scope in self.listed:
            self.listed.discard(scope)
            self.emit(Gone(scope))


def begin_in(
    tasks: asyncio.TaskGroup, work: Coroutine[object, object, T]
) -> asyncio.Task[T] | None:
    """Begin work beside the rest; None if all of that is being ended.

    Who works apart, for :func:`failure_of`, hears of it a turn of the loop later than the group.
    """
    try:
        return tasks.create_task(work)
    except RuntimeError:  # all that a TaskGroup raises where it takes no more
        work.close()
        return None


async def failure_of(work: Coroutine[object, object, Never]) -> Failure:
    """Do what ends only by failing; return how the registry failed. Raises anything else: a bug.

    Done apart: whoever goes on after a failure must not take it for a failure that it is cancelled.
    """
    try:
        await apart(work)
    except ExceptionGroup as failed:
        failure = _failure(foremost(failed))
        _free_frames(failed)
        return failure
    except (BadData, RegistryRejected, RegistryUnavailable) as failed:
        failure = _failure(failed)
        _free_frames(failed)
        return failure
    raise AssertionError("it ends only by failing")


def _free_frames(error: BaseException | None) -> None:
    """Free all that was at work when something failed, now that it is known how.

    A TaskGroup refers to what it raises, which refers to the TaskGroup's frame and so to all the
    others: only the garbage collector would free them, and they may be out of its sight.
    """
    if error is None:
        return
    context, error.__traceback__, error.__context__ = error.__context__, None, None
    _free_frames(context)
    if isinstance(error, BaseExceptionGroup):
        for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            _free_frames(each)


def _failure(error: Exception) -> Failure:
    if isinstance(error, BadData):  # of a question that no record of a service is behind
        return RegistryUnavailable(str(error))
    if isinstance(error, RegistryRejected):
        return RegistryRejected(str(error))  # whatever kind of it: that is nobody's business here
    if not isinstance(error, RegistryUnavailable):
        raise error
    return error
