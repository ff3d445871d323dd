"""An authority with what it has signed, in files."""

import ssl
from pathlib import Path

from meshbridge_eureka import Options
from rig.certificates import Authority
from rig.scripted_eureka import ScriptedEureka


class Papers:
    """An authority with what it has signed for a server and for the bridge."""

    def __init__(self, directory: Path) -> None:
        """Write all of it to files."""
        directory.mkdir()
        self._directory, self._authority = directory, Authority()
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self._authority.certificate)
        self.server = self._authority.issue(directory, "localhost")
        self.bridge = self._authority.issue(directory, "bridge")

    def renew(self) -> None:
        """Write another certificate of the bridge, and its key, to the same files."""
        self.bridge = self._authority.issue(self._directory, "bridge")

    def serving(self, *, mutual: bool = False) -> ScriptedEureka:
        """Return a server with its certificate; with ``mutual`` it asks for one of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        server = ScriptedEureka(tls=context, host="localhost")
        server.registry.register("orders", "10.0.0.1", 80)
        return server

    def options(self, server: ScriptedEureka, *, mutual: bool = False) -> Options:
        """Return what a registry at a server is configured with that trusts this authority."""
        tls = self.tls(mutual=mutual)
        return Options.model_validate({"servers": [server.url], "tls": tls, "interval": "1s"})

    def tls(self, *, mutual: bool = False) -> dict[str, str]:
        """Return these files as they are configured."""
        certificate, key = map(str, self.bridge)
        pair = {"certificate": certificate, "key": key} if mutual else {}
        return {"ca": str(self.ca), **pair}
