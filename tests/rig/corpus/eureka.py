"""What Eureka lists: all applications, what changed, one application, one instance."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from rig import ports
from rig.corpus.apart import FIRST_PORT, HOST, STEP
from rig.corpus.http import NOT_FOUND, OK, ask
from rig.corpus.shelf import Shelf
from rig.eureka import Eureka
from rig.java import LOOPBACK
from rig.making import say
from rig.spring import Member, SpringService

APPS, DELTA = "apps", "apps/delta"


async def capture(folder: Path, shelf: Shelf) -> None:
    """Let a Spring Cloud application register, and instances that come, change and go."""
    await _spring_cloud(folder, shelf)
    await _comings_and_goings(folder, shelf)


async def _spring_cloud(folder: Path, shelf: Shelf) -> None:
    async with _scene(folder, shelf, "spring-cloud") as scene:
        await scene.keep("empty", "apps", APPS, "A registry without an instance.")
        await scene.keep("empty", "delta", DELTA, "A registry in which nothing happened.")
        member = Member(
            kind="eureka",
            name="spring",
            service="orders",
            registry=scene.address,
            version="v1",
            zone="z1",
            metadata={"my_key": "under_score"},
        )
        async with SpringService(scene.folder, member) as service:
            what = "A Spring Cloud service"
            await scene.keep("spring-cloud", "apps", APPS, f"{what}, one instance.")
            await scene.keep("spring-cloud", "delta", DELTA, f"{what} that just came.")
            await scene.keep("spring-cloud", "app", "apps/ORDERS", f"{what} by its name.")
            one = f"apps/ORDERS/{LOOPBACK}:orders:{service.port}"
            await scene.keep("spring-cloud", "instance", one, f"{what}'s instance by its id.")


async def _comings_and_goings(folder: Path, shelf: Shelf) -> None:
    async with _scene(folder, shelf, "two-services") as scene:
        server = scene.server
        under_score = {"zone": "z1", "my_key": "under_score"}
        await server.register("orders", HOST, 8081, metadata=under_score)
        await server.register("orders", HOST, 8082, metadata={"zone": "z2"}, secure_port=8443)
        await server.register("users", HOST, 8083)
        await server.register("users", HOST, 8084, status="STARTING")
        await scene.keep("two-services", "apps", APPS, "Two services with two instances each.")
        await scene.keep("two-services", "delta", DELTA, "All four just came.")
        await scene.keep("two-services", "app", "apps/ORDERS", "One of the services.")
        one = f"apps/ORDERS/{HOST}:orders:8081"
        await scene.keep("two-services", "instance", one, "An instance; mind my_key in XML.")
        await server.set_status("orders", HOST, 8082, "OUT_OF_SERVICE")
        await scene.keep("out-of-service", "apps", APPS, "One was taken out of service.")
        await scene.keep("out-of-service", "delta", DELTA, "One was taken out of service.")
        await server.deregister("users", HOST, 8083)
        await scene.keep("deleted", "apps", APPS, "And one has gone.")
        await scene.keep("deleted", "delta", DELTA, "And one has gone: DELETED, and still UP.")
        gone = f"apps/USERS/{HOST}:users:8083"
        await scene.keep("deleted", "instance", gone, "The one that has gone.", NOT_FOUND)


class _Scene:
    """A Eureka to which one thing after the other happens."""

    def __init__(self, folder: Path, shelf: Shelf, server: Eureka) -> None:
        self.folder = folder
        self.server = server
        self.address = server.address
        self._shelf = shelf

    async def keep(self, scene: str, name: str, path: str, what: str, expected: int = OK) -> None:
        """Keep what it answers there, in both of its languages."""
        for language in ("json", "xml"):
            answer = await ask(
                f"http://{self.address}",
                f"/eureka/{path}",
                accept=f"application/{language}",
                expected=expected,
            )
            self._shelf.put_answer(f"{scene}/{name}", answer, what=what)
        say(f"{self._shelf.part}: {scene}/{name}")


@asynccontextmanager
async def _scene(folder: Path, shelf: Shelf, name: str) -> AsyncGenerator[_Scene]:
    ports.in_order(FIRST_PORT, STEP)
    own = folder / name
    async with Eureka(own) as server:
        yield _Scene(own, shelf, server)
