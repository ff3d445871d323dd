"""TLS towards ZooKeeper: the server is always verified, its name included."""

import ssl

from meshbridge_zookeeper_dubbo.options import Tls


class UnusableTlsError(Exception):
    """The files cannot be used."""


def make_context(tls: Tls) -> ssl.SSLContext:
    """Return what TLS needs to know; reads files, at each connection, so that they may change.

    Raises UnusableTlsError.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise UnusableTlsError(f"tls ca {tls.ca} cannot be used: {_said(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None and tls.key is not None:
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(tls.certificate, tls.key, password=b"")
        except (OSError, ValueError) as error:
            raise UnusableTlsError(
                f"tls certificate {tls.certificate} and key are no usable pair of PEM files without"
                f" a password: {_said(error)}"
            ) from None
    return context


def _said(error: Exception) -> str:
    said: object = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(said or error)
