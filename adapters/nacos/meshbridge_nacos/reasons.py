"""Says in few words why gRPC could not reach a server; pure."""

import grpc.aio

_UNTRUSTED = (
    "its certificate is not accepted; check that tls has the right ca, and that servers names it as"
    " its certificate does"
)
_NO_TLS = "it does not speak TLS there; leave tls out, or switch TLS on in Nacos"
_BREAKS_TLS = "it breaks TLS off; check that tls has the certificate and key that it wants of us"
_CLOSED = (
    "it closes the connection; check that the port is Nacos', and whether it wants tls, or in tls a"
    " certificate and key of ours"
)
_UNKNOWN = "its name is not known"
_SIGNS = (
    ("CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    ("BAD_SIGNATURE", _UNTRUSTED),
    ("Hostname Verification Check failed", _UNTRUSTED),
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("handshake", _BREAKS_TLS),
    ("Unwrap failed", _BREAKS_TLS),
    ("Socket closed", _CLOSED),
    ("Connection reset", _CLOSED),
    ("Connection refused", "nothing listens there"),
    ("DNS resolution failed", _UNKNOWN),
    ("Domain name not found", _UNKNOWN),
)
"""What gRPC's words mean, the most telling first."""


def why_not(error: grpc.aio.AioRpcError) -> str:
    """Return the reason, with a remedy where there is one."""
    said = error.details() or error.code().name
    for sign, meaning in _SIGNS:
        if sign in said:
            return f"cannot connect to gRPC: {meaning}"
    return f"cannot connect to gRPC: {' '.join(said.split())}"
