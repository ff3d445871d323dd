"""What ended a connection, in words for whoever must mend it."""

import os
import socket
import ssl

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.client_tls import UnusableTls
from meshbridge_zookeeper_dubbo.options import Server
from meshbridge_zookeeper_dubbo.session_client import ForeignProtocolError, TooLargeError
from meshbridge_zookeeper_dubbo.session_inbox import Overrun
from meshbridge_zookeeper_dubbo.session_kazoo import (
    AuthFailedError,
    ConnectionDropped,
    KazooTimeoutError,
    ZookeeperError,
)
from meshbridge_zookeeper_dubbo.session_sasl import SaslError

NEEDS_LOGIN = -124
"""``SESSIONCLOSEDREQUIRESASLAUTH``: the server lets nobody in without a login."""


class OversizedAnswer(RegistryUnavailable):
    """An answer is larger than ``max-reply``."""


def explain(
    server: Server, error: BaseException, *, unheard: bool = False
) -> RegistryUnavailable | RegistryRejected:
    """Return the error of the SDK that an end of the connection means.

    ``unheard`` says that it was asked in the clear and never answered.
    """
    if unheard and isinstance(error, ConnectionDropped):
        error = ConnectionDropped(f"{error}, before it answered; if this port speaks TLS, set tls")
    refusal = _refusal(server, error)
    if refusal is not None:
        return RegistryRejected(f"{server}: {refusal}")
    outage = OversizedAnswer if isinstance(error, TooLargeError) else RegistryUnavailable
    return outage(f"{server}: {_outage(error)}")


def protected(server: Server, username: str, path: str) -> RegistryRejected:
    """Return the error that names a node which may not be read, and the remedy.

    ZooKeeper lets a user in with any password, and then denies what the right one allows.
    """
    reason = f"{path} may not be read; set username and password of a user who may read it"
    if username:
        reason = (
            f"{path} may not be read by {username}, or the password is wrong: ZooKeeper does not"
            " say which; correct username and password, or let this user read all below it"
        )
    return RegistryRejected(f"{server}: {reason}")


def _refusal(server: Server, error: BaseException) -> str | None:
    """Return what only a person can mend."""
    match error:
        case AuthFailedError():
            return "the login is refused; check username, password and sasl"
        case SaslError():
            return f"the login by SASL fails: {error}; check username and password"
        case ZookeeperError() if code_of(error) == NEEDS_LOGIN:
            return "it wants a login by SASL; set username, password and sasl"
        case UnusableTls():
            return str(error)
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted: {error.verify_message}; check that tls has the"
                f" ca that signed it, and that it is made out to {server.host}"
            )
        case _:
            return None


def _outage(error: BaseException) -> str:
    words = str(error)
    match error:
        case TooLargeError():
            words = f"{error}; raise max-reply if it may be so large"
        case ForeignProtocolError():
            words = f"{error}; check that servers name ZooKeeper's port for clients"
        case KazooTimeoutError() | TimeoutError():
            words = "it did not answer in time"
        case ssl.SSLError():
            said = str(getattr(error, "reason", None) or words)  # not every one has a reason
            refused = "ALERT" in said  # the other side's word, so it does speak TLS
            remedy = "tls has the certificate it wants" if refused else "this port speaks TLS"
            words = f"TLS fails: {said}; check that {remedy}"
        case socket.gaierror():
            words = f"its name is not known: {error.strerror}"
        case OSError():
            # asyncio puts the address where the reason stands elsewhere.
            words = os.strerror(error.errno) if error.errno else words or type(error).__name__
        case ConnectionDropped():
            words = f"connection lost: {error}"
        case ZookeeperError():
            words = f"it answers with {type(error).__name__}"
        case Overrun():
            pass
        case _:
            # kazoo hands a format and its values to RuntimeError, not a sentence.
            said = " ".join(str(each) for each in error.args)
            words = f"its answer cannot be read: {said or type(error).__name__}"
    return words


def code_of(error: Exception) -> int:
    """Return ZooKeeper's number of an error that it answered with, 0 if it has none."""
    code: object = getattr(error, "code", None)
    return code if isinstance(code, int) else 0
