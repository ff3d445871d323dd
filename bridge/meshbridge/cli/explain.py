"""``meshbridge explain``: says of a host, an address or a name why it is, or is not, served."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from meshbridge.admin.client import Answer
from meshbridge.admin.explaining import EXPLAIN, What
from meshbridge.cli.asking import ask_bridges
from meshbridge.cli.ending import Exit, complain
from meshbridge.cli.told import say_told
from meshbridge.explaining import Explanation
from meshbridge.explaining.asked import without_user
from meshbridge.explaining.values import InstanceTold, OutletTold, RegistrationTold
from meshbridge.outlet import Delivery

_DETAILED = 3
"""So many instances are told with all that the registry says of them."""


def explain_name(admin: Sequence[Path], text: str, form: str) -> int:
    """Ask each bridge, say what it answered, and return the exit code: 0 if it is served."""
    if form not in {"text", "json"}:
        complain(f'--format: found "{form}", which is not known; allowed: text or json')
        return Exit.WRONG
    told, code = ask_bridges(admin, EXPLAIN, What(without_user(text)), Explanation)
    say_told(told, form, _text, several=len(admin) > 1)
    if any(each.value is not None and not each.value.served for each in told):
        code = max(code, Exit.NO)
    return code


def _text(told: Answer[Explanation]) -> Iterator[str]:
    answer = told.value
    if answer is None:
        return
    yield answer.summary
    for each in answer.registrations:
        yield from _registration(each)
    if answer.more:
        yield f"and {answer.more} more registrations"
    for outlet in answer.outlets:
        yield from _outlet(outlet)
    if answer.unread:
        yield "cannot be read now, so it may be there:"
        yield from (f"  {each}" for each in answer.unread)
    if answer.nearest:
        yield f"did you mean: {', '.join(answer.nearest)}"


def _registration(told: RegistrationTold) -> Iterator[str]:
    yield f"{told.registry}, {told.scope}: {told.service}"
    shown = ""
    for note in told.notes:
        stage = "" if note.stage == shown else str(note.stage)
        shown = str(note.stage)
        mark = {"ok": "ok", "note": "!", "LOST": "LOST"}[note.mark]
        yield f"  {stage:<9}  {mark:<4}  {note.text}"
    for each in told.instances:
        yield from _instance(each, detailed=len(told.instances) <= _DETAILED)
    if told.of > len(told.instances):
        yield f"    and {told.of - len(told.instances)} more instances"


def _instance(told: InstanceTold, *, detailed: bool) -> Iterator[str]:
    held = f" (held since {told.held_since})" if told.held_since else ""
    fate = told.reason if told.lost is None else f"lost at {told.lost}: {told.reason}"
    yield f"    {told.id}{held}: {fate}"
    if detailed:
        zone = f", zone {told.zone}" if told.zone else ""
        keys = f", metadata {', '.join(told.metadata)}" if told.metadata else ""
        yield (
            f"      registered: {told.address} port {', '.join(told.ports) or 'none'}, "
            f"weight {told.weight}, {told.health}{zone}{keys}"
        )


def _outlet(told: OutletTold) -> Iterator[str]:
    well = told.current == told.asking
    others = f"; {told.not_asking} do not ask for it" if told.not_asking else ""
    if told.asking or told.not_asking:
        text = f"{told.current} of {told.asking} subscribers acknowledged what is offered{others}"
    else:
        text = "nobody is connected"
    yield f"outlet {told.outlet}, {told.host}"
    yield f"  {'outlets':<9}  {'ok' if well and told.asking else '!':<4}  {text}"
    if told.note:
        yield f"  {'':<9}  {'!':<4}  {told.note}"
    for each in told.behind:
        yield f"    {_who(each)}: {_late(each)}"
    for each in told.held:
        yield f"    {_who(each)}: acknowledged {each.held}"


def _who(each: Delivery) -> str:
    return f"{each.node or each.peer} ({each.peer}) {each.kind} {each.resource}"


def _late(each: Delivery) -> str:
    if each.refused:
        return f"refused {each.offered}: {each.refused}; holds {each.held or 'nothing'}"
    sent = f"sent {each.sent}, not answered yet" if each.sent else f"not sent {each.offered} yet"
    return f"{sent}; holds {each.held or 'nothing'}"
