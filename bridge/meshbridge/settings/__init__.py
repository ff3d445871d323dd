"""The building blocks of configuration that adapters and outlets make their ``Options`` of.

Reading the file is :mod:`meshbridge.settings.loading`; it is not imported here, to stay light.
"""

from meshbridge.settings.listen import Address, ListenAddress, Listener, Tls
from meshbridge.settings.secret import Secret
from meshbridge.settings.section import Section
from meshbridge.settings.values import ConfigPath, Duration, ReadableFile, Share

__all__ = [
    "Address",
    "ConfigPath",
    "Duration",
    "ListenAddress",
    "Listener",
    "ReadableFile",
    "Secret",
    "Section",
    "Share",
    "Tls",
]
