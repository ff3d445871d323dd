"""A real Nacos server, alone on loopback, with a home of its own that can be wiped."""

import base64
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from meshbridge.testing.process import Process, ProcessFailed
from rig.bed import build
from rig.java import on_loopback
from rig.ports import free_port

GRPC, CLUSTER, RAFT = 1000, 1001, -1000
"""Where Nacos' other ports lie from the HTTP port; it cannot be told otherwise."""

INSTANCE = "/v1/ns/instance"
BUSY = "Login timeout exceeded"
"""Derby's word for not having come up within the ten seconds that Nacos gives it."""


class Nacos:
    """Nacos 2.5.0 in standalone mode; restarting keeps the ports and, unless wiped, the data.

    With a ``password`` it asks for authentication and has the user ``nacos`` with that password.
    """

    def __init__(self, directory: Path, *, password: str = "") -> None:
        """Choose its ports and write its configuration; raises rig.bed.Missing or BuildFailed."""
        self._server = build("nacos2")
        self.password = password
        """Of the user ``nacos``; empty where nobody is asked for one."""
        self._home = directory / "nacos"
        self.port = free_port(GRPC, CLUSTER, RAFT)
        self.address = f"127.0.0.1:{self.port}"
        self._url = f"http://{self.address}/nacos"
        self._token = ""
        self.process = Process(
            "nacos",
            self._command(),
            directory=directory,
            environment=on_loopback(self._server),
        )

    async def __aenter__(self) -> Self:
        """Start it and wait until it takes registrations."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        await self.process.stop()

    async def start(self) -> float:
        """Start it and wait until it is ready; return the seconds that took.

        Tries again when its embedded database gave up, as it does on a machine that is very busy.
        """
        took = 0.0
        for attempts_left in (2, 1, 0):
            self._configure()
            self.process.start()
            try:
                took = await self.process.ready(self._is_up, within=120)
            except ProcessFailed:
                if BUSY not in self._log() or not attempts_left:
                    raise
            else:
                break
        if self.password:
            await self._sign_in()
        return took

    async def stop(self) -> None:
        """End it as an operator would."""
        await self.process.stop()

    async def kill(self) -> None:
        """End it as a crash would."""
        await self.process.kill()

    def wipe(self) -> None:
        """Forget everything it stored; only while it does not run."""
        shutil.rmtree(self._home)

    async def register(
        self,
        service: str,
        address: str,
        port: int,
        *,
        weight: float = 1.0,
        enabled: bool = True,
        metadata: Mapping[str, str] | None = None,
        cluster: str = "DEFAULT",
        group: str = "DEFAULT_GROUP",
        namespace: str = "public",
        ephemeral: bool = False,
    ) -> None:
        """Register an instance over HTTP; a persistent one, which stays without anyone's lease."""
        await self._call(
            "POST",
            INSTANCE,
            serviceName=service,
            groupName=group,
            namespaceId=namespace,
            ip=address,
            port=str(port),
            weight=str(weight),
            enabled=json.dumps(enabled),
            metadata=json.dumps(metadata or {}),
            clusterName=cluster,
            ephemeral=json.dumps(ephemeral),
        )

    async def update(
        self,
        service: str,
        address: str,
        port: int,
        *,
        ephemeral: bool = False,
        namespace: str = "public",
        **fields: str,
    ) -> None:
        """Change fields of an instance as the console does; Nacos merges ``metadata``."""
        await self._call(
            "PUT",
            INSTANCE,
            serviceName=service,
            namespaceId=namespace,
            ip=address,
            port=str(port),
            ephemeral=json.dumps(ephemeral),
            **fields,
        )

    async def deregister(
        self,
        service: str,
        address: str,
        port: int,
        *,
        ephemeral: bool = False,
        namespace: str = "public",
    ) -> None:
        """Remove an instance; the service stays listed without it for about a minute."""
        await self._call(
            "DELETE",
            INSTANCE,
            serviceName=service,
            namespaceId=namespace,
            ip=address,
            port=str(port),
            ephemeral=json.dumps(ephemeral),
        )

    async def remove_service(self, service: str) -> None:
        """Remove a service that has no instances left."""
        await self._call("DELETE", "/v1/ns/service", serviceName=service)

    async def _call(self, method: str, path: str, **query: str) -> str:
        if self._token:
            query["accessToken"] = self._token
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self._url + path, params=query) as answer,
        ):
            text = await answer.text()
            if answer.status != 200:
                message = f"Nacos answered {answer.status} to {method} {path}: {text[:300]}"
                raise OSError(message)
            return text

    def _log(self) -> str:
        """Return what the newest start wrote."""
        return self.process.log.rpartition(_BEGIN)[2]

    async def _is_up(self) -> bool:
        """Its own sign: our main class has finished, and the naming module calls itself UP."""
        if "PEER READY" not in self._log():
            return False
        try:
            state = await self._call("GET", "/v1/ns/operator/metrics", onlyStatus="true")
        except (OSError, aiohttp.ClientError):
            return False
        return '"UP"' in state

    async def _sign_in(self) -> None:
        await self._call("POST", "/v1/auth/users/admin", password=self.password)

    def _configure(self) -> None:
        file = self._home / "conf" / "application.properties"
        file.parent.mkdir(parents=True, exist_ok=True)
        asks = json.dumps(bool(self.password))
        properties = {
            "nacos.core.auth.enabled": asks,
            "nacos.core.auth.admin.enabled": asks,
            "nacos.core.auth.system.type": "nacos",
            "nacos.core.auth.server.identity.key": "peer",
            "nacos.core.auth.server.identity.value": "peer",
            "nacos.core.auth.plugin.nacos.token.secret.key": _secret(),
            "spring.sql.init.platform": "",
        }
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        with self.process.log_file.open("a") as log:
            log.write(f"{_BEGIN}\n")

    def _command(self) -> list[str]:
        return [
            "java",
            "-Xms128m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--add-opens=java.base/java.util=ALL-UNNAMED",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "-Dnacos.standalone=true",
            "-XX:-UsePerfData",
            f"-Duser.home={self._home}",
            f"-Djava.io.tmpdir={self._home}",
            f"-Dnacos.home={self._home}",
            "-Dnacos.inetutils.ip-address=127.0.0.1",
            "-Dnacos.server.ip=127.0.0.1",
            f"-Dspring.config.additional-location=file:{self._home}/conf/",
            "-cp",
            self._server.classpath,
            "meshbridge.peers.Nacos2",
            "--server.address=127.0.0.1",
            f"--server.port={self.port}",
            f"--nacos.server.main.port={self.port}",
        ]


_BEGIN = "--- start ---"


def _secret() -> str:
    return base64.b64encode(os.urandom(32)).decode()
