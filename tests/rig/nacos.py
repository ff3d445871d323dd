"""A real Nacos server of release 2 or 3, alone on loopback, with a home that can be wiped."""

import base64
import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from meshbridge.testing import ProcessFailed
from rig.bed import build
from rig.java import LOOPBACK, java, on_loopback
from rig.nacos_http import IDENTITY, NacosHttp
from rig.ports import free_port
from rig.server import Server

GRPC, CLUSTER, RAFT = 1000, 1001, -1000
"""Where Nacos' other ports lie from the HTTP port; it cannot be told otherwise."""

BUSY = "Login timeout exceeded"
"""Derby's word for not having come up within the ten seconds that Nacos gives it."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How a server speaks TLS."""

    authority: Path
    """The certificate of who signed all the others."""
    certificate: Path
    """Its own, for ``localhost``."""
    key: Path
    http: bool = True
    """Whether its HTTP interface does as well as its gRPC."""
    mutual: bool = False
    """Whether its gRPC asks clients for a certificate."""

    @property
    def trusting(self) -> ssl.SSLContext | None:
        """What its HTTP clients need, None where that is in the clear."""
        return ssl.create_default_context(cafile=self.authority) if self.http else None

    @property
    def settings(self) -> dict[str, str]:
        """The lines of its ``application.properties``."""
        rpc = {
            "enableTls": "true",
            "compatibility": "false",
            "certChainFile": self.certificate.as_uri(),  # a plain path it seeks in its class path
            "certPrivateKey": self.key.as_uri(),
            "mutualAuthEnable": json.dumps(self.mutual),
            "trustCollectionCertFile": self.authority.as_uri(),
        }
        http = {
            "enabled": json.dumps(self.http),
            "certificate": self.certificate.as_uri(),
            "certificate-private-key": self.key.as_uri(),
        }
        return {f"nacos.remote.server.rpc.tls.{key}": value for key, value in rpc.items()} | {
            f"server.ssl.{key}": value for key, value in http.items()
        }


class Nacos(NacosHttp, Server):
    """Nacos in standalone mode; a restart keeps persistent instances, not ephemeral ones.

    It takes 7 to 15 s to start. SIGTERM ends it within 2 s, with exit code 143.
    """

    kind: ClassVar[str] = "Nacos"

    within: ClassVar[float] = 80.0  # three times, and faulthandler_timeout is not reached

    def __init__(
        self,
        directory: Path,
        *,
        release: Literal[2, 3] = 2,
        password: str = "",
        name: str = "nacos",
        settings: Mapping[str, str] | None = None,
        context_path: str = "/nacos",
        tls: ServerTls | None = None,
        host: str = LOOPBACK,
        port: int = 0,
    ) -> None:
        """Choose its ports; raises rig.bed.Missing or BuildFailed.

        Args:
            directory: Where its log and its home go.
            release: Which one. 2 has Nacos' own MCP server inside, off until ``settings`` say
                ``nacos.istio.mcp.server.enabled`` and ``nacos.istio.mcp.server.port``.
            password: Makes it ask for authentication, and is that of the user ``nacos``, whom it
                lets in up to 15 s after the first start.
            name: Tells servers of one directory apart.
            settings: Further lines of its ``application.properties``, by name.
            context_path: The path below which it has its HTTP interface.
            tls: Makes it speak TLS, by the name ``localhost``.
            host: The address that it listens on and is called by; another one than loopback needs
                Linux.
            port: Of its HTTP interface there; 0 for one that is free.
        """
        built = build(f"nacos{release}")
        self.port = port or free_port(GRPC, CLUSTER, RAFT)
        self.password = password
        """Of the user ``nacos``; empty where nobody is asked for one."""
        self._has_admin = False
        self._key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._settings = {
            "server.servlet.contextPath"
            if release == 2
            else "nacos.server.contextPath": context_path,
            **({} if tls is None else tls.settings),
            **(settings or {}),
        }
        named, trusting = (host, None) if tls is None else ("localhost", tls.trusting)
        NacosHttp.__init__(
            self,
            f"{named}:{self.port}",
            release,
            secrets.token_hex(),
            context_path=context_path,
            tls=trusting,
        )
        home = directory / name
        command = java(
            built,
            f"meshbridge.peers.Nacos{release}",
            [
                f"--server.address={host}",
                f"--server.port={self.port}",
                f"--nacos.server.main.port={self.port}",
            ],
            home=home,
            heap="512m",
            options=[
                "-Xms128m",
                "--add-opens=java.base/java.util=ALL-UNNAMED",
                "--add-opens=java.base/java.lang=ALL-UNNAMED",
                "-Dnacos.standalone=true",
                f"-Dnacos.home={home}",
                f"-Dnacos.inetutils.ip-address={host}",
                f"-Dnacos.server.ip={host}",
                # No argument of the program: release 3 reads it before its arguments.
                f"-Dspring.config.additional-location=file:{home}/conf/",
            ],
        )
        Server.__init__(self, name, directory, command, environment=on_loopback(built, host))

    async def start(self) -> float:
        """Start it and wait until it takes registrations; return the seconds that took."""
        took = await self._start(attempts=3)
        if self.password and not self._has_admin:
            await self.create_admin(self.password)
            self._has_admin = True
        return took

    def wipe(self) -> None:
        """Forget everything that it stored, its users too; raises RuntimeError while it runs."""
        super().wipe()
        self._has_admin = False

    async def is_up(self) -> bool:
        """Whether our main class has finished and Nacos calls itself ready."""
        return "PEER READY" in self.log and await self.is_ready()

    def configure(self) -> None:
        """Write its ``application.properties``."""
        file = self.home / "conf" / "application.properties"
        file.parent.mkdir(exist_ok=True)
        asks = json.dumps(bool(self.password))
        properties = {
            "nacos.core.auth.enabled": asks,
            "nacos.core.auth.admin.enabled": asks,
            "nacos.core.auth.console.enabled": "false",
            "nacos.core.auth.system.type": "nacos",  # release 3 wants it even where nobody asks
            "nacos.core.auth.server.identity.key": IDENTITY,
            "nacos.core.auth.server.identity.value": self.identity,
            "nacos.core.auth.plugin.nacos.token.secret.key": self._key,
            "spring.sql.init.platform": "",
            **self._settings,
        }
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))

    async def _start(self, attempts: int) -> float:
        """Try again when its database gave up, as it does on a machine that is very busy."""
        try:
            return await super().start()
        except ProcessFailed:
            if BUSY not in self.log or attempts == 1:
                raise
        await self.stop()
        return await self._start(attempts - 1)
