"""TLS for a discovery server: certificates that may change on disk, and who may subscribe."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import grpc

from meshbridge.errors import ConfigurationError
from meshbridge.settings import Tls
from meshbridge.settings.listen import unusable

_IDENTITIES = ("peer_spiffe_id", "peer_uri", "peer_dns", "x509_subject_alternative_name")


def read_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Return server credentials that use a renewed certificate from its next handshake on.

    Raises ConfigurationError for files that cannot be read or used.
    """
    files = [Path(tls.certificate), Path(tls.key)]
    if tls.client_ca is not None:
        files.append(Path(tls.client_ca))
    seen = _stamps(files)
    used = _configuration(tls)

    def newest() -> grpc.ServerCertificateConfiguration:
        # Asked before each handshake, on a thread of grpc's; a file that is being replaced keeps
        # the certificate that was in use.
        nonlocal seen, used
        with contextlib.suppress(ConfigurationError):
            if (now := _stamps(files)) != seen:
                used, seen = _configuration(tls), now
        return used

    credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        used, newest, require_client_authentication=tls.client_ca is not None
    )
    return credentials


def refusal_of_identity(
    identity: Mapping[str, Iterable[bytes]], allow: tuple[str, ...]
) -> str | None:
    """Return why a peer with this certificate may not subscribe, or ``None`` if it may."""
    if not allow:
        return None
    names = {name.decode(errors="replace") for key in _IDENTITIES for name in identity.get(key, ())}
    if names & set(allow):
        return None
    shown = ", ".join(sorted(names)) or "no name"
    return f"the client's certificate has {shown}, none of which tls.allow lists"


def _stamps(files: Iterable[Path]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise ConfigurationError(f"tls: {file}: cannot be read: {error.strerror}") from None
        found.append((status.st_mtime_ns, status.st_size))
    return found


def _configuration(tls: Tls) -> grpc.ServerCertificateConfiguration:
    try:
        chain = Path(tls.certificate).read_bytes()
        key = Path(tls.key).read_bytes()
        authorities = Path(tls.client_ca).read_bytes() if tls.client_ca else None
    except OSError as error:
        raise ConfigurationError(
            f"tls: {error.filename}: cannot be read: {error.strerror}"
        ) from None
    if (reason := unusable(tls)) is not None:
        raise ConfigurationError(f"tls: {reason}")
    made: grpc.ServerCertificateConfiguration = grpc.ssl_server_certificate_configuration(
        [(key, chain)], root_certificates=authorities
    )
    return made
