"""A real Eureka server, alone on loopback, and the requests of an instance that registers there."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypedDict

import aiohttp

from rig.bed import build
from rig.java import LOOPBACK, java
from rig.ports import free_port
from rig.server import Server

PATIENCE = aiohttp.ClientTimeout(total=10)
"""For an answer; who wants to see a frozen server waits for less."""

EVICTION = 1.0
"""Seconds between its looks for leases that have ended; 60 where nobody says otherwise."""

OWN = {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"}
"""Where an instance says it runs that names no cloud."""

VERSION = re.compile(r"^PEER VERSION (\d.*)$", re.MULTILINE)


class Listed(TypedDict):
    """What Eureka lists of an instance; it tells more than this."""

    instanceId: str
    ipAddr: str
    status: str
    overriddenStatus: str
    actionType: str
    vipAddress: str
    metadata: dict[str, str]


class Eureka(Server):
    """Eureka as Spring Cloud Netflix runs it, without peers; a restart forgets every instance.

    It takes 4 to 8 s to start. SIGTERM ends it at once, with exit code 143.
    """

    kind: ClassVar[str] = "Eureka"

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "eureka",
        cached: float = 0.0,
        self_preservation: bool = False,
        closed_for: float = 0.0,
    ) -> None:
        """Choose its port; raises rig.bed.Missing or BuildFailed.

        Args:
            directory: Where its log and its home go.
            name: Tells servers of one directory apart.
            cached: Seconds after which its read-only response cache is compared with what is
                registered, 30 where nobody says otherwise; 0 switches that cache off.
            self_preservation: Whether it keeps everyone when too few renew their leases.
            closed_for: Seconds after its start for which it answers 403 to who asks for instances,
                as it does when it has peers and got nothing from them.
        """
        self.port = free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self._closed = closed_for > 0
        home = directory / name
        properties = {
            "server.address": LOOPBACK,
            "server.port": str(self.port),
            "spring.main.banner-mode": "off",
            "logging.level.root": "warn",
            # Complains of a client that this server, having no peers, has closed.
            "logging.level.com.netflix.discovery.shared.transport.jersey3": "off",
            "eureka.dashboard.enabled": "false",
            # Itself, by the name it knows itself by: else it would send all it learns to port 8761.
            "eureka.instance.hostname": LOOPBACK,
            "eureka.client.service-url.defaultZone": f"http://{self.address}/eureka/",
            "eureka.client.register-with-eureka": "false",
            "eureka.client.fetch-registry": "false",
            "eureka.server.use-read-only-response-cache": str(cached > 0).lower(),
            "eureka.server.response-cache-update-interval-ms": _milliseconds(cached or 30),
            # An answer that was made in the very moment of a change would stand for three minutes.
            "eureka.server.response-cache-auto-expiration-in-seconds": "1",
            "eureka.server.enable-self-preservation": str(self_preservation).lower(),
            "eureka.server.eviction-interval-timer-in-ms": _milliseconds(EVICTION),
            "eureka.server.wait-time-in-ms-when-sync-empty": _milliseconds(closed_for),
            # Spring Cloud says 1 for a server without peers, which opens it at once.
            "eureka.instance.registry.default-open-for-traffic-count": str(int(not self._closed)),
        }
        arguments = [f"--{name}={value}" for name, value in properties.items()]
        command = java(build("eureka"), "meshbridge.peers.Eureka", arguments, home=home)
        super().__init__(name, directory, command)

    async def is_up(self) -> bool:
        """Whether our main class has finished and the list of applications is answered."""
        if "PEER READY" not in self.log:
            return False
        try:
            status, _ = await self._ask("GET", "apps")
        except (OSError, aiohttp.ClientError):
            return False
        return status == 200 or (self._closed and status == 403)

    async def version(self) -> str:
        """Return what our main class found in the jars of Eureka that it has loaded.

        No interface of the server tells a version.
        """
        found = VERSION.search(self.log)
        if found is None:
            message = f"{self.process.name} did not say its version"
            raise OSError(message)
        return found[1]

    async def register(
        self,
        app: str,
        address: str,
        port: int,
        *,
        status: str = "UP",
        metadata: Mapping[str, str] | None = None,
        lease: int = 90,
        vip: str = "",
        secure_port: int = 0,
        plain: bool = True,
        availability_zone: str = "",
    ) -> None:
        """Register an instance, or again; ``lease`` is the seconds it lasts without a renewal.

        Once it was renewed, Eureka keeps it for twice as long.

        Args:
            app: Its application; Eureka knows it in capitals.
            address: Its host and its address.
            port: Its plain port.
            status: What it says of itself.
            metadata: What else it says of itself.
            lease: See above.
            vip: The names by which callers ask for it, with commas between them; the
                application's if empty.
            secure_port: Its port with TLS; 0 for none.
            plain: Whether its plain port is one that is served.
            availability_zone: Of the cloud that it says it runs in; empty for none.
        """
        instance = {
            "instanceId": _id(app, address, port),
            "app": app.upper(),
            "hostName": address,
            "ipAddr": address,
            "status": status,
            "port": {"$": port, "@enabled": str(plain).lower()},
            "securePort": {"$": secure_port or 443, "@enabled": str(secure_port > 0).lower()},
            "vipAddress": vip or app.lower(),
            "secureVipAddress": vip or app.lower(),
            "dataCenterInfo": _amazon(availability_zone) if availability_zone else OWN,
            "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": lease},
            "metadata": dict(metadata or {}),
        }
        await self._order("POST", f"apps/{app.upper()}", body={"instance": instance})

    async def renew(self, app: str, address: str, port: int) -> bool:
        """Renew the lease of an instance; return whether Eureka knows the instance."""
        status, text = await self._ask("PUT", _path(app, address, port))
        if status not in {200, 404}:
            message = f"Eureka answered {status} to a renewal of {app}: {text[:300]}"
            raise OSError(message)
        return status == 200

    async def set_status(self, app: str, address: str, port: int, status: str) -> None:
        """Override the status of an instance, as an operator who takes it out of service."""
        await self._order("PUT", f"{_path(app, address, port)}/status", query={"value": status})

    async def clear_status(self, app: str, address: str, port: int, status: str = "UP") -> None:
        """Take the override back and leave the instance with ``status``."""
        await self._order("DELETE", f"{_path(app, address, port)}/status", query={"value": status})

    async def set_metadata(self, app: str, address: str, port: int, **metadata: str) -> None:
        """Add to the metadata of an instance, or change what is there."""
        await self._order("PUT", f"{_path(app, address, port)}/metadata", query=metadata)

    async def deregister(self, app: str, address: str, port: int) -> None:
        """Take the instance back, as one that ends in order does."""
        await self._order("DELETE", _path(app, address, port))

    def evicted(self, app: str, address: str, port: int) -> int:
        """Return how often it has evicted the instance since its last start, by its log.

        What it lists says so only when its cache does.
        """
        return self.log.count(f"expired lease for {app.upper()}/{_id(app, address, port)}\n")

    async def applications(self) -> dict[str, list[Listed]]:
        """Return all instances, by application."""
        return _by_application(await self._order("GET", "apps"))

    async def delta(self) -> dict[str, list[Listed]]:
        """Return what changed within the last three minutes, by application."""
        return _by_application(await self._order("GET", "apps/delta"))

    async def _order(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        status, text = await self._ask(method, path, body=body, query=query)
        if status not in {200, 204}:
            message = f"Eureka answered {status} to {method} {path}: {text[:300]}"
            raise OSError(message)
        return text

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        url = f"http://{self.address}/eureka/{path}"
        headers = {"Accept": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=PATIENCE) as session,
            session.request(method, url, json=body, params=query) as answer,
        ):
            return answer.status, await answer.text()


def _by_application(text: str) -> dict[str, list[Listed]]:
    answer = json.loads(text)
    return {each["name"]: each["instance"] for each in answer["applications"]["application"]}


def _amazon(zone: str) -> Mapping[str, object]:
    metadata = {"availability-zone": zone, "instance-id": "i-1", "local-ipv4": "10.1.0.9"}
    return {
        "@class": "com.netflix.appinfo.AmazonInfo",
        "name": "Amazon",
        "metadata": metadata,
    }


def _id(app: str, address: str, port: int) -> str:
    """Return the instance id that a Spring Cloud application would take."""
    return f"{address}:{app.lower()}:{port}"


def _path(app: str, address: str, port: int) -> str:
    return f"apps/{app.upper()}/{_id(app, address, port)}"


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
