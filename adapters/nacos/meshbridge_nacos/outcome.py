"""What an answer over gRPC says of itself, and what that means; pure."""

import msgspec

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos.options import Server

NO_RIGHT = 403
UNREGISTERED = 301
"""The server does not know this connection (yet, or any more)."""
NOT_READY = 300
DISCONNECTED = -401
"""The server has the connection, but no client of its naming module for it (any more)."""


class NoRightError(RegistryRejected):
    """The server lets the user in, but not to this."""


class Outcome(msgspec.Struct, frozen=True):
    """The fields of every answer."""

    result: int = msgspec.field(name="resultCode", default=0)
    code: int | None = msgspec.field(name="errorCode", default=None)
    message: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether it answers the question."""
        return self.result == 200 and not self.code  # noqa: PLR2004 - Nacos' word for yes


def judge(outcome: Outcome, server: Server, namespace: str, token: str) -> None:
    """Raise what an answer means that is no success; ``token`` is left out of its words."""
    if outcome.is_success:
        return
    said = masked(outcome.message or f"error {outcome.code or 0}", token)
    if outcome.code == NO_RIGHT:
        raise NoRightError(
            f"{server}: no right to read namespace {namespace}: {said};"
            " check username and password, and that the user may read it"
        )
    if outcome.code in {UNREGISTERED, NOT_READY, DISCONNECTED}:
        raise RegistryUnavailable(f"{server}: {said}")
    raise BadData(f"the server refuses it: {said}")


def masked(said: str, token: str) -> str:
    """Return a server's words without the token, should it repeat what it was sent."""
    return said.replace(token, "***") if token else said
