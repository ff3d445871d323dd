"""``meshbridge release``: lists what the guard holds, lets it go, announces a planned loss."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from meshbridge.admin.client import Answer as Told
from meshbridge.admin.releasing import RELEASE, Answer, Which
from meshbridge.cli.asking import ask_bridges
from meshbridge.cli.ending import Exit, complain, printable
from meshbridge.cli.told import say_told
from meshbridge.looking import counted
from meshbridge.releasing import Held, HeldScope, Released

_WITHIN = 120.0
"""Seconds: letting go of a whole registry takes a while, and must not end halfway."""


def release_held(
    admin: Sequence[Path],
    which: tuple[str | None, str | None, str | None],
    planned: timedelta | None,
    form: str,
) -> int:
    """Ask each bridge and say what it let go of, or what it holds; return the exit code."""
    if form not in {"text", "json"}:
        complain(f'--format: found "{form}", which is not known; allowed: text or json')
        return Exit.WRONG
    seconds = None if planned is None else planned.total_seconds()
    if which[0] is None and seconds is not None:
        complain("--for needs a REGISTRY: meshbridge release REGISTRY [SCOPE [SERVICE]] --for 2h")
        return Exit.WRONG
    question = Which(*which, seconds)
    told, code = ask_bridges(admin, RELEASE, question, Answer, within=_WITHIN)
    say_told(told, form, _text, several=len(admin) > 1)
    return code


def _text(told: Told[Answer]) -> Iterator[str]:
    answer = told.value
    if answer is not None and answer.released is not None:
        yield from _released(answer.released)
    elif answer is not None and answer.held is not None:
        yield from _held(answer.held)


def _held(held: Held) -> Iterator[str]:
    if not (held.scopes or held.announced or held.waiting):
        yield "nothing is held, planned or waited for"
    for scope in held.scopes:
        yield from _scope(scope)
    if held.of_scopes > len(held.scopes):
        yield f"and {held.of_scopes - len(held.scopes)} more scopes"
    for each in held.announced:
        what = f"{each.registry}, {each.scope}" + (f", {each.service}" if each.service else "")
        yield f"planned: {what}: what vanishes until {each.until} passes at once"
    yield from map(printable, held.waiting)


def _scope(scope: HeldScope) -> Iterator[str]:
    what = f"{scope.registry}, {scope.scope}: {scope.phase} since {scope.since}"
    if scope.phase == "settled":
        what = f"{scope.registry}, {scope.scope}: settled"
    of = counted(scope.of, "instance")
    yield f"{what}: {scope.held} of {of} held, in {counted(scope.of_services, 'service')}"
    for each in scope.services:
        names = ", ".join(each.instances)
        more = (
            f" and {each.held - len(each.instances)} more"
            if each.held > len(each.instances)
            else ""
        )
        yield f"  {each.service}: {each.held} of {each.of}, since {each.since}: {names}{more}"
    if scope.of_services > len(scope.services):
        rest = scope.of_services - len(scope.services)
        yield f"  and {rest} more services; /api/problems of the status server names them all"


def _released(done: Released) -> Iterator[str]:
    what = ", ".join(each for each in (done.registry, done.scope, done.service) if each is not None)
    if done.instances:
        many = f"{counted(done.instances, 'instance')} of {counted(done.of_services, 'service')}"
        yield f"{what}: let go of {many}, which were held"
    else:
        yield f"{what}: nothing was held"
    for each in done.services:
        names = ", ".join(each.instances)
        beyond = each.released - len(each.instances)
        more = f" and {beyond} more" if beyond else ""
        yield f"  {each.scope}, {each.service}: {names}{more}; {each.left} left"
    if done.of_services > len(done.services):
        yield f"  and {done.of_services - len(done.services)} more services"
    for scope in done.accepted:
        price = "; nothing is known of it, so proxies lose all its hosts"
        yield (
            f"{done.registry}, {scope}: the first answer waits for it no longer"
            f"{price if scope in done.lost else ''}"
        )
    if done.until:
        yield f"{what}: what vanishes until {done.until} passes at once"
