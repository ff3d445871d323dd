"""Reads the records that make up what an interface holds, and names those that cannot be; pure."""

from typing import Final, NamedTuple

from meshbridge import BadData, Consumer, ServiceId
from meshbridge_dubbo import (
    Provider,
    Url,
    not_a_provider,
    parse_url,
    provider_named,
    read_consumer,
    read_provider,
)
from meshbridge_dubbo.configurators import SUFFIX, read_configurators, read_override
from meshbridge_dubbo.overrides import Rules
from meshbridge_dubbo.provider import identity, instance_id

_LONGEST: Final = 200
"""Characters of a node's name that stand for a record which cannot be read."""
VARIANTS: Final = "groups and versions"
"""The record that is named where an application's cannot be told."""
AGAIN: Final = "register it again, or delete its node in ZooKeeper"
READABLE: Final = "let the bridge's user read all that is below the roots"
TELL: Final = "do for that application what /api/problems says of it"
CORRECT: Final = "correct the rule where it was written"


class Fault(NamedTuple):
    """A record that cannot be read, or of which something must be said."""

    service: ServiceId
    """What it is about, as far as can be told."""
    record: str
    """The instance's id if that can be read, else what names the record."""
    reason: str
    remedy: str
    vague: bool = False
    """Whether it may be about another service of the interface: group and version are not known."""
    whole: bool = False
    """Whether nothing of the service can be read."""

    @property
    def subject(self) -> ServiceId | tuple[ServiceId, str]:
        """What the core is told of as unreadable."""
        return self.service if self.whole else (self.service, self.record)


class Caller(NamedTuple):
    """A consumer, and the service that it asks for."""

    asked: ServiceId
    consumer: Consumer


Record = Provider | Caller | Rules | Fault | None
"""What a node's name tells; ``None``: nothing that matters here."""


def plain(interface: str) -> ServiceId:
    """Return an interface without group and version."""
    return ServiceId("", "", interface)


def unreadable(service: ServiceId, path: str) -> Fault:
    """Return what is said of a node that may not be read."""
    return Fault(service, path, f"{path} may not be read", READABLE)


def provider(interface: str, name: str) -> Provider | Fault | None:
    """Return what a node below an interface's providers tells; ``None``: it is no provider."""
    known = provider_named(name)
    if known is not None and known.service.name == interface:
        return known
    try:
        url = parse_url(name)
    except BadData as bad:
        return Fault(plain(interface), name[:_LONGEST], str(bad), AGAIN, vague=True)
    if not_a_provider(url) is not None:
        return None
    try:
        read = read_provider(url)
        if read.service.name == interface:
            return read
        reason = f"it stands at {interface} but is one of {read.service.name}: nobody finds it"
    except BadData as bad:
        reason = str(bad)
    service = _service(interface, url)
    record = instance_id(url)
    return Fault(service or plain(interface), record, reason, AGAIN, vague=service is None)


def caller(interface: str, name: str) -> Caller | Fault:
    """Return what a node below an interface's consumers tells."""
    try:
        return Caller(*read_consumer(parse_url(name)))
    except BadData as bad:
        return Fault(plain(interface), name[:_LONGEST], str(bad), AGAIN, vague=True)


def configurator(interface: str, name: str) -> Rules | Fault:
    """Return what a node below an interface's configurators tells."""
    try:
        return read_override(parse_url(name), interface)
    except BadData as bad:
        return Fault(plain(interface), name[:_LONGEST], str(bad), CORRECT, vague=True)


def rule(key: str, data: bytes) -> Rules | Fault:
    """Return what the configuration centre holds under a key."""
    try:
        return read_configurators(key, data)
    except BadData as bad:
        return Fault(plain(subject(key)), key, str(bad), CORRECT)


def subject(key: str) -> str:
    """Return the interface or the application that a rule's key names."""
    return key.removesuffix(SUFFIX).partition(":")[0]


def _service(interface: str, url: Url) -> ServiceId | None:
    """Return which of the interface's services a URL names, if that can be read."""
    try:
        told = identity(url)
    except BadData:
        return None
    return told if told.name == interface else None
