"""What gRPC says of a connection becomes a reason and a remedy, on one line."""

import grpc
import grpc.aio
import pytest

from meshbridge_nacos.reasons import why_not

LAST = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:9848: "
HANDSHAKE = LAST + "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000: SSL: "


def error(details: str) -> grpc.aio.AioRpcError:
    none = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, none, none, details=details)


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (
            f"{HANDSHAKE}CERTIFICATE_VERIFY_FAILED: unable to get issuer",
            "that tls has the right ca",
        ),
        (f"{HANDSHAKE}BAD_SIGNATURE: certificate signature failure", "that tls has the right ca"),
        (f"{LAST}Hostname Verification Check failed.", "names it as its certificate does"),
        (f"{HANDSHAKE}WRONG_VERSION_NUMBER: Invalid certificate", "does not speak TLS there"),
        (f"{HANDSHAKE}TLSV1_ALERT_UNKNOWN_CA", "certificate and key that it wants of us"),
        (f"{LAST}Unwrap failed (TSI_DATA_CORRUPTED)", "certificate and key that it wants of us"),
        (f"{LAST}Socket closed", "whether it wants tls"),
        (f"{LAST}recvmsg:Connection reset by peer", "whether it wants tls"),
        (f"{LAST}Failed to connect to remote host: Connection refused", "nothing listens there"),
        ("DNS resolution failed for nacos:9848: C-ares status is not ARES_SUCCESS", "not known"),
        ("Domain name not found", "not known"),
        ("Deadline Exceeded", "cannot connect to gRPC: Deadline Exceeded"),
        ("two\nlines", "cannot connect to gRPC: two lines"),
        ("", "cannot connect to gRPC: UNAVAILABLE"),
    ],
)
def test_what_grpc_says_is_said_in_words_that_help(details: str, said: str) -> None:
    reason = why_not(error(details))
    assert said in reason
    assert "\n" not in reason
