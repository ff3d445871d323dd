"""TLS towards Nacos, gRPC and HTTP: the server is always verified, its name included.

Files are read at each connection, so that renewed certificates are taken up by themselves.
"""

import ssl
from pathlib import Path

import grpc

from meshbridge import RegistryUnavailable
from meshbridge_nacos.options import Tls


def channel_credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Return what gRPC needs for TLS. Raises RegistryUnavailable when a file cannot be used."""
    make_context(tls)  # gRPC would say of a bad file only that no connection came about
    system = ssl.get_default_verify_paths().cafile
    ca = tls.ca or (Path(system) if system else None)
    made: grpc.ChannelCredentials = grpc.ssl_channel_credentials(
        root_certificates=_read(ca),
        private_key=_read(tls.key),
        certificate_chain=_read(tls.certificate),
    )
    return made


def make_context(tls: Tls) -> ssl.SSLContext:
    """Return what HTTP needs for TLS. Raises RegistryUnavailable when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise RegistryUnavailable(f"tls ca {tls.ca} cannot be used: {_said(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None and tls.key is not None:
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(tls.certificate, tls.key, password=b"")
        except (OSError, ValueError) as error:
            raise RegistryUnavailable(
                f"tls certificate {tls.certificate} and key are no usable pair of PEM files without"
                f" a password: {_said(error)}"
            ) from None
    return context


def _read(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise RegistryUnavailable(f"{file} cannot be read: {_said(error)}") from None


def _said(error: Exception) -> str:
    said: object = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(said or error)
