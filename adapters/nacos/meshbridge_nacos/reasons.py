"""Says in few words why gRPC could not reach a server; pure."""

import grpc.aio

_UNTRUSTED = (
    "its certificate is not accepted; check that tls has the right ca, and that servers names it as"
    " its certificate does"
)
_NO_TLS = "it does not speak TLS there; leave tls out, or switch TLS on in Nacos"
_NO_HANDSHAKE = "TLS did not come about; check tls, and whether it wants a certificate of ours"
_SIGNS = (
    ("CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    ("Hostname Verification Check failed", _UNTRUSTED),
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("handshake", _NO_HANDSHAKE),
    ("Connection refused", "nothing listens there"),
    ("DNS resolution failed", "its name is not known"),
    ("Domain name not found", "its name is not known"),
)
"""What gRPC's words mean, the most telling first."""


def why_not(error: grpc.aio.AioRpcError) -> str:
    """Return the reason, with a remedy where there is one."""
    said = error.details() or error.code().name
    for sign, meaning in _SIGNS:
        if sign in said:
            return f"cannot connect to gRPC: {meaning}"
    return f"cannot connect to gRPC: {' '.join(said.split())}"
