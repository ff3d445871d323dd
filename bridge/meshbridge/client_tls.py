"""TLS towards a registry: the server is always verified, its name included.

Files are read whenever a context is made, so that an adapter that makes one for each session takes
up renewed certificates by itself.
"""

import ssl

from meshbridge.errors import RegistryUnavailable
from meshbridge.settings.client_tls import ClientTls


class UnusableTls(RegistryUnavailable):
    """Its files cannot be used; they may be mended while the bridge runs."""


def make_context(tls: ClientTls) -> ssl.SSLContext:
    """Return what TLS needs to know; reads files. Raises UnusableTls."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise UnusableTls(f"tls ca {tls.ca} cannot be used: {said(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None and tls.key is not None:
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(tls.certificate, tls.key, password=b"")
        except (OSError, ValueError) as error:
            raise UnusableTls(
                f"tls certificate {tls.certificate} and key are no usable pair of PEM files without"
                f" a password: {said(error)}"
            ) from None
    return context


def said(error: Exception) -> str:
    """Return what OpenSSL or the system says was wrong with a file."""
    words: object = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(words or error)
