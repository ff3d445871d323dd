"""TLS towards Nacos over gRPC: the server is always verified, its name included.

Files are read at each connection, so that renewed certificates are taken up by themselves.
"""

import ssl
from pathlib import Path

import grpc

from meshbridge.client_tls import UnusableTls, make_context, said
from meshbridge_nacos.options import Tls


def channel_credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Return what gRPC needs for TLS. Raises UnusableTls."""
    make_context(tls)  # gRPC would say of a bad file only that no connection came about
    system = ssl.get_default_verify_paths().cafile
    ca = tls.ca or (Path(system) if system else None)
    made: grpc.ChannelCredentials = grpc.ssl_channel_credentials(
        root_certificates=_read(ca),
        private_key=_read(tls.key),
        certificate_chain=_read(tls.certificate),
    )
    return made


def _read(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise UnusableTls(f"{file} cannot be read: {said(error)}") from None
